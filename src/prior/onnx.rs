//! A prior from an ONNX file and its manifest, run by tract.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};
use tract_core::knobs::KnobScope;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::{Factoid, InferenceOp};

use super::guard::guard;
use super::limits::{self, Room};
use super::strip::strip;
use super::widen::widen;
use super::{Conditioning, Evaluator, Identity, Manifest, Prediction, Prior};
use crate::error::{Error, Result};
use crate::schedule::{Diffusion, Level};

type Plan = Arc<TypedRunnableModel>;
type Parsed = Graph<InferenceFact, Box<dyn InferenceOp>>;

/// A UNet in ONNX, evaluated by tract with one concrete plan per window size.
pub struct OnnxPrior {
    manifest: Manifest,
    diffusion: Diffusion,
    path: PathBuf,
    parsed: Parsed,
    /// Bytes of the file.
    size: usize,
    /// Type of the conditioning input: `f32` or an integer, a scalar or `[n]`.
    conditioning: (DatumType, usize),
    plans: Mutex<HashMap<(usize, usize), Plan>>,
}

/// One operator of the network, for inspection.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    pub name: String,
    pub operator: String,
    /// Output shape, as tract writes it.
    pub output: String,
    /// Multiply-accumulates for one evaluation of the window.
    pub multiply_accumulates: u64,
    /// Values of the output.
    pub values: u64,
}

impl OnnxPrior {
    /// Checks `bytes` against the manifest and parses them; `path` is named in errors.
    pub fn new(manifest: Manifest, bytes: &[u8], path: &Path) -> Result<OnnxPrior> {
        let sum = Sha256::digest(bytes);
        let found: String = sum.iter().map(|b| format!("{b:02x}")).collect();
        if !manifest.sha256.eq_ignore_ascii_case(&found) {
            return Err(Error::model(path, format!("sha256 {}", manifest.sha256), found));
        }
        let parsed = guard(path, "an ONNX model", || {
            limits::scan(bytes)?;
            let onnx =
                tract_onnx::onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
            let mut proto = onnx.proto_model_for_read(&mut std::io::Cursor::new(bytes))?;
            limits::check(&proto)?;
            strip(&mut proto);
            widen(&mut proto);
            onnx.model_for_proto_model(&proto)
        })?;
        let conditioning = check_interface(&manifest, &parsed, path)?;
        let diffusion = manifest.diffusion()?;
        let plans = Mutex::default();
        let (path, size) = (path.into(), bytes.len());
        Ok(OnnxPrior { manifest, diffusion, path, parsed, size, conditioning, plans })
    }

    /// The manifest that it was loaded with.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The operators of the network for a window, and the bytes of its weights.
    pub fn layers(&self, height: usize, width: usize) -> Result<(Vec<Layer>, u64)> {
        let model = self.typed(height, width)?;
        let mut bytes = 0;
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

    /// The simplified network for one window size, before code generation.
    fn typed(&self, height: usize, width: usize) -> Result<TypedModel> {
        let channels = self.manifest.channels;
        let (input, conditioning) = (&self.manifest.input, &self.manifest.conditioning_input);
        let room = Room::new(height, width, self.size);
        let model = guard(&self.path, "a network for this window size", || {
            let mut model = self.parsed.clone();
            let names = [input, conditioning].map(|n| model.node_by_name(n).map(|n| n.id));
            let [input, conditioning] = names;
            model.set_input_outlets(&[input?.into(), conditioning?.into()])?;
            model.set_input_fact(0, f32::fact([1, channels, height, width]).into())?;
            let (datum, rank) = self.conditioning;
            let shape: Vec<usize> = match self.manifest.conditioning {
                Conditioning::NoiseMap => vec![1, 1, height, width],
                _ => vec![1; rank],
            };
            model.set_input_fact(1, datum.fact(shape).into())?;
            let output = model.find_outlet_label(&self.manifest.output);
            let output = match output {
                Some(outlet) => outlet,
                None => model.node_by_name(&self.manifest.output)?.id.into(),
            };
            model.select_output_outlets(&[output])?;
            model.compact()?;
            room.infer(&mut model)?;
            let model = model.into_typed()?;
            room.check(&model)?;
            let model = model.into_decluttered()?;
            room.check(&model)?;
            Ok(model)
        })?;
        self.check_typed(&model, height, width)?;
        Ok(model)
    }

    fn check_typed(&self, model: &TypedModel, height: usize, width: usize) -> Result<()> {
        let channels = self.manifest.output_channels.unwrap_or(self.manifest.channels);
        let expected = [1, channels, height, width];
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

    fn plan(&self, height: usize, width: usize) -> Result<Plan> {
        // A poisoned lock only means that another thread's plan failed: the map itself is whole.
        let mut plans = self.plans.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(plan) = plans.get(&(height, width)) {
            return Ok(plan.clone());
        }
        let model = self.typed(height, width)?;
        let room = Room::new(height, width, self.size);
        let plan = guard(&self.path, "a network that can be compiled", || {
            // tract's direct convolution for wide pictures is slower than its matrix product.
            let scope = KnobScope::new([("TRACT_DISABLE_DIRECT_SPATIAL", "true")])?;
            let model = scope.enter(|| model.into_optimized())?;
            room.check(&model)?;
            model.into_runnable()
        })?;
        plans.insert((height, width), plan.clone());
        Ok(plan)
    }
}

impl Prior for OnnxPrior {
    fn channels(&self) -> usize {
        self.manifest.channels
    }

    fn multiple(&self) -> usize {
        self.manifest.multiple
    }

    fn tile(&self) -> usize {
        self.manifest.tile
    }

    fn halo(&self, sigma: f64) -> usize {
        self.manifest.halo(sigma)
    }

    fn diffusion(&self) -> &Diffusion {
        &self.diffusion
    }

    fn evaluator(&self, height: usize, width: usize) -> Result<Box<dyn Evaluator>> {
        let multiple = self.manifest.multiple;
        let fits = |side: usize| side > 0 && side.is_multiple_of(multiple);
        if !fits(height) || !fits(width) {
            let expected = format!("sides that are multiples of {multiple}");
            return Err(Error::shape("window", expected, format!("{width}x{height}")));
        }
        let state = self.plan(height, width)?.spawn().map_err(|e| self.fails(e))?;
        Ok(Box::new(OnnxEvaluator {
            manifest: self.manifest.clone(),
            path: self.path.clone(),
            conditioning: self.conditioning,
            height,
            width,
            state,
        }))
    }

    fn identity(&self) -> Identity {
        Identity { name: self.manifest.name.clone(), sha256: self.manifest.sha256.clone() }
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

struct OnnxEvaluator {
    manifest: Manifest,
    path: PathBuf,
    conditioning: (DatumType, usize),
    height: usize,
    width: usize,
    state: TypedSimpleState,
}

impl OnnxEvaluator {
    fn run(&mut self, x_t: &[f32], level: Level, x0: &mut [f32]) -> TractResult<()> {
        let Manifest { range: [black, white], channels, conditioning, .. } = self.manifest;
        let half = (white - black) * 0.5;
        let exploding = conditioning != Conditioning::Timestep;
        // An exploding-variance network sees the scene plus noise, in its own range.
        let (scale, offset) = match exploding {
            true => (half / level.signal() as f32, black + half),
            false => (1.0, 0.0),
        };
        let state: Vec<f32> = x_t.iter().map(|v| v * scale + offset).collect();
        let sigma = level.sigma() as f32 * half;
        let told = match conditioning {
            Conditioning::Timestep => self.scalar(level.t as f32)?,
            Conditioning::Sigma => self.scalar(sigma)?,
            Conditioning::NoiseMap => {
                let map = vec![sigma; self.height * self.width];
                Tensor::from_shape(&[1, 1, self.height, self.width], &map)?
            }
        };
        let shape = [1, channels, self.height, self.width];
        let input = Tensor::from_shape(&shape, &state)?;
        let output = self.state.run(tvec!(input.into(), told.into()))?;
        let plain = output[0].try_as_plain_ram()?;
        // Channels beyond the picture's (a learned variance) are behind these, and dropped.
        let output = &plain.as_slice::<f32>()?[..x_t.len()];
        let (signal, noise) = (level.signal() as f32, level.noise() as f32);
        match self.manifest.prediction {
            Prediction::V => zip(x0, x_t, output, |x, v| signal * x - noise * v),
            Prediction::Epsilon => zip(x0, x_t, output, |x, e| (x - noise * e) / signal),
            Prediction::Sample if exploding => {
                zip(x0, x_t, output, |_, s| (s - black) / half - 1.0);
            }
            Prediction::Sample => x0.copy_from_slice(output),
        }
        Ok(())
    }

    fn scalar(&self, value: f32) -> TractResult<Tensor> {
        let (datum, rank) = self.conditioning;
        let tensor = if rank == 0 { tensor0(value) } else { tensor1(&[value]) };
        // An integer timestep is the nearest one.
        let rounded = if rank == 0 { tensor0(value.round()) } else { tensor1(&[value.round()]) };
        let tensor = if datum.is_integer() { rounded } else { tensor };
        Ok(tensor.cast_to_dt(datum)?.into_owned())
    }
}

fn zip(x0: &mut [f32], x_t: &[f32], output: &[f32], f: impl Fn(f32, f32) -> f32) {
    for ((x0, x), o) in x0.iter_mut().zip(x_t).zip(output) {
        *x0 = f(*x, *o);
    }
}

impl Evaluator for OnnxEvaluator {
    fn x0(&mut self, x_t: &[f32], level: Level, x0: &mut [f32]) -> Result<()> {
        let expected = self.manifest.channels * self.height * self.width;
        if x_t.len() != expected || x0.len() != expected {
            return Err(Error::shape("window", format!("{expected} values"), x_t.len()));
        }
        let path = self.path.clone();
        guard(&path, "a network that runs", || self.run(x_t, level, x0))
    }
}
