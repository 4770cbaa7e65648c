//! Video that ffmpeg makes and reads: it is the peer of `ddnm stream` in every pipe.
#![cfg(unix)]

mod common;

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use common::Folder;
use ddnm::frame::{Frame, Shape};
use ddnm::io::video::{Frames, Next, Y4mReader};
use ddnm::metrics::psnr;

/// Runs `program` with `input` and returns what it wrote.
fn pipe(program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let missing = "ffmpeg is needed for these tests (Debian: apt-get install ffmpeg)";
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{program}: {e}; {missing}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {said}");
    output.stdout
}

fn ddnm(args: &[&str], input: &[u8]) -> Vec<u8> {
    pipe(env!("CARGO_BIN_EXE_ddnm"), &[&["stream", "-q"], args].concat(), input)
}

fn ffmpeg(args: &str, input: &[u8]) -> Vec<u8> {
    let args: Vec<&str> = args.split_whitespace().collect();
    pipe("ffmpeg", &[&["-v", "error", "-nostdin"][..], &args].concat(), input)
}

const CAT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/assets/chelsea.png");

/// A picture that grows by a fortieth with every frame.
const ZOOM: &str = "scale=w=451+12*n:h=300+8*n:eval=frame";

/// A camera that moves over a photograph: `count` frames of 96x64 at 12.5 per second.
fn moving(count: usize, output: &str) -> Vec<u8> {
    let pan = "crop=192:128:80+8*n:60+4*n,scale=96:64:flags=area";
    ffmpeg(&format!("-loop 1 -r 25/2 -i {CAT} -vf {pan} -frames:v {count} {output}"), &[])
}

fn y4m(pixels: &str, count: usize, more: &str) -> Vec<u8> {
    moving(count, &format!("-pix_fmt {pixels} {more} -strict -1 -f yuv4mpegpipe -"))
}

fn first_line(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == b'\n').unwrap();
    String::from_utf8(bytes[..end].to_vec()).unwrap()
}

/// The luma of every frame.
fn luma(bytes: &[u8]) -> Vec<Frame> {
    let mut reader = Y4mReader::new(bytes, "test".as_ref()).unwrap();
    let format = reader.header.format;
    let (mut frames, mut frame) = (Vec::new(), Vec::new());
    while let Next::Frame { .. } = reader.next(&mut frame).unwrap() {
        let plane = frame[..format.width * format.height].iter();
        let shape = Shape::new(1, format.height, format.width);
        let values = plane.map(|b| f32::from(*b) / 127.5 - 1.0).collect();
        frames.push(Frame::new(shape, values).unwrap());
    }
    frames
}

/// The same seed gives the same noise on every machine.
fn noisy(clean: &[u8], sigma: f64) -> Vec<u8> {
    let mut reader = Y4mReader::new(clean, "test".as_ref()).unwrap();
    let header = reader.header.clone();
    let mut out = header.line(header.format.width, header.format.height).into_bytes();
    let mut frame = Vec::new();
    let mut number = 0;
    while let Next::Frame { .. } = reader.next(&mut frame).unwrap() {
        out.extend(b"FRAME\n");
        let field = ddnm::noise::NoiseField { seed: 4, frame: number, draw: 0 };
        out.extend(
            frame
                .iter()
                .enumerate()
                .map(|(i, b)| (f64::from(*b) + sigma * f64::from(field.at(0, 0, i))).round() as u8),
        );
        number += 1;
    }
    out
}

/// Colour spaces, chroma sitings and ranges survive, and frames that lack nothing are the same.
#[test]
fn what_ffmpeg_writes_comes_back_as_it_was() {
    let fast = ["-d", "none", "--steps", "1"];
    for (pixels, more, tags) in [
        ("yuv420p", "-color_range tv", "C420jpeg XYSCSS=420JPEG XCOLORRANGE=LIMITED"),
        ("yuv420p", "-chroma_sample_location left", "C420mpeg2"),
        ("yuv420p", "-chroma_sample_location topleft", "C420paldv"),
        ("yuvj420p", "", "XCOLORRANGE=FULL"),
        ("yuv422p", "", "C422"),
        ("yuv444p", "", "C444"),
        ("yuv411p", "", "C411"),
        ("yuv420p10le", "", "C420p10"),
        ("yuv422p10le", "", "C422p10"),
        ("yuv444p10le", "", "C444p10"),
        ("gray", "", "Cmono"),
        ("gray10le", "", "Cmono10"),
    ] {
        let input = y4m(pixels, 2, more);
        let line = first_line(&input);
        for tag in tags.split(' ').chain(["W96", "H64", "F25:2", "Ip"]) {
            assert!(line.contains(tag), "ffmpeg wrote {line}, without {tag}");
        }
        assert!(ddnm(&fast, &input) == input, "{line}");
    }
}

#[test]
fn ffmpeg_reads_what_comes_out() {
    let input = y4m("yuv420p", 4, "-chroma_sample_location left -color_range pc");
    let output = ddnm(&["-d", "sr:2", "--steps", "1"], &input);
    let line = first_line(&output);
    assert!(line.starts_with("YUV4MPEG2 W192 H128 F25:2 Ip"), "{line}");
    let folder = Folder::new();
    let (video, path) = (folder.path("out.y4m"), folder.arg("out.y4m"));
    std::fs::write(&video, &output).unwrap();
    let entries = "stream=width,height,r_frame_rate,color_range,chroma_location,nb_read_frames";
    let args = ["-v", "error", "-count_frames", "-show_entries", entries, "-of", "csv=p=0", &path];
    let said = String::from_utf8(pipe("ffprobe", &args, &[])).unwrap();
    assert_eq!(said.trim(), "192,128,pc,left,25/2,4");
    // Decoded, it is the same planes.
    let raw = ffmpeg(&format!("-i {path} -f rawvideo -"), &[]);
    let planes: Vec<u8> = output[line.len() + 1..]
        .chunks(6 + 192 * 128 * 3 / 2)
        .flat_map(|frame| frame[6..].to_vec())
        .collect();
    assert!(raw == planes);
}

#[test]
fn raw_frames_of_ffmpeg_are_the_same_picture() {
    let fast = ["-d", "none", "--steps", "1", "--size", "96x64"];
    for (pixels, format) in [
        ("yuv420p", "yuv420p"),
        ("nv12", "nv12"),
        ("rgb24", "rgb24"),
        ("gray", "gray8"),
        ("gray16le", "gray16le"),
    ] {
        let input = moving(2, &format!("-pix_fmt {pixels} -f rawvideo -"));
        assert!(ddnm(&[&fast[..], &["--format", format]].concat(), &input) == input, "{format}");
    }
    // Through YUV4MPEG2 to ffmpeg and back to NV12.
    let input = moving(2, "-pix_fmt nv12 -f rawvideo -");
    let video = ddnm(&[&fast[..], &["--format", "nv12", "--to", "y4m"]].concat(), &input);
    let back = ffmpeg_from(&video, "-pix_fmt nv12 -f rawvideo -");
    assert!(back == input);
}

/// R'G'B' becomes luma and chroma as ffmpeg makes them.
#[test]
fn colours_become_video_as_those_of_ffmpeg() {
    let input = moving(2, "-pix_fmt rgb24 -f rawvideo -");
    let how = ["-d", "none", "--steps", "1", "--format", "rgb24", "--size", "96x64"];
    for (to, matrix, range, pixels, tags) in [
        ("y4m", "bt601", "limited", "yuv420p", "C420jpeg XCOLORRANGE=LIMITED"),
        ("y4m444", "bt709", "full", "yuv444p", "C444 XCOLORRANGE=FULL"),
        ("y4m444", "bt601", "limited", "yuv444p", "C444 XCOLORRANGE=LIMITED"),
    ] {
        let more = ["--to", to, "--matrix", matrix, "--range", range];
        let ours = ddnm(&[&how[..], &more].concat(), &input);
        let line = first_line(&ours);
        assert!(line.starts_with("YUV4MPEG2 W96 H64 F30:1 Ip"), "{line}");
        assert!(tags.split(' ').all(|tag| line.contains(tag)), "{line}");
        let name = if matrix == "bt601" { "smpte170m" } else { "bt709" };
        let scale = "flags=area+accurate_rnd+full_chroma_inp+full_chroma_int";
        let theirs = format!(
            "-v error -f rawvideo -pix_fmt rgb24 -s 96x64 -i - \
             -vf scale=out_color_matrix={name}:out_range={range}:{scale},format={pixels} \
             -f rawvideo -"
        );
        let theirs = pipe("ffmpeg", &theirs.split_whitespace().collect::<Vec<_>>(), &input);
        let planes: Vec<u8> = ours[line.len() + 1..]
            .chunks(6 + theirs.len() / 2)
            .flat_map(|frame| frame[6..].to_vec())
            .collect();
        assert_eq!(planes.len(), theirs.len());
        let apart = planes.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(apart <= 2, "{to} {matrix} {range}: {apart} code values apart");
    }
}

/// ffmpeg reads mosaics too, and fills them in linearly.
#[test]
fn mosaics_become_better_pictures_than_those_of_ffmpeg() {
    let picture = moving(1, "-pix_fmt rgb24 -f rawvideo -");
    let mosaic: Vec<u8> =
        (0..96 * 64).map(|i| picture[3 * i + [[0, 1], [1, 2]][i / 96 % 2][i % 96 % 2]]).collect();
    let args = ["-d", "bayer:rggb", "--format", "bayer8", "--size", "96x64", "--gamma", "1"];
    let ours = ddnm(&args, &mosaic);
    let theirs = "-f rawvideo -pix_fmt bayer_rggb8 -s 96x64 -i - -pix_fmt rgb24 -f rawvideo -";
    let theirs: Vec<&str> = ["-v", "error"].into_iter().chain(theirs.split(' ')).collect();
    let theirs = pipe("ffmpeg", &theirs, &mosaic);
    let quality = |bytes: &[u8]| {
        let frame = |bytes: &[u8]| {
            let values = bytes.iter().map(|b| f32::from(*b) / 127.5 - 1.0).collect();
            Frame::new(Shape::new(1, 64, 96 * 3), values).unwrap()
        };
        psnr(&frame(bytes), &frame(&picture)).unwrap()
    };
    let (ours, theirs) = (quality(&ours), quality(&theirs));
    assert!(ours > theirs + 3.0, "{ours} dB, and ffmpeg {theirs} dB");
}

/// Lets ffmpeg read a YUV4MPEG2 stream from its standard input.
fn ffmpeg_from(video: &[u8], output: &str) -> Vec<u8> {
    let args = format!("-v error -f yuv4mpegpipe -i - {output}");
    pipe("ffmpeg", &args.split_whitespace().collect::<Vec<_>>(), video)
}

#[test]
fn noise_of_a_video_is_removed() {
    for pixels in ["yuv420p", "gray"] {
        let clean = y4m(pixels, 3, "");
        let input = noisy(&clean, 15.0);
        let output = ddnm(&["-d", "none", "--noise", "15"], &input);
        assert_eq!(first_line(&output), first_line(&clean));
        let (clean, input, output) = (luma(&clean), luma(&input), luma(&output));
        assert_eq!(output.len(), 3);
        for ((clean, input), output) in clean.iter().zip(&input).zip(&output) {
            let before = psnr(input, clean).unwrap();
            let after = psnr(output, clean).unwrap();
            assert!(after > before + 4.0, "{pixels}: {before} dB, then {after} dB");
        }
    }
}

/// A camera that stands still: what is known of the scene grows, and the prior rests.
#[test]
fn a_still_scene_costs_less_and_looks_better() {
    let crop = "crop=192:128:80:60,scale=96:64:flags=area";
    let pixels = "-pix_fmt yuv420p -strict -1 -f yuv4mpegpipe -";
    let clean = ffmpeg(&format!("-loop 1 -r 10 -i {CAT} -vf {crop} -frames:v 10 {pixels}"), &[]);
    let input = noisy(&clean, 10.0);
    let folder = Folder::new();
    let log = folder.arg("log");
    let how = ["-d", "none", "--noise", "10", "--log", &log];
    let cold = ddnm(&how, &input);
    std::fs::remove_file(&log).unwrap();
    let warm = ddnm(&[&how[..], &["--warm"]].concat(), &input);
    let lines = std::fs::read_to_string(&log).unwrap();
    let evaluations: Vec<f64> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|line| line["evaluations"].as_f64())
        .collect();
    assert_eq!(evaluations.len(), 10);
    let later: f64 = evaluations[1..].iter().sum();
    assert!(later <= 9.0 * evaluations[0] / 5.0, "{evaluations:?}");
    let quality = |video: &[u8]| {
        let frames = luma(video).into_iter().zip(luma(&clean));
        frames.map(|(x, clean)| psnr(&x, &clean).unwrap()).collect::<Vec<f64>>()
    };
    let (cold, warm) = (quality(&cold), quality(&warm));
    assert_eq!(cold[0], warm[0]);
    assert!((1..10).all(|i| warm[i] > cold[i]), "{warm:?}, cold {cold:?}");
    assert!(warm[9] > cold[9] + 3.0, "{warm:?}, cold {cold:?}");
}

/// A camera that moves or zooms: nothing that has gone may stay behind.
#[test]
fn a_moving_scene_looks_as_good_warm_as_cold() {
    let zoom = format!(
        "-loop 1 -i {CAT} -vf {ZOOM},crop=192:128:100:60,scale=96:64:flags=area -frames:v 4 \
         -pix_fmt yuv420p -strict -1 -f yuv4mpegpipe -"
    );
    for (what, clean) in [("pan", y4m("yuv420p", 4, "")), ("zoom", ffmpeg(&zoom, &[]))] {
        let input = noisy(&clean, 10.0);
        let cold = ddnm(&["-d", "none", "--noise", "10"], &input);
        let warm = ddnm(&["-d", "none", "--noise", "10", "--warm"], &input);
        assert_eq!((luma(&cold).len(), luma(&warm).len()), (4, 4), "{what}");
        for ((cold, warm), clean) in luma(&cold).iter().zip(&luma(&warm)).zip(&luma(&clean)) {
            let (cold, warm) = (psnr(cold, clean).unwrap(), psnr(warm, clean).unwrap());
            assert!(warm > cold - 0.1, "{what}: {warm} dB, cold {cold} dB");
        }
    }
}

/// How much luma changes from frame to frame where the clean video does not, in code values.
fn flicker(video: &[u8], clean: &[u8]) -> f64 {
    let (video, clean) = (luma(video), luma(clean));
    let (mut sum, mut count) = (0.0, 0.0f64);
    for (x, truth) in video.windows(2).zip(clean.windows(2)) {
        for i in 0..x[0].data.len() {
            if truth[0].data[i] == truth[1].data[i] {
                sum += (127.5 * f64::from(x[1].data[i] - x[0].data[i])).powi(2);
                count += 1.0;
            }
        }
    }
    assert!(count > 0.4 * 7.0 * clean[0].data.len() as f64, "{count} pixels stand still");
    (sum / count).sqrt()
}

/// Half of the picture stands still, and in the other half a camera moves or zooms. `cargo bench
/// --bench video` prints such figures for larger videos.
#[test]
fn what_stands_still_flickers_least_warm() {
    let zoom = format!("{ZOOM},crop=96:128:100:60");
    for (what, crop) in [("pan", "crop=96:128:80+9*n:60+4*n"), ("zoom", &zoom)] {
        let args = format!(
            "-loop 1 -i {CAT} -loop 1 -i {CAT} -filter_complex \
             [0]crop=192:128:80:60,scale=96:64:flags=area[still];\
             [1]{crop},scale=48:64:flags=area[half];[still][half]overlay=48:0 \
             -frames:v 8 -pix_fmt yuv420p -strict -1 -f yuv4mpegpipe -"
        );
        let clean = ffmpeg(&args, &[]);
        let input = noisy(&clean, 10.0);
        let cold = ddnm(&["-d", "none", "--noise", "10"], &input);
        let warm = ddnm(&["-d", "none", "--noise", "10", "--warm"], &input);
        let [input, cold, warm] = [&input, &cold, &warm].map(|video| flicker(video, &clean));
        let case = format!("{what}: {warm} warm, {cold} cold, {input} noisy");
        assert!(warm <= input / 2.0 && warm < cold, "{case}");
    }
}

/// A camera without end, `ddnm stream` and a decoder, all at once: frames come out while more come
/// in, and when the one in the middle is told to stop, the other two end by themselves.
#[test]
fn three_processes_live_in_one_pipe() {
    const FRAME: usize = 96 * 64 * 3 / 2;
    const SEEN: usize = 20;
    let camera = format!(
        "-v error -nostdin -loop 1 -r 25/2 -i {CAT} \
         -vf crop=192:128:80+mod(8*n\\,160):60,scale=96:64:flags=area -pix_fmt yuv420p"
    );
    let start = |program: &str, args: &str, input: Stdio, errors: Stdio| {
        let mut command = Command::new(program);
        command.args(args.split_whitespace()).stdin(input).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{program}: {e}"));
        let output = child.stdout.take().unwrap();
        (child, output)
    };
    let endless = format!("{camera} -strict -1 -f yuv4mpegpipe -");
    // What ffmpeg says when its reader goes is of no interest.
    let (mut camera_process, frames) = start("ffmpeg", &endless, Stdio::null(), Stdio::null());
    let program = env!("CARGO_BIN_EXE_ddnm");
    let how = "stream -q -d none --steps 1";
    let (mut stream, restored) = start(program, how, frames.into(), Stdio::inherit());
    let decode = "-v error -f yuv4mpegpipe -i - -f rawvideo -";
    let (mut decoder, mut planes) = start("ffmpeg", decode, restored.into(), Stdio::inherit());
    let mut found = vec![0; SEEN * FRAME];
    planes.read_exact(&mut found).unwrap();
    for process in [&mut camera_process, &mut stream, &mut decoder] {
        assert!(process.try_wait().unwrap().is_none(), "{SEEN} frames have come through");
    }
    let id = stream.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    planes.read_to_end(&mut found).unwrap();
    assert_eq!(stream.wait().unwrap().code(), Some(0));
    assert!(decoder.wait().unwrap().success());
    camera_process.wait().unwrap();
    assert!(found.len().is_multiple_of(FRAME), "{} bytes", found.len());
    let count = found.len() / FRAME;
    let expected = ffmpeg(&format!("{camera} -frames:v {count} -f rawvideo -"), &[]);
    assert!(found == expected, "{count} frames");
}

/// After a cut nothing of the scene before is left: the first frame is as good as one alone.
#[test]
fn a_cut_in_the_middle_begins_anew() {
    let coffee = CAT.replace("chelsea", "coffee");
    let clip = |picture: &str| {
        let crop = "crop=192:128:80:60,scale=96:64:flags=area";
        ffmpeg(
            &format!(
                "-loop 1 -i {picture} -vf {crop} -frames:v 4 -pix_fmt yuv420p -f yuv4mpegpipe -"
            ),
            &[],
        )
    };
    let (before, after) = (noisy(&clip(CAT), 10.0), noisy(&clip(&coffee), 10.0));
    let header = first_line(&before).len() + 1;
    let how = ["-d", "none", "--noise", "10"];
    let log = Folder::new();
    let name = log.arg("log");
    let more = [&how[..], &["--warm", "--log", &name]].concat();
    let cut = ddnm(&more, &[&before[..], &after[header..]].concat());
    let alone = ddnm(&how, &after);
    let frame = 6 + 96 * 64 * 3 / 2;
    let first = |video: &[u8], i: usize| video[header + i * frame..][..frame].to_vec();
    assert!(first(&cut, 4) == first(&alone, 0), "the first frame after the cut");
    let lines = std::fs::read_to_string(&name).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let cuts: Vec<bool> = lines[..8].iter().map(|l| l["cut"].as_bool().unwrap()).collect();
    assert_eq!(cuts, [false, false, false, false, true, false, false, false]);
}
