//! What the program takes: `cargo bench --bench footprint`. Linux only.
//!
//! The first table is of models, each line a process of its own: time from the file's name to the end of the first evaluation
//! of a 64x64 window (best and median of several, from a warm page cache), then private memory
//! (RssAnon), memory backed by files (RssFile, the program's own pages included) and the
//! proportional share (Pss), all right after that evaluation.
//!
//! The second is of frames of several sizes on this machine, and the third of boards, both from
//! `ddnm bench --json`. What boards took comes from the reports in `targets/measured/`, one file
//! per board under its name; where there is none, no board has been measured and the cells are
//! `-`.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use ddnm::prior::{self, Prior};
use ddnm::weights::Format;
use serde_json::Value;

const PROCESSES: usize = 15;
const SIDE: usize = 64;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|a| a == "child") {
        return child(&args[at + 1]);
    }
    if let Err(e) = table() {
        eprintln!("footprint: {e}");
        std::process::exit(1);
    }
}

fn table() -> Result<(), Box<dyn std::error::Error>> {
    let onnx = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/patch-s.toml");
    let folder = std::env::temp_dir().join(format!("ddnm-footprint-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let model = prior::find(onnx.to_str())?;
    let mut files = vec![("ONNX, f32", onnx)];
    for (name, format) in
        [("packed, f32", Format::F32), ("packed, f16", Format::F16), ("packed, int8", Format::Int8)]
    {
        let path = folder.join(format!("{}.ddnm", name.replace(", ", "-")));
        std::fs::write(&path, model.pack(format)?)?;
        files.push((name, path));
    }
    println!("| model | best, ms | median, ms | RssAnon, KiB | RssFile, KiB | Pss, KiB |");
    println!("|---|---|---|---|---|---|");
    for (name, path) in &files {
        let mut runs = Vec::new();
        for _ in 0..PROCESSES {
            let done = Command::new(std::env::current_exe()?).arg("child").arg(path).output()?;
            let text = String::from_utf8(done.stdout)?;
            let numbers: Vec<f64> = text.split_whitespace().flat_map(str::parse).collect();
            if numbers.len() != 4 {
                return Err(String::from_utf8_lossy(&done.stderr).into());
            }
            runs.push(numbers);
        }
        runs.sort_by(|a, b| a[0].total_cmp(&b[0]));
        let middle = &runs[runs.len() / 2];
        println!(
            "| {name} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} |",
            runs[0][0], middle[0], middle[1], middle[2], middle[3]
        );
    }
    std::fs::remove_dir_all(&folder)?;
    frames()?;
    boards()
}

fn frames() -> Result<(), Box<dyn std::error::Error>> {
    println!("\n| frame | threads | s | private, MiB | planned, MiB | file-backed, MiB |");
    println!("|---|---|---|---|---|---|");
    for size in ["320x240", "640x480", "1280x960", "1920x1080"] {
        let program = env!("CARGO_BIN_EXE_ddnm");
        let done = Command::new(program).args(["bench", "--json", "--size", size]).output()?;
        let report: Value = serde_json::from_slice(&done.stdout)?;
        for frame in report["frames"].as_array().into_iter().flatten() {
            let memory = &frame["memory"];
            println!(
                "| {size} | {} | {} | {} | {} | {} |",
                frame["threads"],
                number(&frame["seconds"], 1.0, 2),
                mib(&memory["private"]),
                mib(&frame["planned_bytes"]),
                mib(&memory["file"])
            );
        }
    }
    Ok(())
}

fn boards() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "\n| board | frame | first estimate, ms | 64x64, ms | s, 1 thread | s, all | private, MiB |"
    );
    println!("|---|---|---|---|---|---|---|");
    for board in ddnm::boards::all()? {
        let file = format!("{}/targets/measured/{}.json", env!("CARGO_MANIFEST_DIR"), board.name);
        let report: Value = match std::fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text)?,
            Err(_) => Value::Null,
        };
        let (tile, case) = (&report["tile"], &report["case"]);
        let size = match case["width"].as_u64() {
            Some(width) => format!("{width}x{}", case["height"]),
            None => "-".into(),
        };
        let frames = report["frames"].as_array();
        let frame = |of: fn(&[Value]) -> Option<&Value>| {
            frames.and_then(|f| of(f)).unwrap_or(&Value::Null).clone()
        };
        let (first, last) = (frame(|f| f.first()), frame(|f| f.last()));
        println!(
            "| {} | {size} | {} | {} | {} | {} | {} |",
            board.title,
            number(&tile["start_ms"], 1.0, 0),
            number(&tile["steady_ms"], 1.0, 1),
            number(&first["seconds"], 1.0, 1),
            number(&last["seconds"], 1.0, 1),
            mib(&last["memory"]["private"])
        );
    }
    Ok(())
}

fn mib(bytes: &Value) -> String {
    number(bytes, f64::from(1 << 20), 1)
}

fn number(value: &Value, unit: f64, digits: usize) -> String {
    value.as_f64().map_or("-".into(), |n| format!("{:.digits$}", n / unit))
}

/// Loads a model, evaluates one window, and prints milliseconds and KiB.
fn child(path: &str) {
    let x_t = vec![0.1; 3 * SIDE * SIDE];
    let mut x0 = x_t.clone();
    let start = Instant::now();
    let evaluated = prior::find(Some(path)).and_then(|prior| {
        let level = prior.diffusion().at_sigma(0.2);
        prior.evaluator(SIDE, SIDE)?.x0(&x_t, level, &mut x0)?;
        let elapsed = start.elapsed().as_secs_f64() * 1e3;
        println!("{elapsed} {} {} {}", kib("RssAnon:"), kib("RssFile:"), kib("Pss:"));
        Ok(())
    });
    if let Err(e) = evaluated {
        eprintln!("{e}");
        std::process::exit(e.exit_code());
    }
}

/// A line of this process's `status` or `smaps_rollup`.
fn kib(name: &str) -> u64 {
    let files = ["/proc/self/status", "/proc/self/smaps_rollup"];
    let texts = files.map(|file| std::fs::read_to_string(file).unwrap_or_default());
    let mut lines = texts.iter().flat_map(|text| text.lines());
    let line = lines.find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}
