//! Videos with noise through `ddnm stream`, cold and warm: `cargo bench --bench video`, minutes
//! long. Needs ffmpeg, which makes the videos: half of each stands still, and in the other half a
//! camera stands still too, pans or zooms over a photograph.
//!
//! The first table is one line per video: PSNR of luma in dB, flicker and evaluations per pixel.
//! Flicker is the root of the mean square of how much luma changes from frame to frame where the
//! clean video does not, in code values. The second is the PSNR of every frame. `-- noise S` takes
//! another strength of noise than 10 code values.
//!
//! `-- budget` is what becomes of the panning video where each frame has a time, and `-- small` what
//! small frames cost, of which more goes into what does not depend on their size.

use std::io::Write;
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ddnm::degrade::{Degradation, Spec};
use ddnm::frame::{Frame, Region, Shape, crop};
use ddnm::io::video::{Format, Frames, Next, Packing, Y4mReader};
use ddnm::metrics::psnr;
use ddnm::noise::NoiseField;
use ddnm::prior::{self, Prior};
use ddnm::sampler::{self, Mode, Restorer, Settings};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const PICTURE: &str = "tests/assets/chelsea.png";
const COUNT: usize = 16;
/// What the right half shows of a larger picture.
const SCENES: [(&str, &str); 3] = [
    ("still", "crop=210:280:100:10"),
    ("pan", "crop=210:280:20+9*n:5+n"),
    ("zoom", "scale=w=451+12*n:h=300+8*n:eval=frame,crop=210:280:60:10"),
];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let asked = args.iter().position(|a| a == "noise").and_then(|i| args.get(i + 1));
    let sigma: f64 = asked.map_or(Ok(10.0), |text| text.parse())?;
    if args.iter().any(|a| a == "budget") {
        return budgets(sigma);
    }
    if args.iter().any(|a| a == "small") {
        return small(sigma);
    }
    println!(
        "| video | PSNR: noisy | cold | warm | flicker: noisy | cold | warm | evaluations: cold | warm, from frame 3 on |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut frames = vec![Vec::new(); COUNT];
    for (name, crop) in SCENES {
        let clean = video(crop)?;
        let noisy = noisy(&clean, sigma)?;
        let (cold, cold_log) = stream(&noisy, sigma, &[])?;
        let (warm, warm_log) = stream(&noisy, sigma, &["--warm"])?;
        let clean = luma(&clean)?;
        let mut quality = Vec::new();
        let mut flickers = Vec::new();
        for video in [&noisy, &cold, &warm] {
            let video = luma(video)?;
            let each: Vec<f64> = video
                .iter()
                .zip(&clean)
                .map(|(x, clean)| psnr(x, clean))
                .collect::<ddnm::Result<_>>()?;
            frames.iter_mut().zip(&each).for_each(|(row, v)| row.push(*v));
            quality.push(mean(&each));
            flickers.push(flicker(&video, &clean));
        }
        let [a, b, c] = quality[..] else { continue };
        let [d, e, f] = flickers[..] else { continue };
        let (g, h) = (mean(&cold_log[2..]), mean(&warm_log[2..]));
        println!(
            "| {name} | {a:.2} | {b:.2} | {c:.2} | {d:.2} | {e:.2} | {f:.2} | {g:.2} | {h:.2} |"
        );
    }
    let of: Vec<String> =
        SCENES.iter().map(|(name, _)| format!("{name}: noisy | cold | warm")).collect();
    println!("\n| frame | {} |\n|{}", of.join(" | "), "---|".repeat(1 + 3 * SCENES.len()));
    for (i, row) in frames.iter().enumerate() {
        let row: Vec<String> = row.iter().map(|v| format!("{v:.2}")).collect();
        println!("| {} | {} |", i + 1, row.join(" | "));
    }
    Ok(())
}

/// What becomes of the panning video where each frame has a time.
fn budgets(sigma: f64) -> Result<()> {
    let clean = video(SCENES[1].1)?;
    let noisy = noisy(&clean, sigma)?;
    let clean = luma(&clean)?;
    println!(
        "| of the time without | budget, ms | median, ms | longest, ms | late | evaluations: first frame | mean | PSNR |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut without = 0.0;
    for share in [f64::INFINITY, 2.0, 1.2, 0.8, 0.5, 0.25, 0.1] {
        // The first row is with plenty of time; the others have a part of what that took.
        let (ms, of_it) = match share.is_finite() {
            true => (f64::round(share * without), share.to_string()),
            false => (10_000.0, "plenty".into()),
        };
        let budget = &format!("{ms}ms");
        let (output, lines) = lines(&noisy, sigma, &["--budget", budget])?;
        let of = |key: &str| -> Vec<f64> { lines.iter().filter_map(|l| l[key].as_f64()).collect() };
        let frames = lines.iter().filter(|l| l["frame"].is_u64()).count();
        let mut took: Vec<f64> = of("seconds")[..frames].iter().map(|s| 1e3 * s).collect();
        took.sort_by(f64::total_cmp);
        let late = of("late").iter().filter(|s| **s > 0.0).count();
        let each = luma(&output)?.iter().zip(&clean).map(|(x, clean)| psnr(x, clean)).collect();
        let each: ddnm::Result<Vec<f64>> = each;
        let (median, longest) = (took[frames / 2], took[frames - 1]);
        without = if share.is_finite() { without } else { median };
        let evaluations = of("evaluations");
        let (first, all, quality) = (evaluations[0], mean(&evaluations), mean(&each?));
        println!(
            "| {of_it} | {ms} | {median:.1} | {longest:.1} | {late} of {frames} | {first:.2} | {all:.2} | {quality:.2} |"
        );
    }
    Ok(())
}

/// Frames of a small video; what the first two take is not counted.
const MANY: usize = 300;

/// Milliseconds for each of many small frames of R'G'B' of a scene that stands still: by
/// `ddnm stream`, where `--warm` evaluates nothing from the third frame on, and by the library.
fn small(sigma: f64) -> Result<()> {
    println!(
        "| frames | threads | `stream` | `stream --warm` | `Restorer` |\n|---|---|---|---|---|"
    );
    let picture = ddnm::io::read(PICTURE.as_ref())?;
    for (width, height) in [(64, 48), (160, 120)] {
        let region = Region { y: 60, x: 120, height, width };
        let mut clean = Frame::filled(region.shape(3), 0.0);
        crop(&picture.data, picture.shape, region, &mut clean.data);
        let format = Format { width, height, packing: Packing::Rgb, bits: 8, stride: None };
        let mut video = Vec::new();
        for number in 0..MANY {
            let field = NoiseField { seed: 4, frame: number as u32, draw: 0 };
            let mut noise = vec![0.0; clean.data.len()];
            field.fill(Region::whole(clean.shape), 3, &mut noise);
            let mut one = Vec::new();
            let noisy = clean.data.iter().zip(&noise).map(|(x, z)| x + sigma as f32 / 127.5 * z);
            format.pack(&noisy.collect::<Vec<_>>(), &mut one);
            video.extend(one);
        }
        for threads in [1, 2] {
            let (size, count) = (format!("{width}x{height}"), threads.to_string());
            let options = ["--format", "rgb24", "--size", &size, "--threads", &count];
            let (cold, ms) = seconds(&video, sigma, &options)?;
            let (_, ms_warm) = seconds(&video, sigma, &[&options[..], &["--warm"]].concat())?;
            let (same, ms_library) = library(&video, &format, sigma, threads)?;
            if same != cold {
                return Err(format!("{size}: the library gave other frames than stream").into());
            }
            println!("| {size} | {threads} | {ms:.2} | {ms_warm:.2} | {ms_library:.2} |");
        }
    }
    Ok(())
}

/// What `ddnm stream` makes of a video, and its milliseconds per frame.
fn seconds(input: &[u8], sigma: f64, options: &[&str]) -> Result<(Vec<u8>, f64)> {
    let (output, lines) = lines(input, sigma, options)?;
    let of: Vec<f64> = lines.iter().filter_map(|line| line["seconds"].as_f64()).collect();
    // The last line is about all.
    let total = of.get(MANY).ok_or("expected a line for each frame")?;
    Ok((output, 1e3 * (total - of[0] - of[1]) / (MANY - 2) as f64))
}

/// The same with a [`Restorer`], without what stands between bytes and numbers.
fn library(video: &[u8], format: &Format, sigma: f64, threads: usize) -> Result<(Vec<u8>, f64)> {
    let a = Spec::parse("none")?.build(format.shape(), &ddnm::io::rows)?;
    let prior = prior::bundled()?;
    let d = sampler::defaults(&a, sigma / 127.5, true);
    let levels = prior.diffusion().geometric(d.start, d.end, d.steps);
    let settings =
        Settings { threads, ..Settings::new(Mode::Faithful, sigma / 127.5, levels).suit(&d) };
    let (mut x, mut y) = (Frame::filled(a.scene(), 0.0), Frame::filled(a.measurement(), 0.0));
    let mut restorer = Restorer::new(Arc::from(a), Arc::new(prior), settings)?;
    let (mut out, mut one, mut time) = (Vec::new(), Vec::new(), Duration::ZERO);
    for (i, bytes) in video.chunks(format.frame_bytes()).enumerate() {
        format.unpack(bytes, &mut y.data);
        let began = Instant::now();
        restorer.restore_into(&y, &mut x, &mut |_| ControlFlow::Continue(()))?;
        time += if i < 2 { Duration::ZERO } else { began.elapsed() };
        format.pack(&x.data, &mut one);
        out.extend(&one);
    }
    Ok((out, 1e3 * time.as_secs_f64() / (MANY - 2) as f64))
}

fn mean(v: &[f64]) -> f64 {
    v.iter().sum::<f64>() / v.len() as f64
}

/// Runs a program with `input` and returns what it wrote to standard output and error.
fn pipe(program: &str, args: &[&str], input: &[u8]) -> Result<(Vec<u8>, String)> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("{program}: {e}"))?;
    let mut stdin = child.stdin.take().ok_or("no pipe")?;
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output()?;
    let _ = writer.join();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.success() {
        true => Ok((output.stdout, said)),
        false => Err(format!("{program} {args:?}: {said}").into()),
    }
}

/// A video of 240x160 in YUV4MPEG2.
fn video(crop: &str) -> Result<Vec<u8>> {
    let filter = format!(
        "[0]crop=360:240:60:30,scale=240:160:flags=area[still];\
         [1]{crop},scale=120:160:flags=area[half];[still][half]overlay=120:0"
    );
    let count = COUNT.to_string();
    let args =
        ["-v", "error", "-nostdin", "-loop", "1", "-i", PICTURE, "-loop", "1", "-i", PICTURE];
    let rest = ["-filter_complex", &filter, "-frames:v", &count, "-pix_fmt", "yuv420p"];
    let to = ["-strict", "-1", "-f", "yuv4mpegpipe", "-"];
    Ok(pipe("ffmpeg", &[&args[..], &rest, &to].concat(), &[])?.0)
}

/// Adds noise to all planes, the same on every machine.
fn noisy(clean: &[u8], sigma: f64) -> Result<Vec<u8>> {
    let mut reader = Y4mReader::new(clean, "video".as_ref())?;
    let format = reader.header.format;
    let mut out = reader.header.line(format.width, format.height).into_bytes();
    let mut frame = Vec::new();
    let mut number = 0;
    while let Next::Frame { .. } = reader.next(&mut frame)? {
        out.extend(b"FRAME\n");
        let field = NoiseField { seed: 4, frame: number, draw: 0 };
        let noise = |i: usize| sigma * f64::from(field.at(0, 0, i));
        out.extend(frame.iter().enumerate().map(|(i, b)| (f64::from(*b) + noise(i)).round() as u8));
        number += 1;
    }
    Ok(out)
}

/// What becomes of a video, and the evaluations of each frame.
fn stream(input: &[u8], sigma: f64, more: &[&str]) -> Result<(Vec<u8>, Vec<f64>)> {
    let (output, lines) = lines(input, sigma, more)?;
    Ok((output, lines.iter().filter_map(|line| line["evaluations"].as_f64()).collect()))
}

/// What becomes of a video, and the lines about its frames.
fn lines(input: &[u8], sigma: f64, more: &[&str]) -> Result<(Vec<u8>, Vec<serde_json::Value>)> {
    let noise = sigma.to_string();
    let args = [&["stream", "-d", "none", "--noise", &noise][..], more].concat();
    let (output, said) = pipe(env!("CARGO_BIN_EXE_ddnm"), &args, input)?;
    Ok((output, said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()))
}

/// The luma of every frame.
fn luma(bytes: &[u8]) -> Result<Vec<Frame>> {
    let mut reader = Y4mReader::new(bytes, "video".as_ref())?;
    let format = reader.header.format;
    let shape = Shape::new(1, format.height, format.width);
    let (mut frames, mut frame) = (Vec::new(), Vec::new());
    while let Next::Frame { .. } = reader.next(&mut frame)? {
        let values = frame[..shape.len()].iter().map(|b| f32::from(*b) / 127.5 - 1.0).collect();
        frames.push(Frame::new(shape, values)?);
    }
    Ok(frames)
}

/// How much changes from frame to frame where nothing does.
fn flicker(video: &[Frame], clean: &[Frame]) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0f64);
    for (x, truth) in video.windows(2).zip(clean.windows(2)) {
        let pairs = x[1].data.iter().zip(&x[0].data);
        let still = truth[1].data.iter().zip(&truth[0].data).map(|(a, b)| a == b);
        for ((a, b), _) in pairs.zip(still).filter(|(_, still)| *still) {
            sum += (127.5 * f64::from(a - b)).powi(2);
            count += 1.0;
        }
    }
    (sum / count.max(1.0)).sqrt()
}
