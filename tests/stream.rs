//! Frames through pipes: what `ddnm stream` does with them. How streams end is in `stream_ends.rs`.
#![cfg(unix)]

mod common;

use std::io::{Read, Write};
use std::process::Command;

use common::pipes::{FAST, FIRST, FRAME, errors, lines, start, stream, video};
use common::{Folder, ddnm};

#[test]
fn frames_that_lack_nothing_come_out_as_they_went_in() {
    let input = video(3);
    let output = stream(&FAST, &input);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert!(output.stdout == input);
    let said = lines(&errors(&output));
    assert_eq!(said.len(), 4);
    for (i, line) in said[..3].iter().enumerate() {
        assert_eq!(line["frame"], i);
        assert_eq!(line["evaluations"], 1.0);
        assert!(line["residual_max"].as_f64().unwrap() < 1e-3, "{line}");
        assert!(line["latency"].as_f64() >= line["seconds"].as_f64(), "{line}");
    }
    assert_eq!((&said[3]["frames"], &said[3]["skipped"]), (&3.into(), &0.into()));
    // No frames at all are fine too; quiet is quiet.
    let output = stream(&[&FAST[..], &["-q"]].concat(), FIRST);
    assert_eq!((output.status.code(), errors(&output)), (Some(0), String::new()));
    assert!(output.stdout == FIRST);
}

#[test]
fn the_log_goes_where_it_should() {
    let folder = Folder::new();
    let log = folder.arg("log.jsonl");
    for _ in 0..2 {
        let output = stream(&[&FAST[..], &["--log", &log]].concat(), &video(2));
        assert_eq!(errors(&output), "");
    }
    assert_eq!(lines(&std::fs::read_to_string(&log).unwrap()).len(), 6);
    let output = stream(&[&FAST[..], &["--log", "/nowhere/log"]].concat(), &video(1));
    assert_eq!(output.status.code(), Some(7));
}

/// Unlike that of the frames, the log's reader is not who says when a stream is over.
#[test]
fn a_log_that_nobody_reads_any_more_is_an_error() {
    let folder = Folder::new();
    let log = folder.arg("log");
    assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
    let mut child = start(&[&FAST[..], &["--log", &log]].concat());
    // Opened and closed again: the program has somebody to write to until then.
    drop(std::fs::File::open(&log).unwrap());
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(&video(3));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", errors(&output));
    assert!(errors(&output).contains("nobody reads it any more"), "{}", errors(&output));
    assert!(output.stdout == video(1), "the frame at hand is whole");
}

#[test]
fn frames_may_be_dropped_when_too_many_wait() {
    let input = video(40);
    let slow = ["-d", "none", "--noise", "20", "--steps", "20", "--queue", "2"];
    let output = stream(&[&slow[..], &["--when-slow", "drop-oldest"]].concat(), &input);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let said = lines(&errors(&output));
    let end = said.last().unwrap();
    let (frames, dropped) = (end["frames"].as_u64().unwrap(), end["dropped"].as_u64().unwrap());
    assert_eq!(frames + dropped, 40);
    assert!(dropped > 0);
    assert_eq!(said[said.len() - 2]["frame"], 39, "the newest is kept");
    assert_eq!(output.stdout.len(), FIRST.len() + frames as usize * (6 + FRAME));
}

#[test]
fn raw_frames_go_in_and_out() {
    let (width, height) = (20usize, 10usize);
    let size = ["--size", "20x10"];
    let frames = |bytes: usize| (0..2 * bytes).map(|i| (i * 31 % 251) as u8).collect::<Vec<u8>>();
    let luma = width * height;
    for (format, bytes) in [
        ("yuv420p", luma * 3 / 2),
        ("nv12", luma * 3 / 2),
        ("rgb24", luma * 3),
        ("gray8", luma),
        ("gray16le", luma * 2),
    ] {
        let input = frames(bytes);
        let args = [&FAST[..], &size, &["--format", format]].concat();
        let output = stream(&args, &input);
        assert_eq!(output.status.code(), Some(0), "{format}: {}", errors(&output));
        assert!(output.stdout == input, "{format}");
        // One byte less, and rows as libcamera pads them.
        let output = stream(&args, &input[1..]);
        assert_eq!(output.status.code(), Some(3), "{format}");
        let row = bytes / height;
        if format != "nv12" && format != "yuv420p" {
            let mut padded = Vec::new();
            for chunk in input.chunks(row) {
                padded.extend(chunk);
                padded.resize(padded.len().next_multiple_of(64), 0);
            }
            let output = stream(&[&args[..], &["--stride", "auto"]].concat(), &padded);
            assert!(output.stdout == input, "{format} padded: {}", errors(&output));
        }
    }
    let output =
        stream(&[&FAST[..], &size, &["--format", "nv12", "--to", "y4m"]].concat(), &frames(300));
    let line = b"YUV4MPEG2 W20 H10 F30:1 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED\nFRAME\n";
    assert!(output.stdout.starts_with(line), "{}", errors(&output));
    assert_eq!(output.stdout.len(), line.len() + 6 + 2 * 300);
}

#[test]
fn frames_of_a_sensor_become_pictures() {
    let size = ["--size", "20x10", "--steps", "1", "-d", "bayer:rggb"];
    for (format, bytes, black) in [
        ("bayer8", 200, "16"),
        ("bayer10", 400, "64"),
        ("bayer12", 400, "256"),
        ("bayer16", 400, "4096"),
        ("raw10", 250, "64"),
        ("raw12", 300, "256"),
    ] {
        let input: Vec<u8> = (0..bytes).map(|i| (i * 31 % 251) as u8).collect();
        let camera = ["--black", black, "--gains", "1.5,1,1.25", "--format", format];
        let args = [&size[..], &camera].concat();
        let output = stream(&args, &input);
        assert_eq!(output.status.code(), Some(0), "{format}: {}", errors(&output));
        assert_eq!(output.stdout.len(), 600, "{format}");
    }
}

/// A profile is what its numbers are on the command line, which go before it; colours change what
/// comes out, and not what is measured.
#[test]
fn a_camera_has_levels_and_colours() {
    let input: Vec<u8> = (0..200u32).flat_map(|i| [(i * 37 % 251) as u8, (i % 3) as u8]).collect();
    let size = ["--size", "20x10", "--steps", "1", "-d", "bayer:rggb", "--format", "bayer10"];
    let run = |how: &[&str]| {
        let output = stream(&[&size[..], how].concat(), &input);
        assert_eq!(output.status.code(), Some(0), "{how:?}: {}", errors(&output));
        let residual = lines(&errors(&output))[0]["residual_max"].as_f64().unwrap();
        (output.stdout, residual)
    };
    let folder = Folder::new();
    let profile = folder.arg("mine.toml");
    let text = "bits = 12\nblack = 256\ngains = [1.5, 1.0, 1.25]\nnoise = \"2\"\n\
                matrix = [[1.6, -0.5, -0.1], [-0.2, 1.5, -0.3], [0.0, -0.6, 1.6]]\n";
    std::fs::write(&profile, text).unwrap();
    let camera = ["--camera", profile.as_str()];
    let said = ["--black", "64", "--gains", "1.5,1,1.25", "--noise", "2"];
    let colours = ["--colours", "1.6,-0.5,-0.1,-0.2,1.5,-0.3,0,-0.6,1.6"];
    let of_profile = run(&camera);
    assert!(of_profile == run(&[&said[..], &colours].concat()), "levels of 12 bits are scaled");
    let plain = run(&[&camera[..], &["--colours", "1,0,0,0,1,0,0,0,1"]].concat());
    assert!(of_profile.0 != plain.0, "colours are applied");
    assert_eq!(of_profile.1, plain.1, "the residual is that of the camera's own colours");
    assert!(run(&["--camera", "imx219"]).0 != of_profile.0);
}

/// Samples whose place a mask leaves out count for nothing, whatever they say; the others are in
/// the picture to the bit, since codes of 16 bits hold those of 12.
#[test]
fn defects_of_a_packed_sensor_do_not_show() {
    let (width, height) = (32usize, 16usize);
    let folder = Folder::new();
    let dead = |i: usize| i % 37 == 5;
    let value = |i: usize| if dead(i) { -1.0 } else { 1.0 };
    let shape = ddnm::frame::Shape::new(1, height, width);
    let mask = ddnm::frame::Frame::new(shape, (0..width * height).map(value).collect());
    ddnm::io::write(&folder.path("dead.png"), &mask.unwrap(), 8).unwrap();
    let spec = format!("bayer:rggb+mask:{}", folder.arg("dead.png"));
    let code = |i: usize| 300 + (i % width * 8 + i / width * 5) as u16;
    let packed = |hot: u16, bits: u32| -> Vec<u8> {
        let sample = |i: usize| if dead(i) { hot } else { code(i) };
        let samples: Vec<u16> = (0..width * height).map(sample).collect();
        // Written out again here: high bytes, then what is left of each, the first lowest.
        let (group, left) = if bits == 10 { (4, 2) } else { (2, 4) };
        let pack = |s: &[u16]| {
            let low = s.iter().enumerate().map(|(k, s)| (s % (1 << left)) << (left * k));
            let low = low.sum::<u16>() as u8;
            s.iter().map(|s| (s >> left) as u8).chain([low]).collect::<Vec<u8>>()
        };
        samples.chunks(group).flat_map(pack).collect()
    };
    for (format, bits) in [("raw10", 10u32), ("raw12", 12)] {
        let args = ["-d", &spec, "--format", format, "--size", "32x16", "--steps", "2"];
        let args = [&args[..], &["--gamma", "1", "--depth", "16"]].concat();
        let cold = stream(&args, &packed(0, bits));
        assert_eq!(cold.status.code(), Some(0), "{format}: {}", errors(&cold));
        let said = lines(&errors(&cold));
        assert!(said[0]["residual_max"].as_f64().unwrap() < 0.01, "{}", said[0]);
        let hot = stream(&args, &packed((1 << bits) - 1, bits));
        assert!(cold.stdout == hot.stdout, "{format}: defects show");
        let max = f64::from((1u32 << bits) - 1);
        for i in (0..width * height).filter(|i| !dead(*i)) {
            let channel = [[0, 1], [1, 2]][i / width % 2][i % width % 2];
            let at = 2 * (3 * i + channel);
            let found = f64::from(u16::from_le_bytes([cold.stdout[at], cold.stdout[at + 1]]));
            let back = (found / 65535.0 * max).round();
            assert_eq!(back, f64::from(code(i)), "{format}: pixel {i}");
        }
    }
}

#[test]
fn contradictions_are_refused_with_what_was_expected() {
    const GRAY: [&str; 4] = ["--format", "gray8", "--size", "4x4"];
    const RAW_TO_Y4M: [&str; 6] = ["--format", "nv12", "--size", "4x4", "--to", "y4m"];
    const MOST: &str = "18446744073709551615";
    let gray = b"YUV4MPEG2 W16 H16 F24:1 Cmono\n";
    for (args, input, code, says) in [
        (&["--format", "nv12"][..], &b""[..], 2, "--size"),
        (&["--format", "nv21", "--size", "4x4"], b"", 2, "yuv420p"),
        (&["--format", "nv12", "--size", "40x4", "--stride", "39"], b"", 2, "at least the 40"),
        (&["--when-slow", "never"], b"", 2, "drop-oldest"),
        (&["--format", "nv12", "--size", "4x4", "--stride", MOST], b"", 2, "at most 1 GiB"),
        (&["--queue", MOST], FIRST, 2, "queue: expected 1 to"),
        (&["--queue", "0"], FIRST, 2, "queue: expected 1 to"),
        (&["--noise", "auto"], FIRST, 2, "code values or poisson:GAIN,READ, found auto"),
        (&["--size", "16x16"], FIRST, 2, "size: expected frames without a header"),
        (&["--stride", "auto"], FIRST, 2, "stride: expected frames without a header"),
        (&["--rate", "25:1"], FIRST, 2, "rate: expected frames without a header"),
        (&["--format", "nv12", "--size", "4x4", "--rate", "25:1"], b"", 2, "rate: expected --to"),
        (&[&RAW_TO_Y4M[..], &["--rate", "abc def"]].concat(), b"", 2, "N:D"),
        (&["--black", "16"], FIRST, 2, "black: expected frames of a sensor"),
        (&["--depth", "16"], FIRST, 2, "depth: expected frames of a sensor"),
        (&[&GRAY[..], &["--black", "16"]].concat(), b"", 2, "black: expected frames of a sensor"),
        (&[&GRAY[..], &["--white", "200"]].concat(), b"", 2, "white: expected frames of a sensor"),
        (&[&GRAY[..], &["--gains", "1,1,1"]].concat(), b"", 2, "gains: expected frames of a"),
        (&[&GRAY[..], &["--gamma", "1"]].concat(), b"", 2, "gamma: expected frames of a sensor"),
        (&["--format", "raw10", "--size", "4x4"], b"", 2, "bayer:rggb"),
        (&["--camera", "imx219"], FIRST, 2, "frames of a sensor"),
        (&["--format", "raw10", "--size", "4x4", "--camera", "imx1"], b"", 2, "imx477"),
        (&["--range", "wide"], FIRST, 2, "full or limited"),
        (&["--matrix", "bt2020"], FIRST, 2, "bt601 or bt709"),
        (&["--warm", "--mode", "sample"], FIRST, 2, "faithful"),
        (&["--to", "mkv"], FIRST, 2, "y4m, y4m444 or raw"),
        (&["--to", "y4m444"], FIRST, 2, "no R'G'B'"),
        (&["--budget", "soon"], FIRST, 2, "as in 200ms"),
        (&["--budget", "-1s"], FIRST, 2, "as in 200ms"),
        (&["--budget", "1s", "--mode", "sample"], FIRST, 2, "faithful"),
        (&["--max-memory", "1K"], FIRST, 5, "bytes of memory"),
        (&[], b"", 3, "YUV4MPEG2"),
        (&[], b"YUV4MPEG2 W16 H16 It C420\n", 3, "progressive"),
    ] {
        let output = stream(&[&FAST[..], args].concat(), input);
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    let output = stream(&["-d", "bayer:rggb"], FIRST);
    assert_eq!(output.status.code(), Some(3), "{}", errors(&output));
    let output = stream(&["-d", "bayer:rggb"], gray);
    let line = b"YUV4MPEG2 W16 H16 F24:1 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED\n";
    assert!(output.stdout == line, "a mosaic in a gray video has colours: {}", errors(&output));
    assert_eq!(ddnm(&["stream"]).status.code(), Some(2));
}

/// How much is done in a time between nothing and plenty depends on the machine: that is tested
/// with a clock of its own.
#[test]
fn a_budget_of_nothing_evaluates_nothing_and_a_large_one_changes_nothing() {
    let input: Vec<u8> = video(2)
        .iter()
        .enumerate()
        .map(|(i, v)| if i > 70 { (i * 31 % 200) as u8 } else { *v })
        .collect();
    let input = [&input[..FIRST.len()], b"FRAME\n", &input[100..100 + FRAME]].concat();
    let how = ["-d", "sr:2", "--steps", "2"];
    let free = stream(&how, &input);
    assert_eq!(free.status.code(), Some(0), "{}", errors(&free));
    for (budget, evaluations, same) in
        [("0", 0.0, false), ("0ms", 0.0, false), ("1000s", 2.0, true)]
    {
        let output = stream(&[&how[..], &["--budget", budget]].concat(), &input);
        let said = lines(&errors(&output));
        assert_eq!(output.status.code(), Some(0), "{budget}: {}", errors(&output));
        assert_eq!(said[0]["evaluations"], evaluations, "{budget}");
        assert_eq!(said[0]["tiles_skipped"] == 0, same, "{budget}: {}", said[0]);
        assert!(said[0]["residual_max"].as_f64().unwrap() <= 0.5001, "{}", said[0]);
        assert_eq!(output.stdout == free.stdout, same, "{budget}");
    }
    // An operator that needs the whole frame has no tiles to leave out.
    let output = stream(&["-d", "sr:2:bicubic", "--budget", "1s"], &input);
    assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
}

/// Hours of a camera are thousands of frames: whatever grew with each would show.
#[test]
#[cfg(target_os = "linux")]
fn memory_and_open_files_stay_the_same_over_2000_frames() {
    const FRAMES: usize = 2000;
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/models/patch-xs.ddnm");
    let folder = Folder::new();
    let how = ["-d", "none", "--noise", "10", "--steps", "1", "--model", model];
    for more in [&["--log", &folder.arg("log")][..], &["-q", "--warm", "--budget", "10s"]] {
        let mut child = start(&[&how[..], more].concat());
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let process = format!("/proc/{}", child.id());
        // Private memory in KiB, and open files.
        let look = || {
            let text = std::fs::read_to_string(format!("{process}/status")).unwrap();
            let line = text.lines().find(|l| l.starts_with("RssAnon:")).unwrap();
            let memory: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
            (memory, std::fs::read_dir(format!("{process}/fd")).unwrap().count())
        };
        let (width, height) = (32, 32);
        let header = format!("YUV4MPEG2 W{width} H{height}\n");
        stdin.write_all(header.as_bytes()).unwrap();
        stdout.read_exact(&mut vec![0; header.len()]).unwrap();
        let mut frame = b"FRAME\n".to_vec();
        frame.resize(6 + width * height * 3 / 2, 0);
        let mut seen = Vec::new();
        for i in 0..FRAMES {
            // Some frames stand still and some do not.
            let value = |at: usize| (at * (i / 3 % 7 + 1) % 199 + i % 2) as u8;
            frame[6..].iter_mut().enumerate().for_each(|(at, v)| *v = value(at));
            stdin.write_all(&frame).unwrap();
            stdout.read_exact(&mut vec![0; frame.len()]).unwrap();
            if i == 99 || i == FRAMES - 1 {
                seen.push(look());
            }
        }
        drop(stdin);
        assert!(child.wait().unwrap().success());
        let [(memory, files), (last, last_files)] = seen[..] else { panic!("{seen:?}") };
        assert!(last <= memory + memory / 100, "KiB: {memory} at frame 100, {last} at the last");
        assert_eq!(last_files, files, "open files");
    }
}

/// Frames of `width x height`, each of stripes of its own, sent as fast as they are taken; returns
/// the most private memory that was seen, and what was planned.
#[cfg(target_os = "linux")]
fn peak(args: &[&str], width: usize, height: usize) -> (u64, u64) {
    let mut child = start(args);
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let writer = std::thread::spawn(move || {
        stdin.write_all(format!("YUV4MPEG2 W{width} H{height}\n").as_bytes()).unwrap();
        for i in 0..8usize {
            stdin.write_all(b"FRAME\n").unwrap();
            let stripes = (0..width * height * 3 / 2).map(|at| (at / 7 * (i + 1)) as u8);
            stdin.write_all(&stripes.collect::<Vec<u8>>()).unwrap();
        }
    });
    let reader = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    let most = common::most_memory(&mut child);
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    reader.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    let said = lines(&errors(&output));
    (most, said.last().unwrap()["planned_bytes"].as_u64().unwrap())
}

#[test]
#[cfg(target_os = "linux")]
fn a_stream_takes_no_more_memory_than_planned() {
    for (width, height) in [(64, 48), (240, 160), (800, 64)] {
        for args in [
            &["-d", "none", "--noise", "10", "--steps", "2"][..],
            &["-d", "none", "--noise", "10", "--steps", "2", "--warm"],
            &["-d", "sr:2", "--steps", "1"],
        ] {
            let (found, planned) = peak(args, width, height);
            let case = format!("{width}x{height} {args:?}");
            assert!(found <= planned, "{case}: {found} bytes, {planned} planned");
            assert!(2 * found >= planned, "{case}: {found} bytes, {planned} planned");
        }
    }
}

/// Noise that grows with the light: removed, and refused where frames are averaged.
#[test]
fn a_cameras_noise_is_removed_from_frames() {
    const SIZE: (usize, usize) = (64, 48);
    let clean = |i: usize| 30.0 + 180.0 * (i % SIZE.0) as f64 / SIZE.0 as f64;
    let shot = ddnm::noise::NoiseField { seed: 2, frame: 0, draw: 0 };
    let noisy = |i: usize| 3.0 * shot.poisson(clean(i) / 3.0, [0, i / SIZE.0, i % SIZE.0]);
    let input: Vec<u8> = (0..SIZE.0 * SIZE.1).map(|i| noisy(i).min(255.0) as u8).collect();
    let args = ["-d", "none", "--format", "gray8", "--size", "64x48", "--noise", "poisson:3,0"];
    let output = stream(&args, &input);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(output.stdout.len(), input.len());
    let error = |bytes: &[u8]| -> f64 {
        bytes.iter().enumerate().map(|(i, v)| (f64::from(*v) - clean(i)).powi(2)).sum()
    };
    let (before, after) = (error(&input), error(&output.stdout));
    assert!(after < 0.15 * before, "{before} before, {after} after");
    let output = stream(&[&args[..], &["--warm"]].concat(), &input);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("noise of one strength"), "{}", errors(&output));
}
