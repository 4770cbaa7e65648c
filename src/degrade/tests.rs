use super::check::identities;
use super::*;
use crate::error::Error;
use crate::frame::{Rows, from_code};
use std::path::Path;

/// A mask of the asked size whose values follow from a hash of their place: about half 0, some
/// in between, most of the rest 1.
fn mask(shape: Shape, binary: bool) -> Frame {
    let value = |i: usize| match (i.wrapping_mul(2_654_435_761) >> 7) % 8 {
        0..4 => -1.0,
        4 if !binary => -0.2,
        5 if !binary => 0.6,
        _ => 1.0,
    };
    Frame::new(shape, (0..shape.len()).map(value).collect()).unwrap()
}

/// A loader that makes masks of any size: `WxH`, with `c` in front for colour, `b` for binary.
fn load(path: &Path) -> Result<Box<dyn Rows>> {
    let name = path.to_str().unwrap();
    let (w, h) = name.trim_start_matches(['c', 'b']).split_once('x').unwrap();
    let channels = if name.starts_with('c') { 3 } else { 1 };
    let shape = Shape::new(channels, h.parse().unwrap(), w.parse().unwrap());
    Ok(mask(shape, name.contains('b')).into())
}

fn build(spec: &str, scene: Shape) -> Box<dyn Degradation> {
    Spec::parse(spec).unwrap().build(scene, &load).unwrap()
}

/// Specs for a scene of this size, all operators and every kind of composition.
fn specs(w: usize, h: usize) -> Vec<String> {
    let (w2, h2) = (w.div_ceil(2), h.div_ceil(2));
    let mut specs: Vec<String> = [
        "none",
        "gray",
        "gray:601",
        "gray:709",
        "bayer:rggb",
        "bayer:bggr",
        "bayer:grbg",
        "bayer:gbrg",
    ]
    .map(String::from)
    .into();
    specs.extend((2..=16).map(|n| format!("sr:{n}")));
    specs.extend([
        format!("mask:b{w}x{h}"),
        format!("mask:c{w}x{h}"),
        format!("mask:{w}x{h}"),
        format!("gray+mask:{w}x{h}+sr:2"),
        format!("gray+mask:{w}x{h}+sr:3"),
        format!("mask:c{w}x{h}+gray+sr:4"),
        format!("sr:2+mask:{w2}x{h2}"),
        format!("sr:2+bayer:grbg+mask:b{w2}x{h2}"),
        format!("bayer:rggb+mask:{w}x{h}"),
        format!("mask:c{w}x{h}+bayer:gbrg"),
        "bayer:rggb+sr:2".into(),
        "420".into(),
        "422".into(),
        "411".into(),
        "444".into(),
        "sr:2+420".into(),
        "sr:3+422".into(),
        format!("mask:{w}x{h}+420"),
        "sr:2+sr:3".into(),
        "sr:3+gray+sr:2".into(),
        format!("mask:{w}x{h}+mask:b{w}x{h}"),
    ]);
    specs
}

#[test]
fn every_operator_satisfies_its_identities_at_every_size() {
    for (w, h) in [(12, 8), (7, 5), (1, 9), (16, 1), (33, 19), (1, 1)] {
        let scene = Shape::new(3, h, w);
        for spec in specs(w, h) {
            let a = match Spec::parse(&spec).unwrap().build(scene, &load) {
                // Tiny masks can come out all black, which is refused.
                Err(Error::Shape { found, .. }) if found == "nothing" => continue,
                a => a.unwrap(),
            };
            assert_eq!(a.spec(), spec);
            let found = identities(&a, Region::whole(scene));
            assert!(found.worst() < 2e-6, "{spec} at {w}x{h}: {found:?}");
        }
    }
}

#[test]
fn the_declared_spectrum_is_the_one_of_the_dense_matrix() {
    for (w, h) in [(8, 6), (7, 5)] {
        let scene = Shape::new(3, h, w);
        for spec in specs(w, h) {
            let a = build(&spec, scene);
            let whole = Region::whole(scene);
            let m = a.measurement().len();
            let mut declared = vec![0.0; m];
            a.singular_values(whole, &mut declared);
            for i in 0..m {
                // Column i of A A^T: all of it is the declared value on the diagonal.
                let mut unit = vec![0.0; m];
                unit[i] = 1.0;
                let (mut x, mut column) = (vec![0.0; scene.len()], vec![0.0; m]);
                a.adjoint(whole, &unit, &mut x);
                a.apply(whole, &x, &mut column);
                for (j, v) in column.iter().enumerate() {
                    let expected = if i == j { declared[i].powi(2) } else { 0.0 };
                    assert!((v - expected).abs() < 1e-6, "{spec} {w}x{h} entry {i},{j}: {v}");
                }
                let row_sum: f32 = x.iter().map(|v| v.abs()).sum();
                assert!(row_sum <= a.max_row_sum() * 1.000_01, "{spec}: {row_sum}");
            }
            let nonzero = || declared.iter().copied().filter(|&s| s > 0.0);
            let (min, max) = (nonzero().fold(f32::MAX, f32::min), nonzero().fold(0.0, f32::max));
            match a.spectrum() {
                Spectrum::Flat(s) => assert_eq!((min, max), (s, s), "{spec}"),
                Spectrum::Diagonal { min: lo, max: hi } => {
                    assert_eq!((min, max), (lo, hi), "{spec}")
                }
                other => panic!("{spec}: {other:?}"),
            }
        }
    }
}

#[test]
fn singular_values_are_those_of_the_literature() {
    let scene = Shape::new(3, 12, 12);
    for (spec, s) in
        [("none", 1.0), ("sr:3", 1.0 / 3.0), ("gray", 1.0 / 3f32.sqrt()), ("bayer:rggb", 1.0)]
    {
        match build(spec, scene).spectrum() {
            Spectrum::Flat(found) => assert!((found - s).abs() < 1e-6, "{spec}: {found}"),
            other => panic!("{spec}: {other:?}"),
        }
    }
}

#[test]
fn a_region_gives_what_the_whole_frame_gives_there() {
    let scene = Shape::new(3, 26, 31);
    for spec in specs(31, 26) {
        let a = build(&spec, scene);
        let p = a.period();
        let x: Vec<f32> = (0..scene.len()).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
        let mut y = vec![0.0; a.measurement().len()];
        a.apply(Region::whole(scene), &x, &mut y);
        // From the second period to the frame's edge, and one period in the middle.
        for (height, width) in [(26usize.saturating_sub(p), 31usize.saturating_sub(p)), (p, p)] {
            let region = Region { y: p, x: p, height, width };
            if height == 0 || width == 0 || 2 * p > 26 {
                continue;
            }
            let measured = a.measured(region);
            let (mut part, mut expected) = (
                vec![0.0; region.shape(3).len()],
                vec![0.0; measured.shape(a.measurement().channels).len()],
            );
            crate::frame::crop(&x, scene, region, &mut part);
            crate::frame::crop(&y, a.measurement(), measured, &mut expected);
            let mut found = vec![0.0; expected.len()];
            a.apply(region, &part, &mut found);
            assert_eq!(found, expected, "{spec} {region:?}");
            assert!(identities(&a, region).worst() < 2e-6, "{spec} {region:?}");
        }
    }
}

#[test]
fn files_are_in_units_of_light() {
    let scene = Shape::new(3, 4, 4);
    let a = build("gray+mask:b4x4+sr:2", scene);
    // A white scene: each block is as bright as its share of measured pixels, black where none.
    let white = vec![1.0; scene.len()];
    let mut y = vec![0.0; 4];
    a.apply(Region::whole(scene), &white, &mut y);
    let file = to_file(&a, &y).unwrap();
    let mut gain = vec![0.0; 4];
    a.dc_gain(Region::whole(scene), &mut gain);
    for (v, g) in file.data.iter().zip(&gain) {
        assert!((v - (2.0 * g - 1.0)).abs() < 1e-6);
    }
    let back = measurement(&a, &file).unwrap();
    for (b, y) in back.data.iter().zip(&y) {
        assert!((b - y).abs() < 1e-6);
    }
    // What a hole shows in the file does not matter.
    let a = build("mask:b4x4", scene);
    let mut file = Frame::filled(scene, 0.25);
    let first = measurement(&a, &file).unwrap();
    let m = mask(Shape::new(1, 4, 4), true);
    let hole = m.data.iter().position(|&v| v < 0.0).unwrap();
    file.data[hole] = from_code(255, 8);
    assert_eq!(measurement(&a, &file).unwrap().data, first.data);
}

#[test]
fn scene_sizes_follow_from_measurements() {
    let measured = Shape::new(3, 150, 226);
    let spec = Spec::parse("sr:2").unwrap();
    assert_eq!(spec.build_for(measured, None, &load).unwrap().scene(), Shape::new(3, 300, 452));
    let a = spec.build_for(measured, Some((451, 300)), &load).unwrap();
    assert_eq!((a.scene(), a.measurement()), (Shape::new(3, 300, 451), measured));
    assert!(spec.build_for(measured, Some((450, 300)), &load).is_err());
    let mosaic = Spec::parse("bayer:rggb").unwrap();
    let a = mosaic.build_for(Shape::new(1, 5, 7), None, &load).unwrap();
    assert_eq!(a.scene(), Shape::new(3, 5, 7));
    let gray = spec.build_for(Shape::new(1, 5, 7), None, &load).unwrap();
    assert_eq!(gray.scene(), Shape::new(1, 10, 14));
}

#[test]
fn a_gray_colour_file_passes_for_gray_and_a_colourful_one_does_not() {
    let a = build("gray", Shape::new(3, 2, 2));
    let mut file = Frame::filled(Shape::new(3, 2, 2), 0.5);
    assert_eq!(measurement(&a, &file).unwrap().shape, Shape::new(1, 2, 2));
    file.data[0] = 0.0;
    assert!(measurement(&a, &file).is_err());
}

#[test]
fn bad_specs_name_the_part_and_what_exists() {
    let cases = [
        ("sr:1", "sr:1", "2 to 16"),
        ("sr:17", "sr:17", "2 to 16"),
        ("sr", "sr", "factor"),
        ("gray+foo:3", "foo:3", "bayer"),
        ("gray+", "", "one of"),
        ("", "", "one of"),
        ("bayer:rgbg", "bayer:rgbg", "bayer:gbrg"),
        ("mask:", "mask:", "picture"),
        ("none:2", "none:2", "without"),
        ("gray:2", "gray:2", "709"),
        ("sr:4:cubic", "sr:4:cubic", "sr:4:bicubic"),
    ];
    for (spec, bad, hint) in cases {
        match Spec::parse(spec) {
            Err(Error::Spec { part, expected, .. }) => {
                assert_eq!(part, bad, "{spec}");
                assert!(expected.contains(hint), "{spec}: {expected}");
            }
            other => panic!("{spec}: {other:?}"),
        }
    }
    let scene = Shape::new(3, 6, 6);
    for spec in ["gray+gray", "bayer:rggb+gray", "mask:5x6", "gray+mask:c6x6"] {
        assert!(Spec::parse(spec).unwrap().build(scene, &load).is_err(), "{spec}");
    }
}

#[test]
fn the_classical_estimate_agrees_with_the_measurement() {
    let scene = Shape::new(3, 19, 33);
    for spec in specs(33, 19) {
        let a = build(&spec, scene);
        let x: Vec<f32> = (0..scene.len()).map(|i| (i as f32 * 0.37).sin() * 0.9).collect();
        let whole = Region::whole(scene);
        let (mut y, mut again) =
            (vec![0.0; a.measurement().len()], vec![0.0; a.measurement().len()]);
        a.apply(whole, &x, &mut y);
        let guess = a.classical(&y);
        a.apply(whole, &guess, &mut again);
        for (y, b) in y.iter().zip(&again) {
            assert!((y - b).abs() < 1e-5, "{spec}: {y} {b}");
        }
    }
}

/// Blocks of the estimate see only the rows that they ask for, whatever the blocks around them.
#[test]
fn the_classical_estimate_of_a_block_needs_its_support_alone() {
    let scene = Shape::new(3, 301, 9);
    for spec in ["none", "sr:2", "sr:3", "gray", "bayer:grbg", "gray+sr:2", "sr:2+bayer:rggb"] {
        let a = build(spec, scene);
        let y: Vec<f32> = (0..a.measurement().len()).map(|i| (i as f32 * 0.7).sin()).collect();
        let whole = a.classical(&y);
        let block = a.classical_block();
        assert!(block < scene.height && block.is_multiple_of(a.period()), "{spec}: {block}");
        for top in (0..scene.height).step_by(block) {
            let rows = top..(top + block).min(scene.height);
            let support = a.classical_support(rows.clone());
            let part = rows_of(&y, a.measurement(), support.clone());
            let mut estimate = vec![0.0; scene.channels * rows.len() * scene.width];
            a.classical_rows(rows.clone(), &part, &mut estimate);
            assert!(
                estimate == rows_of(&whole, scene, rows.clone()),
                "{spec} {rows:?} {support:?}"
            );
        }
    }
}
