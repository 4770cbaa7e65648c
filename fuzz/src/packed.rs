//! The loader of packed models.

use std::path::Path;

use ddnm::network::Arithmetic;
use ddnm::prior::Model;
use ddnm::weights::{self, Bytes, Format};
use prost::Message;
use serde_json::{Number, Value};

use crate::mutate::damage;
use crate::network::plain_network;
use crate::onnx::{self, MANIFEST};
use crate::random::Random;
use crate::run::{accepted, evaluate};

/// Models to start from, as the parts of a file.
pub struct Seeds(Vec<Seed>);

struct Seed {
    version: u32,
    description: Value,
    weights: Vec<u8>,
}

impl Seeds {
    pub fn find() -> Seeds {
        let bundled = include_bytes!("../../models/patch-s.ddnm").to_vec();
        let model = onnx::load(MANIFEST, &plain_network().encode_to_vec()).expect("a model");
        let small = [Format::F32, Format::F16, Format::Int8]
            .map(|format| model.pack(format).expect("a model of our own operators"));
        let exact = model.pack_for(Format::Int8, Arithmetic::Int8).expect("one in 8 bits");
        // The small ones are faster.
        let files = small.iter().chain([&exact]).cycle().take(12).chain([&bundled]);
        Seeds(files.map(|file| Seed::new(file)).collect())
    }

    /// The file of a case.
    pub fn make(&self, r: &mut Random) -> Vec<u8> {
        let Seed { version, description, weights } = r.pick(&self.0);
        let mut description = description.clone();
        let mut weights = weights.clone();
        let kind = r.below(20);
        if kind < 17 {
            for _ in 0..1 + r.below(4) {
                change(&mut description, r);
            }
        }
        if kind >= 16 {
            damage(&mut weights, r);
        }
        let mut text = description.to_string().into_bytes();
        if kind == 18 {
            damage(&mut text, r);
        }
        let mut file = weights::write(*version, &text, &weights);
        if kind == 19 {
            // Mostly the numbers before the description.
            let mut start = file[..128].to_vec();
            damage(&mut start, r);
            file.splice(..128, start);
        }
        file
    }
}

impl Seed {
    fn new(file: &[u8]) -> Seed {
        let parts = weights::read(file, true).expect("a packed model");
        Seed {
            version: parts.version,
            description: serde_json::from_slice(&file[parts.description]).expect("a description"),
            weights: file[parts.weights].to_vec(),
        }
    }
}

/// Loads the model of a case and evaluates a window; returns whether it was accepted.
pub fn run(case: &[u8]) -> bool {
    let verify = case.len() % 2 == 0;
    accepted(Model::packed(Bytes::copy(case), Path::new("case.ddnm"), verify).and_then(evaluate))
}

/// Changes one thing, somewhere in a description.
fn change(value: &mut Value, r: &mut Random) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let index = r.below(fields.len());
            let names: Vec<String> = fields.keys().cloned().collect();
            match r.below(60) {
                0 => drop(fields.remove(&names[index])),
                1 => drop(fields.insert("more".into(), Value::Null)),
                _ => change(&mut fields[&names[index]], r),
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let (one, other) = (r.below(items.len()), r.below(items.len()));
            match r.below(20) {
                0 => drop(items.remove(one)),
                1 => items.swap(one, other),
                2 => items.insert(other, items[one].clone()),
                3 => items[other] = items[one].clone(),
                _ => change(&mut items[one], r),
            }
        }
        Value::Number(n) if n.is_f64() => {
            *value = Number::from_f64(r.real().into()).map_or(Value::Null, Value::Number);
        }
        Value::Number(n) if r.chance(50) => {
            let near = n.as_i64().unwrap_or(0) + *r.pick(&[-1, 1, 2, -2, 16, 64]);
            *value = near.into();
        }
        Value::Number(_) => *value = r.integer().into(),
        Value::Bool(b) => *b = !*b,
        Value::String(s) => {
            let words = ["silu", "relu", "none", "identity", "f32", "f16", "int8", "v", "epsilon"];
            *s = r.pick(&words).to_string();
        }
        Value::Null | Value::Object(_) | Value::Array(_) => *value = r.integer().into(),
    }
}
