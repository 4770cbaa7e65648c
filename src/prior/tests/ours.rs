//! Our operators in place of tract's.

use std::path::Path;

use crate::frame::Shape;
use crate::kernels::Isa;
use crate::network::Arithmetic;
use crate::prior::{Manifest, Model, Prior, bundled};
use crate::weights::{self, Bytes, Format};

fn onnx() -> Model {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models/patch-s.toml"));
    let text = std::fs::read_to_string(path).unwrap();
    let bytes = std::fs::read(path.with_extension("onnx")).unwrap();
    Model::onnx(Manifest::parse(&text, path).unwrap(), &bytes, path).unwrap()
}

/// `x0` of a window of noise.
fn evaluate(model: &Model, height: usize, width: usize, sigma: f64) -> Vec<f32> {
    let shape = Shape { channels: 3, height, width };
    let field = crate::noise::NoiseField { seed: 7, frame: 0, draw: 1 };
    let x: Vec<f32> = (0..shape.len()).map(|i| 0.4 * field.at(0, i / 64, i % 64)).collect();
    let mut x0 = vec![0.0; x.len()];
    let level = model.diffusion().at_sigma(sigma);
    model.evaluator(height, width).unwrap().x0(&x, level, &mut x0).unwrap();
    x0
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_bundled_prior_is_the_packed_onnx_model() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/patch-s.ddnm");
    let packed = onnx().pack(Format::F32).unwrap();
    assert!(packed == std::fs::read(path).unwrap(), "models/patch-s.ddnm is out of date");
    Model::packed(Bytes::copy(&packed), Path::new(path), true).unwrap();
}

#[test]
fn all_of_the_bundled_prior_is_ours_and_few_layers() {
    let (network, _) = bundled().unwrap().network().unwrap();
    let pictures = ["conv", "transposed", "pointwise", "add", "concat", "space-to-depth"];
    let names = network.layers.iter().map(|l| l.op.name());
    let count = names.filter(|name| pictures.contains(name)).count();
    // 18 convolutions and 2 transposed ones, with all that stands between them.
    assert_eq!(count, 18);
}

#[test]
fn ours_is_what_tract_computes() {
    let tract = onnx().with_tract_alone();
    for (height, width, sigma) in [(64, 64, 0.1), (40, 72, 1.0), (8, 16, 0.02)] {
        let expected = evaluate(&tract, height, width, sigma);
        for isa in Isa::available_in_floats() {
            let found = evaluate(&bundled().unwrap().with_isa(isa), height, width, sigma);
            let error = worst(&found, &expected);
            assert!(error < 2e-5, "{isa:?}, {width}x{height}, sigma {sigma}: {error:e}");
        }
    }
}

/// `f16` and `int8` files are half and a quarter as large, and close to single precision.
#[test]
fn narrow_weights_are_small_and_close() {
    let whole = onnx();
    let expected = evaluate(&whole, 64, 64, 0.2);
    let sizes = [(Format::F32, 0, 0.0), (Format::F16, 2, 1e-3), (Format::Int8, 4, 2e-2)];
    let f32_size = whole.pack(Format::F32).unwrap().len();
    for (format, parts, bound) in sizes {
        let bytes = whole.pack(format).unwrap();
        if let Some(part) = f32_size.checked_div(parts) {
            let most = part + f32_size / 20 + (128 << 10);
            assert!(bytes.len() <= most, "{format:?}: {} bytes of {most}", bytes.len());
        }
        let packed = Model::packed(Bytes::copy(&bytes), Path::new("narrow.ddnm"), true).unwrap();
        let found = evaluate(&packed, 64, 64, 0.2);
        let square = |v: f32| f64::from(v) * f64::from(v);
        let difference: f64 = found.iter().zip(&expected).map(|(a, b)| square(a - b)).sum();
        let whole: f64 = expected.iter().map(|v| square(*v)).sum();
        let error = (difference / whole).sqrt();
        assert!(error <= bound && (parts == 0 || error > 0.0), "{format:?}: {error:e}");
        // A narrow model packs again to the same bytes.
        assert!(packed.pack(format).unwrap() == bytes, "{format:?}");
    }
}

/// Arithmetic in 8 bits is close to single precision where the processor has products of bytes; where
/// it has none, the same file is evaluated in single precision, which is faster there.
#[test]
fn arithmetic_in_8_bits_is_close_and_only_where_it_pays() {
    let bundled = bundled().unwrap();
    let bytes = bundled.pack_for(Format::Int8, Arithmetic::Int8).unwrap();
    let packed =
        || Model::packed(Bytes::copy(&bytes), Path::new("int8.ddnm"), true).expect("a model");
    assert!(packed().pack_for(Format::Int8, Arithmetic::Int8).unwrap() == bytes);
    let narrow = bundled.pack(Format::Int8).unwrap();
    let narrow =
        || Model::packed(Bytes::copy(&narrow), Path::new("narrow.ddnm"), true).expect("a model");
    assert_eq!(packed().asked_arithmetic(), Arithmetic::Int8);
    assert_eq!(bundled.identity().arithmetic, "f32");
    // Only what needs the newer version of the format has it.
    let version = |file: &[u8]| weights::read(file, true).unwrap().version;
    assert_eq!((version(&bytes), version(&packed().pack(Format::Int8).unwrap())), (2, 1));
    let expected = evaluate(&bundled, 64, 48, 0.2);
    let whole: f64 = expected.iter().map(|v| f64::from(v * v)).sum();
    for isa in Isa::available() {
        let found = evaluate(&packed().with_isa(isa), 64, 48, 0.2);
        let squares = found.iter().zip(&expected).map(|(a, b)| f64::from((a - b) * (a - b)));
        let error = (squares.sum::<f64>() / whole).sqrt();
        assert!(error > 0.0 && error < 2e-2, "{isa:?}: {error:e}");
        let name = if isa.has_dots() { "int8" } else { "f32" };
        assert_eq!(packed().with_isa(isa).identity().arithmetic, name);
        let in_floats = evaluate(&narrow().with_isa(isa), 64, 48, 0.2);
        assert_eq!(found == in_floats, !isa.has_dots(), "{isa:?}");
    }
}
