//! Packed models: a manifest, a network and its weights in one file.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Manifest;
use crate::error::{Error, Result};
use crate::network::{Network, Op};
use crate::weights::{self, Bytes, Format, Store, StoreBuilder, TensorEntry};

/// How the weights of a convolution are arranged: taps, then input channels, then outputs.
const LAYOUT: &str = "taps-in-out";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    layout: String,
    weights: Format,
    manifest: Manifest,
    network: Network,
    tensors: Vec<TensorEntry>,
}

/// A model as a file holds it.
#[derive(Debug, Clone)]
pub struct Packed {
    pub manifest: Manifest,
    pub network: Arc<Network>,
    pub store: Arc<Store>,
    /// Format of the convolutions' weights.
    pub format: Format,
    /// SHA-256 of the weights, in hexadecimal.
    pub sha256: String,
}

impl Packed {
    /// Reads a packed model; `path` is named in errors. `verify` asks for the weights' checksum.
    pub fn read(bytes: Bytes, path: &Path, verify: bool) -> Result<Packed> {
        if cfg!(target_endian = "big") {
            return Err(Error::model(path, "a little-endian processor", "a big-endian one"));
        }
        let file = bytes.as_slice();
        let contents = weights::read(file, verify)
            .map_err(|(expected, found)| Error::model(path, expected, found))?;
        let text = &file[contents.description];
        let description: Description = serde_json::from_slice(text)
            .map_err(|e| Error::model(path, "a description of a packed model", e))?;
        if description.layout != LAYOUT {
            let expected = format!("weights in the layout `{LAYOUT}`");
            return Err(Error::model(path, expected, format!("`{}`", description.layout)));
        }
        description.manifest.check(path)?;
        let store = Store::new(bytes, contents.weights, description.tensors)
            .map_err(|expected| Error::model(path, expected, "something else"))?;
        Ok(Packed {
            manifest: description.manifest,
            network: Arc::new(description.network),
            store: Arc::new(store),
            format: description.weights,
            sha256: contents.sha256,
        })
    }

    /// The bytes of the packed file of a network whose weights are kept in `format`: those of
    /// convolutions. Matrices of the noise level's few values are at most halved, vectors kept.
    pub fn write(
        manifest: &Manifest,
        network: &Network,
        store: &Store,
        format: Format,
    ) -> Result<Vec<u8>> {
        let mut network = network.clone();
        let mut builder = StoreBuilder::default();
        for layer in &mut network.layers {
            let (tensor, format) = match &mut layer.op {
                Op::Constant { values, .. } => (values, Format::F32),
                Op::Linear { weights, .. } if format == Format::F32 => (weights, Format::F32),
                Op::Linear { weights, .. } => (weights, Format::F16),
                Op::Conv(conv) => (&mut conv.weights, format),
                Op::Transposed { weights, .. } => (weights, format),
                _ => continue,
            };
            let outputs = store.tensors()[*tensor].outputs;
            let source = store.weights(*tensor);
            let mut room = vec![0.0; source.widened_len()];
            *tensor = builder.push(source.widen(outputs, &mut room), outputs, format);
        }
        let store = builder
            .build()
            .map_err(|e| Error::Usage(format!("packing {}: expected {e}", manifest.name)))?;
        let description = Description {
            layout: LAYOUT.into(),
            weights: format,
            manifest: manifest.clone(),
            network,
            tensors: store.tensors().to_vec(),
        };
        let text = serde_json::to_vec(&description)
            .map_err(|e| Error::Usage(format!("packing {}: {e}", manifest.name)))?;
        Ok(weights::write(&text, store.section()))
    }
}
