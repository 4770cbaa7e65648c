//! How much of each value was measured.

mod common;

use common::{Folder, ok, part};
use ddnm::degrade::{self, Spec};
use ddnm::frame::{Region, Shape};
use ddnm::io;

/// The diagonal of `A+ A` from its columns, one by one, and its sum, which is the rank.
#[test]
fn the_share_is_the_diagonal_of_the_projector() {
    let scene = Shape::new(3, 8, 10);
    for (spec, tolerance) in
        [("sr:3", 1e-5), ("bayer:grbg", 1e-5), ("gray:601+sr:2", 1e-5), ("blur:gauss:1.2", 0.5)]
    {
        let a = Spec::parse(spec).unwrap().build(scene, &io::rows).unwrap();
        let whole = Region::whole(scene);
        let mut share = vec![0.0; scene.len()];
        degrade::measured_share(&a, whole, &mut share);
        let mut y = vec![0.0; a.measurement().len()];
        let mut column = vec![0.0; scene.len()];
        let (mut trace, mut square) = (0.0f64, 0.0f64);
        for (i, found) in share.iter().enumerate() {
            let mut one = vec![0.0; scene.len()];
            one[i] = 1.0;
            a.apply(whole, &one, &mut y);
            a.pinv(whole, &y, &|_| 1.0, &mut column);
            let off = found - column[i];
            assert!(off.abs() <= tolerance, "{spec}: {found}, expected {}", column[i]);
            trace += f64::from(column[i]);
            square += f64::from(off).powi(2);
        }
        let rms = (square / share.len() as f64).sqrt();
        assert!(rms < 0.125, "{spec}: off by {rms}");
        let sum: f64 = share.iter().map(|v| f64::from(*v)).sum();
        assert!((sum / trace - 1.0).abs() < 0.05, "{spec}: {sum}, trace {trace}");
    }
}

#[test]
fn a_picture_of_it_is_written_on_request() {
    let folder = Folder::new();
    let (x, y, out, map) =
        (folder.arg("x.png"), folder.arg("y.png"), folder.arg("out.png"), folder.arg("map.png"));
    io::write(x.as_ref(), &part("chelsea.png", 120, 60, 49, 41), 8).unwrap();
    ok(&["degrade", &x, "-o", &y, "-d", "bayer:rggb"]);
    let args = ["restore", &y, "-o", &out, "-d", "bayer:rggb", "--steps", "1"];
    ok(&[&args[..], &["--measured", &map]].concat());
    let share = io::read(map.as_ref()).unwrap();
    assert_eq!(share.shape, Shape::new(3, 41, 49));
    for (i, v) in share.data.iter().enumerate() {
        let (c, row, column) = (i / share.shape.plane(), i % share.shape.plane() / 49, i % 49);
        let colour = row % 2 + column % 2;
        assert_eq!(*v, if c == colour { 1.0 } else { -1.0 }, "{c} {row} {column}");
    }
}
