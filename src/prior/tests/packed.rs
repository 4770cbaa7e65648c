//! Packed files that ask for more than a window can need.

use std::path::Path;

use prost::Message;
use serde_json::{Value, json};

use super::network::plain_network;
use super::{load, manifest};
use crate::error::Error;
use crate::network::Arithmetic;
use crate::prior::{Model, Prior};
use crate::weights::{self, Bytes, Format};

/// The packed file of a small network with its description changed; evaluates a window of 8x8.
fn run(change: impl FnOnce(&mut Value)) -> crate::Result<()> {
    let onnx = plain_network().encode_to_vec();
    let model = load(&manifest(&onnx, "v", "timestep", ""), &onnx).unwrap();
    run_file(&model.pack(Format::F32).unwrap(), change)
}

fn run_file(file: &[u8], change: impl FnOnce(&mut Value)) -> crate::Result<()> {
    let parts = weights::read(file, true).unwrap();
    let mut description = serde_json::from_slice(&file[parts.description]).unwrap();
    change(&mut description);
    let file =
        weights::write(parts.version, description.to_string().as_bytes(), &file[parts.weights]);
    let model = Model::packed(Bytes::copy(&file), Path::new("model.ddnm"), true)?;
    let level = model.diffusion().at_sigma(0.3);
    model.evaluator(8, 8)?.x0(&[0.1; 3 * 64], level, &mut [0.0; 3 * 64])
}

fn refused(hint: &str, change: impl FnOnce(&mut Value)) {
    said(run(change), hint);
}

fn said(result: crate::Result<()>, hint: &str) {
    match result {
        Err(e @ Error::Model { .. }) => assert!(e.to_string().contains(hint), "{hint}: {e}"),
        other => panic!("{hint}: {other:?}"),
    }
}

/// Adds layers that each take the result of the one before, the first that of layer `start`.
fn chain(description: &mut Value, start: usize, layers: impl Iterator<Item = Value>) {
    let network = &mut description["network"];
    let inputs = network["inputs"].as_array().unwrap().len();
    let list = network["layers"].as_array_mut().unwrap();
    let mut last = inputs + start;
    for op in layers {
        list.push(json!({ "op": op, "inputs": [last] }));
        last = inputs + list.len() - 1;
    }
}

#[test]
fn hostile_descriptions() {
    run(|_| ()).unwrap();
    refused("64", |d| d["manifest"]["output_channels"] = json!(1u64 << 62));
    refused("apart", |d| {
        let tensors = d["tensors"].as_array_mut().unwrap();
        *tensors = std::iter::repeat_n(tensors.clone(), 1000).flatten().collect();
    });
    refused("outputs, found", |d| {
        for tensor in d["tensors"].as_array_mut().unwrap() {
            let rows = tensor["rows"].as_u64().unwrap();
            tensor["rows"] = json!(rows * tensor["outputs"].as_u64().unwrap());
            tensor["outputs"] = json!(1);
        }
    });
    // The first layer that makes a picture, up and up.
    let first = |d: &Value| {
        let layers = d["network"]["layers"].as_array().unwrap();
        layers.iter().position(|l| l["op"]["conv"].is_object()).unwrap()
    };
    refused("bytes of memory", |d| {
        let up = json!({ "upsample": { "factor": 16 } });
        chain(d, first(d), std::iter::repeat_n(up, 2));
    });
    refused("possible size", |d| {
        let up = json!({ "upsample": { "factor": 16 } });
        chain(d, first(d), std::iter::repeat_n(up, 20));
    });
    refused("8192", |d| {
        chain(d, first(d), std::iter::repeat_n(json!({ "pointwise": "none" }), 9000))
    });
}

#[test]
fn arithmetic_in_8_bits_that_a_file_cannot_have() {
    let int8 = |d: &mut Value| {
        for layer in d["network"]["layers"].as_array_mut().unwrap() {
            if let Some(conv) = layer["op"].get_mut("conv") {
                conv["arithmetic"] = json!("int8");
            }
        }
    };
    refused("version 2", int8);
    let bundled = crate::prior::bundled().unwrap();
    let file = bundled.pack_for(Format::Int8, Arithmetic::Int8).unwrap();
    run_file(&file, |_| ()).unwrap();
    run_file(&file, int8).unwrap();
    said(run_file(&file, |d| d["network"]["layers"][0]["op"] = json!({"conv": {}})), "description");
    let f32 = bundled.pack_for(Format::F16, Arithmetic::Int8);
    assert!(f32.unwrap_err().to_string().contains("weights in int8"));
}
