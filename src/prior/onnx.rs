//! ONNX models: tract parses and simplifies them, our operators take the place of what we know of
//! them, and tract runs what is left.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};
use tract_core::knobs::KnobScope;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::{Factoid, InferenceOp};

use super::guard::guard;
use super::limits::{self, Demands};
use super::lower::{Lowered, assemble, lower};
use super::normalize::instance_normalization;
use super::room::Room;
use super::strip::strip;
use super::widen::widen;
use super::{Conditioning, Layer, Manifest};
use crate::error::{Error, Result};
use crate::kernels::Isa;
use crate::network::Network;
use crate::weights::Store;

type Parsed = tract_onnx::prelude::Graph<InferenceFact, Box<dyn InferenceOp>>;

/// A parsed UNet.
pub struct OnnxModel {
    manifest: Manifest,
    path: PathBuf,
    parsed: Parsed,
    demands: Demands,
    /// Bytes of the file.
    size: usize,
    /// Type of the conditioning input: `f32` or an integer, a scalar or `[n]`.
    conditioning: (DatumType, usize),
    /// Whether our operators take the place of what we know of it.
    pub ours: bool,
    /// The weights of the first window size: the others have the same.
    store: Mutex<Option<Arc<Store>>>,
}

/// What a model becomes for one window size.
pub enum Parts {
    /// A network of our operators alone.
    Whole(Arc<Network>, Arc<Store>),
    Graph(Graph),
}

/// A compiled graph, of which tract runs at least a part.
#[derive(Clone)]
pub struct Graph {
    plan: Arc<TypedRunnableModel>,
    /// Type and shape of the conditioning input.
    told: (DatumType, Vec<usize>),
    channels: usize,
}

impl OnnxModel {
    /// Checks `bytes` against the manifest and parses them; `path` is named in errors.
    pub fn new(manifest: Manifest, bytes: &[u8], path: &Path) -> Result<OnnxModel> {
        let sum = Sha256::digest(bytes);
        let found: String = sum.iter().map(|b| format!("{b:02x}")).collect();
        if !manifest.sha256.eq_ignore_ascii_case(&found) {
            return Err(Error::model(path, format!("sha256 {}", manifest.sha256), found));
        }
        let (parsed, demands) = guard(path, "an ONNX model", || {
            limits::scan(bytes)?;
            let mut onnx =
                tract_onnx::onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
            onnx.op_register.insert("InstanceNormalization", instance_normalization);
            let mut proto = onnx.proto_model_for_read(&mut std::io::Cursor::new(bytes))?;
            limits::check(&proto)?;
            strip(&mut proto);
            widen(&mut proto);
            Ok((onnx.model_for_proto_model(&proto)?, Demands::new(&proto)))
        })?;
        let conditioning = check_interface(&manifest, &parsed, path)?;
        let store = Mutex::default();
        let (path, size) = (path.into(), bytes.len());
        Ok(OnnxModel { manifest, path, parsed, demands, size, conditioning, ours: true, store })
    }

    /// Whether timesteps must be whole numbers.
    pub fn whole_timesteps(&self) -> bool {
        self.conditioning.0.is_integer()
    }

    /// Private memory that the parsed file and what is made of it take, by experience: an upper
    /// bound. More where tract runs a part of it (`foreign`).
    pub fn held_bytes(&self, foreign: bool) -> u64 {
        let size = self.size as u64;
        if foreign { 4 * size + (16 << 20) } else { 2 * size + (4 << 20) }
    }

    /// The network of our operators that is the whole model, for windows of any size.
    pub fn network(&self) -> Result<(Arc<Network>, Arc<Store>)> {
        let multiple = self.manifest.multiple;
        let sizes = [(4 * multiple, 4 * multiple), (6 * multiple, 5 * multiple)];
        let mut found = sizes.map(|(height, width)| self.whole(height, width));
        let [first, second] = &mut found;
        match (first, second) {
            (Ok((network, store)), Ok((other, weights))) => {
                if network != other || store.section() != weights.section() {
                    let expected = "a network that is the same for every window size";
                    return Err(Error::model(&self.path, expected, "another one"));
                }
                Ok((network.clone(), store.clone()))
            }
            (Err(e), _) | (_, Err(e)) => Err(e.clone()),
        }
    }

    fn whole(&self, height: usize, width: usize) -> Result<(Arc<Network>, Arc<Store>)> {
        let model = self.typed(1, height, width, true)?;
        let lowered = self.lower(&model)?;
        match lowered.whole(&model) {
            Some(network) => Ok((Arc::new(network.clone()), Arc::new(lowered.store))),
            None => {
                let expected = "operators that are all known to the packed format";
                Err(Error::model(&self.path, expected, lowered.foreign_names(&model).join(", ")))
            }
        }
    }

    fn lower(&self, model: &TypedModel) -> Result<Lowered> {
        guard(&self.path, "a network that can be divided", || lower(model))
    }

    /// Compiles the model for one window size.
    pub fn compile(&self, height: usize, width: usize, isa: Isa) -> Result<Parts> {
        // In our networks a timestep is a single-precision number. Where a graph cannot take it so,
        // it keeps the type that it declares.
        let declared = self.conditioning.0;
        let wanted = if self.ours { f32::datum_type() } else { declared };
        let (datum, model) = match self.typed(1, height, width, self.ours) {
            Ok(model) => (wanted, model),
            Err(_) if wanted != declared => (declared, self.typed(1, height, width, false)?),
            Err(e) => return Err(e),
        };
        let room = self.room(height, width);
        let mut model = if self.ours {
            let mut lowered = self.lower(&model)?;
            let store = self.shared(&mut lowered);
            if let Some(network) = lowered.whole(&model) {
                return Ok(Parts::Whole(Arc::new(network.clone()), store));
            }
            guard(&self.path, "a network that can be divided", || {
                assemble(&model, &lowered, &store, isa, &room)
            })?
        } else {
            model
        };
        let plan = guard(&self.path, "a network that can be compiled", || {
            // tract's direct convolution for wide pictures is slower than its matrix product.
            let scope = KnobScope::new([("TRACT_DISABLE_DIRECT_SPATIAL", "true")])?;
            scope.enter(|| limits::generate(&mut model))?;
            limits::fits(&model, &room)?;
            model.into_runnable()
        })?;
        let told = (datum, self.told_shape(height, width));
        Ok(Parts::Graph(Graph { plan, told, channels: self.manifest.channels }))
    }

    /// The weights of `lowered`, or the same ones that another window size already has.
    fn shared(&self, lowered: &mut Lowered) -> Arc<Store> {
        let mut held = self.store.lock().unwrap_or_else(|e| e.into_inner());
        let store = std::mem::replace(&mut lowered.store, Store::empty());
        match &*held {
            Some(first) if first.same(&store) => first.clone(),
            _ => held.insert(Arc::new(store)).clone(),
        }
    }

    /// tract's graph of the network for a batch of windows: inputs are the state, `[batch,
    /// channels, height, width]`, and what says the noise level, a single-precision number (or
    /// map) wherever the graph can take one; all windows share it.
    #[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
    pub fn graph(&self, batch: usize, height: usize, width: usize) -> Result<TypedModel> {
        self.typed(batch, height, width, true).or_else(|_| self.typed(batch, height, width, false))
    }

    /// What the model may occupy for a window.
    pub fn room(&self, height: usize, width: usize) -> Room {
        Room::new(height, width, self.size)
    }

    fn told_shape(&self, height: usize, width: usize) -> Vec<usize> {
        match self.manifest.conditioning {
            Conditioning::NoiseMap => vec![1, 1, height, width],
            _ => vec![1; self.conditioning.1],
        }
    }

    /// The operators of the network for a window, and the bytes of its weights.
    pub fn layers(&self, height: usize, width: usize, isa: Isa) -> Result<(Vec<Layer>, u64)> {
        let room = self.room(height, width);
        let mut model = self.typed(1, height, width, false)?;
        let mut bytes = 0;
        if self.ours {
            let mut lowered = self.lower(&model)?;
            let store = self.shared(&mut lowered);
            bytes = store.section().len() as u64;
            model = guard(&self.path, "a network that can be divided", || {
                assemble(&model, &lowered, &store, isa, &room)
            })?;
        }
        let mut layers = Vec::new();
        for node in model.nodes() {
            if let Some(konst) = node.op_as::<tract_core::ops::konst::Const>() {
                let tensor = konst.val();
                bytes += (tensor.len() * tensor.datum_type().size_of()) as u64;
                continue;
            }
            let inputs = model.node_input_facts(node.id).map_err(|e| self.fails(e))?;
            let cost = node.op.cost(&inputs).map_err(|e| self.fails(e))?;
            let macs = cost.iter().filter(|(c, _)| matches!(c, tract_core::ops::Cost::FMA(_)));
            layers.push(Layer {
                name: node.name.clone(),
                operator: node.op().name().into_owned(),
                output: format!("{:?}", node.outputs[0].fact.shape),
                values: node.outputs[0].fact.shape.volume().to_i64().unwrap_or(0) as u64,
                multiply_accumulates: macs.filter_map(|(_, n)| n.to_i64().ok()).sum::<i64>() as u64,
            });
        }
        Ok((layers, bytes))
    }

    fn fails(&self, found: impl std::fmt::Display) -> Error {
        Error::model(&self.path, "a network that tract can run", found)
    }

    /// The simplified network for a batch of windows of one size, before code generation; `real`
    /// asks for a conditioning input in single precision whatever the graph declares.
    fn typed(&self, batch: usize, height: usize, width: usize, real: bool) -> Result<TypedModel> {
        let channels = self.manifest.channels;
        let (input, conditioning) = (&self.manifest.input, &self.manifest.conditioning_input);
        let room = self.room(batch * height, width);
        let model = guard(&self.path, "a network for this window size", || {
            let mut model = self.parsed.clone();
            let names = [input, conditioning].map(|n| model.node_by_name(n).map(|n| n.id));
            let [input, conditioning] = names;
            model.set_input_outlets(&[input?.into(), conditioning?.into()])?;
            model.set_input_fact(0, f32::fact([batch, channels, height, width]).into())?;
            let datum = if real { f32::datum_type() } else { self.conditioning.0 };
            model.set_input_fact(1, datum.fact(self.told_shape(height, width)).into())?;
            let output = model.find_outlet_label(&self.manifest.output);
            let output = match output {
                Some(outlet) => outlet,
                None => model.node_by_name(&self.manifest.output)?.id.into(),
            };
            model.select_output_outlets(&[output])?;
            model.compact()?;
            limits::infer(&mut model, &self.demands, &room)?;
            let mut model = model.into_typed()?;
            limits::fits(&model, &room)?;
            limits::declutter(&mut model)?;
            limits::fits(&model, &room)?;
            Ok(model)
        })?;
        self.check_typed(&model, batch, height, width)?;
        Ok(model)
    }

    fn check_typed(
        &self,
        model: &TypedModel,
        batch: usize,
        height: usize,
        width: usize,
    ) -> Result<()> {
        let channels = self.manifest.output_channels.unwrap_or(self.manifest.channels);
        let expected = [batch, channels, height, width];
        let fact = model.output_fact(0).map_err(|e| self.fails(e))?;
        if fact.shape.as_concrete() != Some(&expected[..]) || fact.datum_type != f32::datum_type() {
            let what = format!("output `{}` of shape {expected:?}, f32", self.manifest.output);
            return Err(Error::model(&self.path, what, format!("{fact:?}")));
        }
        for node in model.nodes() {
            let Some(konst) = node.op_as::<tract_core::ops::konst::Const>() else { continue };
            let Ok(plain) = konst.val().try_as_plain_ram() else { continue };
            let Ok(values) = plain.as_slice::<f32>() else { continue };
            if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
                let what = format!("finite weights in `{}`", node.name);
                return Err(Error::model(&self.path, what, bad));
            }
        }
        Ok(())
    }
}

/// Names, channels and types of the network's inputs and output, against the manifest. Returns
/// the type and rank of the conditioning input.
fn check_interface(manifest: &Manifest, model: &Parsed, path: &Path) -> Result<(DatumType, usize)> {
    let names: Vec<String> = model
        .input_outlets()
        .iter()
        .flat_map(|&outlets| outlets.iter())
        .map(|o| model.node(o.node).name.clone())
        .collect();
    let mut conditioning = (f32::datum_type(), 1);
    for wanted in [&manifest.input, &manifest.conditioning_input] {
        if !names.contains(wanted) {
            let expected = format!("an input named `{wanted}`");
            return Err(Error::model(path, expected, format!("inputs {names:?}")));
        }
    }
    if names.len() != 2 {
        return Err(Error::model(path, "two inputs", format!("inputs {names:?}")));
    }
    for outlet in model.input_outlets().map_err(|e| Error::model(path, "inputs", e))? {
        let name = &model.node(outlet.node).name;
        let fact = model.outlet_fact(*outlet).map_err(|e| Error::model(path, "typed inputs", e))?;
        if *name == manifest.conditioning_input {
            let datum = fact.datum_type.concretize().unwrap_or(f32::datum_type());
            let rank = fact.shape.rank().concretize().unwrap_or(1) as usize;
            conditioning = (datum, rank.min(1));
        } else {
            let channels =
                fact.shape.dim(1).and_then(|d| d.concretize()).and_then(|d| d.to_i64().ok());
            if channels.is_some_and(|c| c != manifest.channels as i64) {
                let expected = format!("{} channels at `{name}`", manifest.channels);
                return Err(Error::model(path, expected, format!("{fact:?}")));
            }
        }
    }
    let outputs = model.output_outlets().map_err(|e| Error::model(path, "outputs", e))?;
    let labels: Vec<String> = outputs
        .iter()
        .map(|o| model.outlet_label(*o).map_or(model.node(o.node).name.clone(), str::to_string))
        .collect();
    if !labels.contains(&manifest.output) {
        let expected = format!("an output named `{}`", manifest.output);
        return Err(Error::model(path, expected, format!("outputs {labels:?}")));
    }
    Ok(conditioning)
}

impl Graph {
    /// A worker for one thread; `path` is named in errors.
    pub fn spawn(&self, path: &Path, height: usize, width: usize) -> Result<GraphState> {
        let state = self.plan.spawn().map_err(|e| Error::model(path, "a network that runs", e))?;
        let shape = [1, self.channels, height, width];
        Ok(GraphState { state, told: self.told.clone(), shape, path: path.into() })
    }
}

/// A compiled graph and what it keeps between evaluations.
pub struct GraphState {
    state: TypedSimpleState,
    told: (DatumType, Vec<usize>),
    shape: [usize; 4],
    path: PathBuf,
}

impl GraphState {
    /// Runs the network on the state `[channels, h, w]`.
    pub fn run(&mut self, state: &[f32], told: &[f32], output: &mut [f32]) -> Result<()> {
        let path = self.path.clone();
        guard(&path, "a network that runs", || {
            let input = Tensor::from_shape(&self.shape, state)?;
            let (datum, shape) = &self.told;
            let told = Tensor::from_shape(shape, told)?.cast_to_dt(*datum)?.into_owned();
            let found = self.state.run(tvec!(input.into(), told.into()))?;
            let plain = found[0].try_as_plain_ram()?;
            output.copy_from_slice(plain.as_slice::<f32>()?);
            Ok(())
        })
    }
}
