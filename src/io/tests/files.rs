//! Sets of files: what belongs to them, in which order, and what they become.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Folder;
use crate::io::atomic::remove_leftovers;
use crate::io::files::{Entry, Files, check_distinct};

fn folder_with(names: &[&str]) -> Folder {
    let folder = Folder::new();
    for name in names {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    folder
}

fn listed(files: &Files, recursive: bool) -> Vec<String> {
    let entries = files.list(recursive, Path::new("nowhere")).unwrap();
    entries.iter().map(|e| e.name.display().to_string()).collect()
}

#[test]
fn pictures_of_a_folder_are_found_by_name() {
    let all = ["b.png", "a.JPG", "c.jpeg", "d.npy", "e.txt", ".f.png", "in/g.png", "in/.h/i.png"];
    let folder = folder_with(&all);
    let files = Files::of_input(&folder.0).unwrap();
    assert_eq!(listed(&files, false), ["a.JPG", "b.png", "c.jpeg", "d.npy"]);
    assert_eq!(listed(&files, true), ["a.JPG", "b.png", "c.jpeg", "d.npy", "in/g.png"]);
    let without = files.list(true, &folder.join("in")).unwrap();
    assert_eq!(without.len(), 4, "{without:?}");
    let entry = &files.list(true, Path::new("nowhere")).unwrap()[4];
    let out = Files::of_output(Path::new("out"));
    assert_eq!(out.place(entry, "json").unwrap(), Path::new("out/in/g.json"));
    let numbered = Files::of_output(Path::new("out/%d.png"));
    assert_eq!(numbered.place(entry, "png").unwrap_err().exit_code(), 2);
    // A folder that holds itself.
    #[cfg(unix)]
    std::os::unix::fs::symlink(&folder.0, folder.join("in/loop")).unwrap();
    assert_eq!(listed(&files, true).len(), 5);
    let empty = folder_with(&["readme"]);
    let error = Files::Folder(empty.0.clone()).list(true, Path::new("nowhere")).unwrap_err();
    assert_eq!(error.exit_code(), 3);
}

#[test]
fn numbered_files_are_found_by_number() {
    let folder = folder_with(&["x008.png", "x9.png", "x010.png", "x1000.png", "x0011.png", "y1"]);
    let files = |pattern: &str| Files::of_input(&folder.join(pattern)).unwrap();
    assert_eq!(listed(&files("x%03d.png"), false), ["x008.png", "x010.png", "x1000.png"]);
    assert_eq!(listed(&files("x%d.png"), false), ["x9.png", "x1000.png"]);
    assert_eq!(listed(&files("y%d"), false), ["y1"]);
    let entry = &files("x%03d.png").list(false, Path::new("nowhere")).unwrap()[1];
    assert_eq!(*entry, Entry { name: "x010.png".into(), number: Some(10) });
    let place = |output: &str| Files::of_output(Path::new(output)).place(entry, "png").unwrap();
    assert_eq!(place("out/r%06d.png"), Path::new("out/r000010.png"));
    assert_eq!(place("r%d.png"), Path::new("./r10.png"));
    assert_eq!(place("out"), Path::new("out/x010.png"));
    for single in ["x9.png", "new.png", "%s.png", "%6d.png", "100%.png"] {
        assert_eq!(Files::of_input(&folder.join(single)), None, "{single}");
    }
    // A file of that very name is that file.
    fs::write(folder.join("%d.png"), "").unwrap();
    assert_eq!(Files::of_input(&folder.join("%d.png")), None);
    let error = files("z%d.png").list(false, Path::new("nowhere")).unwrap_err().to_string();
    assert!(error.contains("files such as z0.png"), "{error}");
}

#[test]
fn no_file_is_lost_to_another() {
    let folder = folder_with(&["a.png", "a.jpg"]);
    let (png, jpg, out) = (folder.join("a.png"), folder.join("a.jpg"), folder.join("out.png"));
    let pairs = |pairs: &[(&PathBuf, &PathBuf)]| {
        pairs.iter().map(|(a, b)| ((*a).clone(), (*b).clone())).collect::<Vec<_>>()
    };
    check_distinct(&pairs(&[(&png, &out), (&jpg, &folder.join("b.png"))])).unwrap();
    let refused = |these: Vec<_>| check_distinct(&these).unwrap_err().to_string();
    assert!(refused(pairs(&[(&png, &out), (&jpg, &out)])).contains("becomes"));
    assert!(refused(pairs(&[(&jpg, &png), (&png, &out)])).contains("another name"));
    let around = folder.0.join("../").join(folder.0.file_name().unwrap()).join("a.png");
    assert!(refused(pairs(&[(&png, &around)])).contains("another name"));
}

#[test]
fn what_a_killed_process_left_is_removed_when_it_is_old() {
    let folder = folder_with(&[".a.png.12-0.tmp", ".b.png.13-4.tmp", ".mine.tmp", "c.12-0.tmp"]);
    let days = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
    for old in [".a.png.12-0.tmp", ".mine.tmp", "c.12-0.tmp"] {
        let file = fs::File::options().write(true).open(folder.join(old)).unwrap();
        file.set_modified(days).unwrap();
    }
    remove_leftovers(&folder.0);
    let mut left = folder.names();
    left.sort();
    assert_eq!(left, [".b.png.13-4.tmp", ".mine.tmp", "c.12-0.tmp"]);
}
