//! Every operator of every step stands in the table, and the table is of the version in use.

use super::super::table;
use super::equality::{DDIM, SPECS, SPLIT};
use super::*;

/// The steps of a restoration, decluttered.
fn left_behind(
    spec: &str,
    shape: Shape,
    model: &Model,
    settings: &Settings,
    of: Precision,
) -> Vec<String> {
    let a = operator(spec, shape);
    let graphs =
        job(&*a, model, settings, of).graphs().unwrap().into_iter().map(|(_, graph)| graph);
    graphs.flat_map(|graph| table::left_behind(&graph).unwrap()).collect()
}

#[test]
fn no_node_of_any_step_is_left_behind() {
    let model = model("patch-xs");
    // Which nodes a graph has does not depend on the processor, and emulators take minutes.
    let specs = if cfg!(target_arch = "x86_64") { &SPECS[..] } else { &SPECS[..2] };
    for spec in specs {
        for (mode, precision) in
            [(Mode::Faithful, Precision::F16), (SPLIT, Precision::F32), (DDIM, Precision::F16)]
        {
            for sigma_y in [0.0, 0.1] {
                check(spec, Shape::new(3, 37, 42), &model, mode, sigma_y, precision);
            }
        }
    }
    let larger = self::model("patch-s");
    check("sr:2", Shape::new(3, 24, 24), &larger, Mode::Faithful, 0.1, Precision::F32);
}

fn check(spec: &str, shape: Shape, model: &Model, mode: Mode, sigma_y: f64, precision: Precision) {
    let left = left_behind(spec, shape, model, &settings(model, mode, sigma_y, 2), precision);
    assert!(left.is_empty(), "{spec}, {mode:?}, {sigma_y}, {precision:?}:\n{}", left.join("\n"));
}

#[test]
fn what_the_table_lacks_is_left_behind() {
    // The network as it is, with its transposed convolutions.
    let graph = model("patch-xs").graph(1, 16, 16).unwrap();
    let left = table::left_behind(&graph).unwrap();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().all(|node| node.contains("Deconv")), "{left:?}");
}

#[test]
fn the_table_is_of_the_version_in_use() {
    let lock = include_str!("../../../Cargo.lock");
    for name in ["tract-cuda", "tract-gpu", "tract-core"] {
        let wanted = format!("name = \"{name}\"\nversion = \"{}\"\n", table::VERSION);
        assert!(lock.contains(&wanted), "{name} is another version: read the table's lines again");
    }
}
