//! What is written comes back, and appears whole or not at all.

use super::*;
use std::fs;
use std::io::{self, Write};

#[test]
fn everything_survives_the_round_trip() {
    let folder = Folder::new();
    for channels in [1, 3] {
        for bits in [8, 16] {
            for alpha in [false, true] {
                let frame = rich(channels, bits, alpha);
                let path = folder.join("picture.PNG");
                write(&path, &frame, bits).unwrap();
                assert_eq!(read(&path).unwrap(), frame, "{channels} {bits} {alpha}");
            }
        }
    }
    assert_eq!(folder.names(), ["picture.PNG"]);
}

#[test]
fn sixteen_bits_become_the_nearest_of_eight() {
    let frame = memory(&png_bytes(&rich(3, 16, true), 8)).unwrap();
    assert_eq!(frame.origin.bit_depth, 8);
    let (wide, narrow) = (rich(3, 16, true).origin.alpha.unwrap(), frame.origin.alpha.unwrap());
    assert!(wide.iter().zip(&narrow).all(|(a, b)| a.abs_diff(*b) <= 128));
    let plain = Frame::filled(Shape::new(1, 2, 2), 7.0);
    assert_eq!(memory(&png_bytes(&plain, 8)).unwrap().data, [1.0; 4]);
}

#[test]
fn what_does_not_fit_the_picture_is_left_out() {
    let mut frame = rich(3, 8, true);
    frame.origin.alpha = Some(vec![1; 5]);
    frame.origin.icc = Some(profile(b"GRAY"));
    let back = memory(&png_bytes(&frame, 8)).unwrap();
    assert_eq!((back.origin.alpha, back.origin.icc), (None, None));
    assert_eq!(back.data, frame.data);
}

#[test]
fn impossible_requests_are_refused() {
    let folder = Folder::new();
    let frame = rich(3, 8, false);
    for name in ["a.jpg", "a", "png", ".png", "a.png.tmp"] {
        let error = write(&folder.join(name), &frame, 8).unwrap_err();
        assert!(matches!(&error, Error::Usage(why) if why.contains("PNG")), "{name}: {error}");
    }
    assert!(matches!(write(&folder.join("a.png"), &frame, 12), Err(Error::Usage(_))));
    let two = Frame::filled(Shape::new(2, 3, 3), 0.0);
    assert!(matches!(write(&folder.join("a.png"), &two, 8), Err(Error::Shape { .. })));
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

#[test]
fn a_file_appears_only_at_its_commit() {
    let folder = Folder::new();
    let path = folder.join("a.json");
    write_bytes(&path, b"old").unwrap();
    let mut file = AtomicFile::create(&path).unwrap();
    if super::super::nameless::create(&folder.0).is_some() {
        // Nothing for a killed process to leave.
        assert_eq!(folder.names(), ["a.json"]);
    }
    file.write_all(b"half").unwrap();
    file.flush().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    drop(file);
    assert_eq!(folder.names(), ["a.json"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");

    let mut file = AtomicFile::create(&path).unwrap();
    file.write_all(b"new").unwrap();
    file.commit().unwrap();
    assert_eq!(folder.names(), ["a.json"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
}

#[test]
fn a_failed_commit_leaves_nothing_behind() {
    let folder = Folder::new();
    let path = folder.join("a.txt");
    let mut file = AtomicFile::create(&path).unwrap();
    file.write_all(b"late").unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(file.commit(), Err(Error::Output { .. })));
    assert_eq!(folder.names(), ["a.txt"]);
    assert!(path.is_dir());
}

#[test]
fn two_writers_of_one_name_do_not_mix() {
    let folder = Folder::new();
    let path = folder.join("a.txt");
    let mut first = AtomicFile::create(&path).unwrap();
    let mut second = AtomicFile::create(&path).unwrap();
    first.write_all(b"first").unwrap();
    second.write_all(b"second").unwrap();
    second.commit().unwrap();
    first.commit().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "first");
    assert_eq!(folder.names(), ["a.txt"]);
}

#[test]
fn bad_places_are_found_before_and_at_the_write() {
    let folder = Folder::new();
    write_bytes(&folder.join("file"), b"x").unwrap();
    fs::create_dir(folder.join("dir.png")).unwrap();
    for (name, why) in [
        ("nowhere/a.png", "no such folder"),
        ("dir.png", "it is a folder"),
        ("new/", "it is a folder"),
        ("file/a.png", "not a folder"),
    ] {
        let path = folder.join(name);
        for result in [check_writable(&path), write_bytes(&path, b"x")] {
            let error = result.unwrap_err();
            assert_eq!(error.exit_code(), 7);
            assert!(error.to_string().contains(why), "{name}: {error}");
            assert!(error.to_string().contains(name), "{name}: {error}");
        }
    }
    check_writable(&folder.join("fine.png")).unwrap();
    check_writable(&folder.join(&format!("{}.png", "n".repeat(250)))).unwrap();
    check_writable(Path::new("-")).unwrap();
    check_writable(Path::new("name-without-folder.png")).unwrap();
    let mut names = folder.names();
    names.sort();
    assert_eq!(names, ["dir.png", "file"]);
}

#[test]
#[cfg(unix)]
fn links_are_followed_and_modes_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = Folder::new();
    let (real, link) = (folder.join("real.txt"), folder.join("link.txt"));
    write_bytes(&real, b"old").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.txt", &link).unwrap();
    write_bytes(&link, b"new").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), "new");
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
#[cfg(target_os = "linux")]
fn devices_are_written_not_replaced() {
    use std::os::unix::fs::FileTypeExt;
    check_writable(Path::new("/dev/null")).unwrap();
    write_bytes(Path::new("/dev/null"), b"gone").unwrap();
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    let error = write_bytes(Path::new("/dev/full"), b"no room").unwrap_err();
    assert_eq!(error.to_string(), "cannot write /dev/full: the disk is full");
}

/// Takes some bytes, then fails like a pipe whose reader has gone.
struct Closing(usize);

impl Write for Closing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let n = bytes.len().min(self.0);
        self.0 -= n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_broken_pipe_is_told_apart_wherever_it_breaks() {
    let frame = rich(3, 16, true);
    let whole = png_bytes(&frame, 16).len();
    for room in 0..whole {
        let error = encode(&mut Closing(room), Path::new("pipe"), &frame, 16).unwrap_err();
        assert!(is_broken_pipe(&error), "after {room} bytes: {error}");
    }
    encode(&mut Closing(whole), Path::new("pipe"), &frame, 16).unwrap();
    assert!(!is_broken_pipe(&Error::output(Path::new("a"), "the disk is full")));
}
