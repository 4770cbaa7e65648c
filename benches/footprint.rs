//! What a model costs before its first result: `cargo bench --bench footprint`.
//!
//! Each line is a process of its own: time from the file's name to the end of the first evaluation
//! of a 64x64 window (best and median of several, from a warm page cache), then private memory
//! (RssAnon), memory backed by files (RssFile, the program's own pages included) and the
//! proportional share (Pss), all right after that evaluation. Linux only.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use ddnm::prior::{self, Prior};
use ddnm::weights::Format;

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
    Ok(())
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
