//! Streams of frames, whole and broken.

use std::path::Path;

use crate::error::{Error, Result};
use crate::io::video::frame_line;
use crate::io::video::{Format, Frames, Header, Next, Packing, Range, RawReader, Y4mReader};

fn name() -> &'static Path {
    Path::new("test")
}

fn parse(line: &str) -> Result<Header> {
    Header::parse(line, name())
}

/// Everything that a reader of these bytes gives, and how it ends.
fn all(mut reader: impl Frames) -> (Vec<Next>, Vec<Vec<u8>>, Option<Error>) {
    let (mut said, mut frames) = (Vec::new(), Vec::new());
    loop {
        let mut bytes = Vec::new();
        match reader.next(&mut bytes) {
            Ok(Next::End) => return (said, frames, None),
            Err(e) => return (said, frames, Some(e)),
            Ok(next) => {
                if matches!(next, Next::Frame { .. }) {
                    frames.push(bytes);
                }
                said.push(next);
            }
        }
    }
}

fn read(bytes: &[u8]) -> (Vec<Next>, Vec<Vec<u8>>, Option<Error>) {
    match Y4mReader::new(bytes, name()) {
        Ok(reader) => all(reader),
        Err(e) => (Vec::new(), Vec::new(), Some(e)),
    }
}

const FIRST: &str = "YUV4MPEG2 W4 H2 F25:1 Ip A1:1 C420jpeg\n";

/// A stream of frames of 12 bytes, each of one value, and where each begins.
fn stream(count: u8) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = FIRST.as_bytes().to_vec();
    let mut starts = Vec::new();
    for i in 0..count {
        starts.push(bytes.len());
        bytes.extend(b"FRAME\n");
        bytes.extend([i; 12]);
    }
    starts.push(bytes.len());
    (bytes, starts)
}

/// The first lines that ffmpeg 5.1 writes.
#[test]
fn headers_of_ffmpeg_are_kept() {
    for (space, across, down, bits) in [
        ("420jpeg XYSCSS=420JPEG", 2, 2, 8),
        ("420mpeg2 XYSCSS=420MPEG2", 2, 2, 8),
        ("420paldv XYSCSS=420PALDV", 2, 2, 8),
        ("420p10 XYSCSS=420P10", 2, 2, 10),
        ("422 XYSCSS=422", 2, 1, 8),
        ("422p10 XYSCSS=422P10", 2, 1, 10),
        ("444 XYSCSS=444", 1, 1, 8),
        ("444p16 XYSCSS=444P16", 1, 1, 16),
        ("411 XYSCSS=411", 4, 1, 8),
    ] {
        for (range, said) in [(Range::Limited, "LIMITED"), (Range::Full, "FULL")] {
            let rest = format!("F30000:1001 Ip A4:3 C{space} XCOLORRANGE={said}");
            let header = parse(&format!("YUV4MPEG2 W33 H17 {rest}")).unwrap();
            let Format { width, height, packing, bits: found, .. } = header.format;
            assert_eq!((width, height, found), (33, 17, bits));
            assert_eq!(packing, Packing::Planar { across, down }, "{space}");
            assert_eq!(header.range, Some(range));
            assert_eq!(header.line(66, 34), format!("YUV4MPEG2 W66 H34 {rest}\n"));
        }
    }
    for (space, bits) in [("mono", 8), ("mono10", 10), ("mono16", 16)] {
        let header = parse(&format!("YUV4MPEG2 W3 H1 F1:1 C{space}")).unwrap();
        assert_eq!((header.format.packing, header.format.bits), (Packing::Mono, bits));
    }
    let bare = parse("YUV4MPEG2 H2 W4").unwrap();
    assert_eq!((bare.format.chroma(), bare.format.bits, bare.range), ((2, 2), 8, None));
    assert_eq!(bare.line(4, 2), "YUV4MPEG2 W4 H2\n");
}

#[test]
fn a_made_up_header_is_understood() {
    for (packing, bits) in
        [(Packing::Planar { across: 2, down: 2 }, 8), (Packing::Mono, 8), (Packing::Mono, 16)]
    {
        let format = Format { width: 6, height: 4, packing, bits, stride: None };
        let line = Header::new(format, Range::Full, "30:1").line(6, 4);
        let header = parse(line.trim_end()).unwrap();
        assert_eq!((header.format, header.range), (format, Some(Range::Full)), "{line}");
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (line, expected, found) in [
        ("YUV4MPEG2 W4 H2 It", "progressive", "It"),
        ("YUV4MPEG2 W4 H2 Im", "progressive", "Im"),
        ("YUV4MPEG2 W4 H2 C444alpha", "420jpeg", "C444alpha"),
        ("YUV4MPEG2 W4 H2 C410", "420jpeg", "C410"),
        ("YUV4MPEG2 W4 H2 C420p17", "420jpeg", "C420p17"),
        ("YUV4MPEG2 W4 H2 C420p8", "420jpeg", "C420p8"),
        ("YUV4MPEG2 H2", "a width", "H2"),
        ("YUV4MPEG2 W4 H2x", "a width", "H2x"),
        ("YUV4MPEG2 W0 H2", "from 1", "0x2"),
        ("YUV4MPEG2 W99999 H2", "65535", "99999x2"),
        ("YUV4MPEG W4 H2", "YUV4MPEG2", "YUV4MPEG W4"),
        ("", "YUV4MPEG2", "nothing"),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains(found), "{line}: {text}");
    }
    let endless = [b'Y'; 5000];
    assert!(read(&endless).2.unwrap().to_string().contains("YYYY"));
    assert!(read(b"\xff\xfe\n").2.is_some());
}

#[test]
fn frames_come_as_they_are_with_their_tags() {
    let mut bytes = FIRST.as_bytes().to_vec();
    for tags in ["", "Ip Xkeep=1"] {
        bytes.extend(frame_line(tags).bytes());
        bytes.extend([5; 12]);
    }
    let (said, frames, error) = read(&bytes);
    assert_eq!(error, None);
    let frame = |tags: &str| Next::Frame { tags: tags.into() };
    assert_eq!(said, [frame(""), frame("Ip Xkeep=1")]);
    assert!(frames == [[5; 12], [5; 12]]);
    assert_eq!(read(FIRST.as_bytes()), (vec![], vec![], None), "no frames at all");
}

#[test]
fn a_stream_cut_anywhere_gives_its_whole_frames_and_an_error() {
    let (bytes, starts) = stream(3);
    for end in 0..=bytes.len() {
        let (said, frames, error) = read(&bytes[..end]);
        let whole = starts.iter().skip(1).filter(|start| **start <= end).count();
        assert_eq!((said.len(), frames.len()), (whole, whole), "cut at {end}");
        match error {
            None => assert!(starts.contains(&end), "cut at {end}"),
            Some(e) => {
                assert!(!starts.contains(&end), "cut at {end}: {e}");
                assert_eq!(e.exit_code(), 3);
            }
        }
    }
}

#[test]
fn a_broken_frame_is_skipped_and_the_next_found() {
    let (whole, starts) = stream(4);
    for (at, broken) in [(0, b"FRAMX\n"), (1, b"GRAME\n"), (1, b"FRAME\xff"), (2, b"FFRAM\n")] {
        let mut bytes = whole.clone();
        bytes[starts[at]..starts[at] + 6].copy_from_slice(broken);
        let (said, frames, error) = read(&bytes);
        assert_eq!(error, None);
        assert_eq!(said.iter().filter(|n| matches!(n, Next::Skipped { .. })).count(), 1);
        let found: Vec<u8> = frames.iter().map(|f| f[0]).collect();
        let expected: Vec<u8> = (0..4).filter(|i| usize::from(*i) != at).collect();
        assert_eq!(found, expected, "{}", broken.escape_ascii());
    }
    // Bytes that were lost or added are noticed where the next frame should begin, and the one
    // behind it is found. The frame itself is taken for whole, with bytes of the next one in place
    // of those that were lost: nothing in the format tells where a frame ends.
    for change in ["lost", "added"] {
        let mut bytes = whole.clone();
        match change {
            "lost" => drop(bytes.drain(starts[1] + 8..starts[1] + 11)),
            _ => drop(bytes.splice(starts[1] + 8..starts[1] + 8, [9; 3])),
        }
        let (said, frames, error) = read(&bytes);
        assert_eq!(error, None);
        assert_eq!(said.iter().filter(|n| matches!(n, Next::Skipped { .. })).count(), 1);
        assert!(frames.last().unwrap() == &[3; 12], "{change}");
        let harmed = [1; 9].iter().chain(b"FRA").copied().collect::<Vec<u8>>();
        assert_eq!(frames[0], [0; 12], "{change}");
        assert_eq!(frames.len(), if change == "lost" { 3 } else { 4 });
        assert_eq!(frames[1] == harmed, change == "lost", "{:?}", frames[1]);
    }
    // A last frame that is broken has none behind it.
    let mut bytes = whole.clone();
    bytes[starts[3]] = b'G';
    let (_, frames, error) = read(&bytes);
    assert_eq!((frames.len(), error.unwrap().exit_code()), (3, 3));
}

#[test]
fn a_huge_frame_in_a_short_stream_takes_no_memory() {
    let line = "YUV4MPEG2 W16384 H16384 C444p16\nFRAME\nabc";
    let mut reader = Y4mReader::new(line.as_bytes(), name()).unwrap();
    let mut bytes = Vec::new();
    let error = reader.next(&mut bytes).unwrap_err();
    assert!(error.to_string().contains("3 of its 1610612736 bytes"), "{error}");
    assert!(bytes.capacity() <= 1 << 20);
}

#[test]
fn raw_frames_that_do_not_add_up_are_explained() {
    let packing = Packing::Planar { across: 2, down: 2 };
    let format = Format { width: 4, height: 2, packing, bits: 8, stride: None };
    let raw = |bytes: &[u8]| all(RawReader::new(bytes, name(), format));
    let (_, frames, error) = raw(&[7; 24]);
    assert_eq!((frames.len(), error), (2, None));
    let (_, frames, error) = raw(&[7; 25]);
    assert_eq!(frames.len(), 2);
    let error = error.unwrap();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("25 bytes, 1 too many"), "{error}");
    assert!(!error.to_string().contains("--stride"), "{error}");
    // Two frames with rows of 64 bytes: 128 + 2 * 32 bytes each.
    let wide = Format { width: 34, ..format };
    let (_, _, error) = all(RawReader::new(&[7; 384][..], name(), wide));
    assert!(error.unwrap().to_string().contains("--stride auto"));
    let (_, frames, error) = all(RawReader::new(&[7; 384][..], name(), wide.padded()));
    assert_eq!((frames.len(), error), (2, None));
}
