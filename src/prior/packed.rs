//! Packed models: a manifest, a network and its weights in one file.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Manifest;
use crate::error::{Error, Result};
use crate::kernels::{MOST_INPUTS, blocks};
use crate::network::{Arithmetic, Conv, Layer, Network, Op};
use crate::weights::{self, Bytes, Format, Store, StoreBuilder, TensorEntry};

/// How the weights of a convolution are arranged: blocks of 16 output channels, in each input
/// channels, then taps, then the outputs of the block.
const LAYOUT: &str = "in-taps-out16";

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
        let needed = version(&description.network);
        if contents.version < needed {
            let expected = format!("version {needed} of the format for what the network asks for");
            return Err(Error::model(path, expected, contents.version));
        }
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
    /// Arithmetic in 8 bits is for the convolutions that stand it ([`stands_int8`]), and needs
    /// weights in 8 bits.
    pub fn write(
        manifest: &Manifest,
        network: &Network,
        store: &Store,
        format: Format,
        arithmetic: Arithmetic,
    ) -> Result<Vec<u8>> {
        if arithmetic == Arithmetic::Int8 && format != Format::Int8 {
            let message = "arithmetic in int8: expected weights in int8, found others";
            return Err(Error::Usage(message.into()));
        }
        let stand: Vec<bool> =
            (0..network.layers.len()).map(|i| stands_int8(network, store, i)).collect();
        let mut network = network.clone();
        let mut builder = StoreBuilder::default();
        for (layer, stands) in network.layers.iter_mut().zip(stand) {
            if let Op::Conv(conv) = &mut layer.op {
                conv.arithmetic = if stands { arithmetic } else { Arithmetic::F32 };
            }
            match &mut layer.op {
                Op::Constant { values, len } => {
                    *values = builder.push(&wide(store, *values, *len), *len, Format::F32);
                }
                Op::Linear { weights, outputs, .. } => {
                    let format = if format == Format::F32 { format } else { Format::F16 };
                    *weights = builder.push(&wide(store, *weights, *outputs), *outputs, format);
                }
                Op::Conv(Conv { weights, outputs, .. })
                | Op::Transposed { weights, outputs, .. } => {
                    let values = wide_blocks(store, *weights, *outputs);
                    *weights = builder.push_blocks(&values, *outputs, format);
                }
                _ => {}
            }
        }
        let store = builder
            .build()
            .map_err(|e| Error::Usage(format!("packing {}: expected {e}", manifest.name)))?;
        let description = Description {
            layout: LAYOUT.into(),
            weights: format,
            manifest: manifest.clone(),
            network: network.clone(),
            tensors: store.tensors().to_vec(),
        };
        let text = serde_json::to_vec(&description)
            .map_err(|e| Error::Usage(format!("packing {}: {e}", manifest.name)))?;
        Ok(weights::write(version(&network), &text, store.section()))
    }
}

/// The oldest version of the format that can say what is in a network.
fn version(network: &Network) -> u32 {
    match network.arithmetic() {
        Arithmetic::F32 => 1,
        Arithmetic::Int8 => 2,
    }
}

/// Whether a layer may calculate in 8 bits: every convolution whose sums fit, but for those of the
/// picture itself. What they round is the measurement, which cost more PSNR than all other layers
/// together when it was tried, and they have few channels.
fn stands_int8(network: &Network, store: &Store, layer: usize) -> bool {
    let Layer { op: Op::Conv(conv), inputs } = &network.layers[layer] else { return false };
    let source = inputs.first().and_then(|value| network.layer_of(*value));
    let first = source.is_some_and(|layer| matches!(layer.op, Op::FromPlanes { .. }));
    let sum = store.len_of(conv.weights).map_or(usize::MAX, |n| n / conv.outputs.max(1));
    !first && sum <= MOST_INPUTS
}

/// A matrix with `columns`, in single precision.
fn wide(store: &Store, tensor: usize, columns: usize) -> Vec<f32> {
    let weights = store.weights(tensor);
    let mut room = vec![0.0; weights.widened_len()];
    weights.widen(columns, &mut room).to_vec()
}

/// The weights of a convolution, in single precision and in the same order.
fn wide_blocks(store: &Store, tensor: usize, outputs: usize) -> Vec<f32> {
    let weights = store.weights(tensor);
    let rows = weights.count() / outputs;
    let mut room = vec![0.0; weights.widened_len()];
    let mut values = Vec::with_capacity(weights.count());
    for (first, width) in blocks(outputs) {
        let columns = width.min(outputs - first);
        let block = weights.block(rows, first, columns);
        values.extend_from_slice(block.widen(columns, &mut room));
    }
    values
}
