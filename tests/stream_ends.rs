//! How streams of frames end: cut ones and broken frames, signals, full disks, readers that have
//! gone or take nothing.
#![cfg(unix)]

mod common;

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::Folder;
use common::pipes::{FAST, FIRST, FRAME, errors, frame, start, stream, video};

#[test]
fn a_stream_cut_anywhere_ends_with_its_whole_frames_and_an_error() {
    let input = video(3);
    let second = FIRST.len() + 6 + FRAME;
    // Every byte of the second frame's header, and places without any order.
    let mut cuts: Vec<usize> = (second..=second + 7).collect();
    cuts.extend((1..=50).map(|i| i * 2_654_435_761usize % input.len()));
    for cut in cuts {
        let output = stream(&FAST, &input[..cut]);
        let at_frame = cut >= FIRST.len() && (cut - FIRST.len()).is_multiple_of(6 + FRAME);
        let code = if at_frame { 0 } else { 3 };
        assert_eq!(output.status.code(), Some(code), "cut at {cut}: {}", errors(&output));
        let whole = cut.saturating_sub(FIRST.len()) / (6 + FRAME) * (6 + FRAME);
        let expected = if cut < FIRST.len() { 0 } else { FIRST.len() + whole };
        assert!(output.stdout == input[..expected], "cut at {cut}");
        if code == 3 {
            let said = errors(&output);
            assert!(said.contains("standard input: expected"), "cut at {cut}: {said}");
        }
    }
}

#[test]
fn a_broken_frame_is_reported_and_the_others_are_done() {
    let mut input = video(4);
    let second = FIRST.len() + 6 + FRAME;
    input[second + 2] = b'-';
    let output = stream(&FAST, &input);
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    let mut expected = FIRST.to_vec();
    [0, 2, 3].iter().for_each(|&v| expected.extend(frame(v)));
    assert!(output.stdout == expected);
    let said = errors(&output);
    assert!(said.contains("expected FRAME after 1 frames read"), "{said}");
    assert!(said.contains("1 broken ones beside 3 whole"), "{said}");
}

/// Reads the header and one frame of a child's output.
fn read_one(child: &mut Child) {
    let mut first = vec![0; FIRST.len() + 6 + FRAME];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
}

fn send(child: &Child, signal: &str) {
    let id = child.id().to_string();
    let done = Command::new("kill").args([signal, &id]).status().unwrap();
    assert!(done.success());
}

#[test]
fn signals_end_a_stream_in_good_order() {
    for (signal, code) in [("-TERM", 0), ("-INT", 130)] {
        let mut child = start(&FAST);
        // The input stays open: nothing but the signal ends it.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&video(1)).unwrap();
        read_one(&mut child);
        send(&child, signal);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{signal}: {}", errors(&output));
        assert_eq!(output.stdout.len(), 0);
        drop(stdin);
    }
    // In the middle of a frame: it is finished and whole.
    let mut child = start(&["-d", "none", "--noise", "20", "--steps", "60", "-q"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&video(3)).unwrap();
    let mut first = vec![0; FIRST.len()];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    send(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.len().is_multiple_of(6 + FRAME), "{}", output.stdout.len());
}

/// Waits until a process has asked for both signals; before that they simply kill it.
#[cfg(target_os = "linux")]
fn wait_for_handlers(child: &Child) {
    const BOTH: u64 = 1 << (2 - 1) | 1 << (15 - 1);
    let begun = Instant::now();
    let caught = || {
        let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
        let line = text.lines().find_map(|l| l.strip_prefix("SigCgt:").map(str::to_owned))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    while caught().unwrap_or(0) & BOTH != BOTH {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The exit code of a process that has to end by itself, and how long that took.
fn end_of(child: &mut Child) -> (Option<i32>, Duration) {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code(), begun.elapsed());
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "still there");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A camera that does not deliver yet: there is nothing to finish.
#[test]
#[cfg(target_os = "linux")]
fn signals_before_the_first_frame_end_a_stream_at_once() {
    for sent in [&b""[..], &FIRST[..20], FIRST] {
        for (signal, code) in [("-TERM", 0), ("-INT", 130)] {
            let mut child = start(&FAST);
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(sent).unwrap();
            wait_for_handlers(&child);
            send(&child, signal);
            assert_eq!(end_of(&mut child).0, Some(code), "{signal} after {} bytes", sent.len());
            drop(stdin);
        }
    }
}

/// A reader that is there but takes nothing: the frame at hand cannot be finished.
#[test]
fn a_reader_that_does_not_read_does_not_keep_a_stream() {
    // A frame is larger than what a pipe holds; once its first byte has come, the rest waits.
    let stuck = || {
        let header = "YUV4MPEG2 W256 H256\n";
        let mut input = format!("{header}FRAME\n").into_bytes();
        input.resize(input.len() + 256 * 256 * 3 / 2, 90);
        let mut child = start(&[&FAST[..], &["-q"]].concat());
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&input).unwrap();
        let mut begin = vec![0; header.len() + 1];
        child.stdout.as_mut().unwrap().read_exact(&mut begin).unwrap();
        (child, stdin)
    };
    let (mut twice, _stdin) = stuck();
    send(&twice, "-TERM");
    std::thread::sleep(Duration::from_millis(300));
    assert!(twice.try_wait().unwrap().is_none(), "the reader may only be slow");
    send(&twice, "-TERM");
    let (code, took) = end_of(&mut twice);
    assert_eq!(code, Some(130));
    assert!(took < Duration::from_secs(3), "{took:?}");
    let cases = [("-TERM", 7), ("-INT", 130)].map(|(signal, code)| (signal, code, stuck()));
    cases.iter().for_each(|(signal, _, (child, _))| send(child, signal));
    for (signal, code, (mut child, _stdin)) in cases {
        assert_eq!(end_of(&mut child).0, Some(code), "{signal}");
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("its reader has taken nothing for 5 s"), "{signal}: {said}");
    }
}

/// Whenever the signal comes, what has been written is the whole frames of a stream that nothing
/// disturbs, as far as it came, and the end is a good one.
#[test]
fn sigterm_at_any_moment_leaves_whole_frames() {
    let input = video(40);
    let how = ["-d", "none", "--noise", "20", "--steps", "3", "-q"];
    let undisturbed = stream(&how, &input);
    assert_eq!(undisturbed.status.code(), Some(0), "{}", errors(&undisturbed));
    assert_eq!(undisturbed.stdout.len(), FIRST.len() + 40 * (6 + FRAME));
    for round in 0..12u64 {
        let mut child = start(&how);
        let mut stdin = child.stdin.take().unwrap();
        let input = input.clone();
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let mut stdout = child.stdout.take().unwrap();
        let mut first = vec![0; FIRST.len()];
        // Before this the program is loaded and may not have asked for signals yet.
        stdout.read_exact(&mut first).unwrap();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).map(|_| bytes)
        });
        std::thread::sleep(Duration::from_micros(round * round * 1300));
        send(&child, "-TERM");
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let frames = reader.join().unwrap().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        assert!(frames.len().is_multiple_of(6 + FRAME), "{} bytes", frames.len());
        assert!(undisturbed.stdout[FIRST.len()..].starts_with(&frames), "round {round}");
    }
}

/// What the disk refuses ends the stream with its own code.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_ends_a_stream() {
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let run = |args: &[&str], out: Stdio| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ddnm"))
            .args([&["stream"], &FAST[..], args].concat())
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let _ = stdin.write_all(&video(3));
        drop(stdin);
        child.wait_with_output().unwrap()
    };
    let output = run(&["-q"], full());
    assert_eq!(output.status.code(), Some(7), "{}", errors(&output));
    assert!(errors(&output).contains("standard output: the disk is full"), "{}", errors(&output));
    let output = run(&["--log", "/dev/full"], Stdio::piped());
    assert_eq!(output.status.code(), Some(7), "{}", errors(&output));
    assert!(errors(&output).contains("/dev/full: the disk is full"), "{}", errors(&output));
    assert!(output.stdout.starts_with(&video(1)), "the frame at hand is whole");
}

/// A video on a disk that fills up: what is there is the begin of the whole one.
#[test]
#[cfg(target_os = "linux")]
fn a_small_disk_that_fills_up_keeps_the_finished_frames() {
    let folder = Folder::new();
    let input = video(200);
    std::fs::write(folder.path("in.y4m"), &input).unwrap();
    let (disk, copy) = (folder.arg("disk"), folder.arg("copy"));
    let script = "exec \"$0\" stream -d none --steps 1 -q > \"$1\"";
    let out = format!("{disk}/out.y4m");
    let command = ["sh", "-c", script, env!("CARGO_BIN_EXE_ddnm"), &out];
    let from = std::fs::File::open(folder.path("in.y4m")).unwrap();
    let done = common::on_a_small_disk("32k", [&disk, &copy], &command, from.into());
    let Some(output) = done else { return };
    assert_eq!(output.status.code(), Some(7), "{}", errors(&output));
    assert!(errors(&output).contains("standard output: the disk is full"), "{}", errors(&output));
    let found = std::fs::read(folder.path("copy/out.y4m")).unwrap();
    assert!(found.len() > 16 << 10 && found.len() <= 32 << 10, "{} bytes", found.len());
    assert!(input.starts_with(&found));
}

#[test]
fn a_reader_that_has_gone_is_a_normal_end() {
    let mut child = start(&FAST);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&video(1)).unwrap();
    read_one(&mut child);
    drop(child.stdout.take());
    // More frames than a pipe holds; the program ends and does not take them all.
    let _ = (0..200).try_for_each(|i| stdin.write_all(&frame(i)));
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert!(!errors(&output).contains("panic"), "{}", errors(&output));
}
