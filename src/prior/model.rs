//! A prior from a model file: a packed one, or ONNX with its manifest.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::convert::Window;
#[cfg(feature = "onnx")]
use super::onnx::{Graph, GraphState, OnnxModel};
use super::packed::Packed;
use super::room::Room;
use super::{Evaluator, Identity, Manifest, Prior};
use crate::error::{Error, Result};
use crate::kernels::Isa;
use crate::network::{Arithmetic, Memory, Network, Plan};
use crate::schedule::{Diffusion, Level};
use crate::weights::{Bytes, Format, Store};

/// A UNet from a file, with one concrete plan per window size.
pub struct Model {
    manifest: Arc<Manifest>,
    diffusion: Diffusion,
    path: PathBuf,
    source: Source,
    isa: Isa,
    plans: Mutex<HashMap<(usize, usize), Compiled>>,
    idle: Idle,
}

/// Working memory that no evaluator uses at the moment: one for each thread that evaluates.
type Idle = Arc<Mutex<Vec<(Memory, Window)>>>;

enum Source {
    Packed(Box<Packed>),
    #[cfg(feature = "onnx")]
    Onnx(Box<OnnxModel>),
}

/// A network for one window size.
#[derive(Clone)]
enum Compiled {
    /// All of it is ours.
    Whole(Arc<Plan>),
    /// tract runs it, with our operators where we know them.
    #[cfg(feature = "onnx")]
    Graph(Graph),
}

impl Model {
    /// A packed model. `verify` asks for the checksum of its weights.
    pub fn packed(bytes: Bytes, path: &Path, verify: bool) -> Result<Model> {
        let packed = Packed::read(bytes, path, verify)?;
        Model::new(packed.manifest.clone(), path, Source::Packed(Box::new(packed)))
    }

    /// An ONNX model: checks `bytes` against the manifest and parses them; `path` is named in
    /// errors.
    #[cfg(feature = "onnx")]
    pub fn onnx(manifest: Manifest, bytes: &[u8], path: &Path) -> Result<Model> {
        let model = OnnxModel::new(manifest.clone(), bytes, path)?;
        Model::new(manifest, path, Source::Onnx(Box::new(model)))
    }

    fn new(manifest: Manifest, path: &Path, source: Source) -> Result<Model> {
        Ok(Model {
            diffusion: manifest.diffusion()?,
            manifest: Arc::new(manifest),
            path: path.into(),
            source,
            isa: Isa::choose()?,
            plans: Mutex::default(),
            idle: Arc::default(),
        })
    }

    /// Leaves an ONNX model to tract alone, without our operators: for comparisons. A packed model
    /// is not changed.
    #[cfg(feature = "onnx")]
    pub fn with_tract_alone(mut self) -> Model {
        if let Source::Onnx(model) = &mut self.source {
            model.ours = false;
        }
        self
    }

    /// With another set of kernels than the fastest, or than that which the environment names.
    pub fn with_isa(mut self, isa: Isa) -> Model {
        self.isa = isa;
        // Plans are for one set.
        self.plans = Mutex::default();
        self
    }

    /// The manifest that it was loaded with.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The file that it came from.
    #[cfg(feature = "cuda")]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(feature = "cuda")]
    pub(super) fn is_packed(&self) -> bool {
        matches!(self.source, Source::Packed(_))
    }

    /// How the weights are held.
    pub fn format(&self) -> Format {
        match &self.source {
            Source::Packed(packed) => packed.format,
            #[cfg(feature = "onnx")]
            Source::Onnx(_) => Format::F32,
        }
    }

    /// tract's graph of an ONNX model for a batch of windows: see [`OnnxModel::graph`].
    #[cfg(all(feature = "onnx", any(test, feature = "cuda")))]
    pub(crate) fn graph(
        &self,
        batch: usize,
        height: usize,
        width: usize,
    ) -> Result<tract_core::internal::TypedModel> {
        match &self.source {
            Source::Onnx(model) => model.graph(batch, height, width),
            Source::Packed(_) => Err(self.no_graph()),
        }
    }

    /// Checks that the model can become a graph: a packed one cannot.
    ///
    /// # Errors
    /// [`Error::Model`].
    #[cfg(feature = "cuda")]
    pub fn check_onnx(&self) -> Result<()> {
        if self.is_packed() { Err(self.no_graph()) } else { Ok(()) }
    }

    #[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
    fn no_graph(&self) -> Error {
        let expected = "an ONNX model (or its manifest beside the packed one), which graphs for \
                        devices are made from";
        Error::model(&self.path, expected, "a packed one")
    }

    /// What lies between states and the network at one level.
    #[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
    pub(crate) fn conversion(&self, level: Level) -> super::convert::Conversion {
        super::convert::Conversion::new(&self.manifest, level, self.whole_timesteps())
    }

    /// The network and its weights, if all of the model is ours, whatever the window's size.
    pub fn network(&self) -> Result<(Arc<Network>, Arc<Store>)> {
        match &self.source {
            Source::Packed(packed) => Ok((packed.network.clone(), packed.store.clone())),
            #[cfg(feature = "onnx")]
            Source::Onnx(model) => model.network(),
        }
    }

    /// How the file asks the convolutions to calculate.
    pub fn asked_arithmetic(&self) -> Arithmetic {
        match &self.source {
            Source::Packed(packed) => packed.network.arithmetic(),
            #[cfg(feature = "onnx")]
            Source::Onnx(_) => Arithmetic::F32,
        }
    }

    /// How they calculate: in 8 bits only where the file asks for it and the processor has products
    /// of bytes, since everywhere else Winograd's method in single precision is faster.
    pub fn arithmetic(&self) -> Arithmetic {
        if self.isa.has_dots() { self.asked_arithmetic() } else { Arithmetic::F32 }
    }

    /// The packed file of this model, with its weights in `format` and arithmetic in `f32`.
    pub fn pack(&self, format: Format) -> Result<Vec<u8>> {
        self.pack_for(format, Arithmetic::F32)
    }

    /// As [`pack`](Model::pack), with the arithmetic of the convolutions that stand it. That in
    /// `int8` needs weights in `int8`.
    pub fn pack_for(&self, format: Format, arithmetic: Arithmetic) -> Result<Vec<u8>> {
        let (network, store) = self.network()?;
        let whole_timesteps = self.whole_timesteps();
        let manifest = Manifest { whole_timesteps, ..(*self.manifest).clone() };
        Packed::write(&manifest, &network, &store, format, arithmetic)
    }

    /// Bytes of working memory that each thread needs for a window.
    ///
    /// Exact where all of the network is ours. Where tract runs a part of it, which allocates
    /// every value anew, an upper bound: as if a quarter of all values lived at a time.
    pub fn memory(&self, height: usize, width: usize) -> Result<usize> {
        let (window, engine) = match self.plan(height, width)? {
            Compiled::Whole(plan) => (Window::held(&self.manifest, height, width), plan.bytes()),
            #[cfg(feature = "onnx")]
            Compiled::Graph(_) => {
                let (layers, _) = self.layers(height, width)?;
                let all: u64 = layers.iter().map(|l| l.values).sum();
                let widest = layers.iter().map(|l| l.values).max().unwrap_or(0);
                let engine = (all / 4).max(4 * widest) as usize * size_of::<f32>();
                (Window::lengths(&self.manifest, height, width), engine)
            }
        };
        Ok(engine + window.iter().sum::<usize>() * size_of::<f32>())
    }

    /// Bytes of private memory that the model holds besides: none to speak of for a packed one,
    /// whose weights stay in their file.
    pub fn held_bytes(&self) -> u64 {
        match &self.source {
            Source::Packed(_) => 0,
            #[cfg(feature = "onnx")]
            Source::Onnx(model) => {
                let plans = self.plans.lock().unwrap_or_else(|e| e.into_inner());
                model.held_bytes(plans.values().any(|p| matches!(p, Compiled::Graph(_))))
            }
        }
    }

    /// The operators for a window, in order, and the bytes of the weights.
    pub fn layers(&self, height: usize, width: usize) -> Result<(Vec<Layer>, u64)> {
        match self.plan(height, width)? {
            Compiled::Whole(plan) => Ok((whole_layers(&plan), plan.store().section().len() as u64)),
            #[cfg(feature = "onnx")]
            Compiled::Graph(_) => match &self.source {
                Source::Onnx(model) => model.layers(height, width, self.isa),
                Source::Packed(_) => Ok((vec![], 0)),
            },
        }
    }

    fn plan(&self, height: usize, width: usize) -> Result<Compiled> {
        // A poisoned lock only means that another thread's plan failed: the map itself is whole.
        let mut plans = self.plans.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(plan) = plans.get(&(height, width)) {
            return Ok(plan.clone());
        }
        let whole = |network: Arc<Network>, store: Arc<Store>| {
            let sizes = vec![(height, width); network.inputs.len()];
            let plan = Plan::new(network, store, self.isa, &sizes)
                .map_err(|e| Error::model(&self.path, e, "something else"))?;
            self.check(&plan, height, width)?;
            let room = Room::new(height, width, plan.store().section().len());
            room.admit(&plan).map_err(|refusal| refusal.of(&self.path))?;
            Ok(Compiled::Whole(Arc::new(plan)))
        };
        let plan = match &self.source {
            Source::Packed(packed) => {
                let network = match self.arithmetic() == packed.network.arithmetic() {
                    true => packed.network.clone(),
                    false => Arc::new(packed.network.in_floats()),
                };
                whole(network, packed.store.clone())?
            }
            #[cfg(feature = "onnx")]
            Source::Onnx(model) => match model.compile(height, width, self.isa)? {
                super::onnx::Parts::Whole(network, store) => whole(network, store)?,
                super::onnx::Parts::Graph(graph) => Compiled::Graph(graph),
            },
        };
        plans.insert((height, width), plan.clone());
        Ok(plan)
    }

    fn whole_timesteps(&self) -> bool {
        match &self.source {
            Source::Packed(packed) => packed.manifest.whole_timesteps,
            #[cfg(feature = "onnx")]
            Source::Onnx(model) => model.whole_timesteps() || self.manifest.whole_timesteps,
        }
    }

    /// Whether a plan takes and gives what the manifest says.
    fn check(&self, plan: &Plan, height: usize, width: usize) -> Result<()> {
        let [state, told, output] = Window::lengths(&self.manifest, height, width);
        let expected = (vec![state, told], vec![output]);
        if plan.lengths() != expected {
            let found = format!("{:?}", plan.lengths());
            let expected = format!("inputs and outputs of {expected:?} values");
            return Err(Error::model(&self.path, expected, found));
        }
        Ok(())
    }
}

/// One operator of a network, for inspection.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    pub name: String,
    pub operator: String,
    /// Shape of the output.
    pub output: String,
    /// Multiply-accumulates for one evaluation of the window.
    pub multiply_accumulates: u64,
    /// Values of the output.
    pub values: u64,
}

fn whole_layers(plan: &Plan) -> Vec<Layer> {
    let layers = plan.layers().into_iter().enumerate();
    let described = layers.map(|(i, (op, shape, multiply_accumulates))| Layer {
        name: i.to_string(),
        operator: op.into(),
        output: shape.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
        multiply_accumulates,
        values: shape.iter().product::<usize>() as u64,
    });
    described.collect()
}

impl Prior for Model {
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
        let runner = match self.plan(height, width)? {
            Compiled::Whole(plan) => Runner::Whole(plan, self.idle.clone()),
            #[cfg(feature = "onnx")]
            Compiled::Graph(graph) => {
                let window = Window::new(&self.manifest, height, width);
                Runner::Graph(Box::new((graph.spawn(&self.path, height, width)?, window)))
            }
        };
        Ok(Box::new(ModelEvaluator {
            manifest: self.manifest.clone(),
            whole_timesteps: self.whole_timesteps(),
            height,
            width,
            runner,
        }))
    }

    fn prepare(&self, windows: &[(usize, usize)], threads: usize) -> Result<()> {
        for &(height, width) in windows {
            // What tract runs allocates anyhow.
            #[cfg_attr(not(feature = "onnx"), allow(irrefutable_let_patterns))]
            let Compiled::Whole(plan) = self.plan(height, width)? else { continue };
            let mut idle = self.idle.lock().unwrap_or_else(|e| e.into_inner());
            let more = threads.saturating_sub(idle.len());
            idle.extend((0..more).map(|_| Default::default()));
            for (memory, window) in idle.iter_mut() {
                plan.reserve(memory);
                window.fit(&self.manifest, height, width);
            }
        }
        Ok(())
    }

    fn identity(&self) -> Identity {
        let sha256 = match &self.source {
            Source::Packed(packed) => packed.sha256.clone(),
            #[cfg(feature = "onnx")]
            Source::Onnx(_) => self.manifest.sha256.clone(),
        };
        let format = match self.format() {
            Format::F32 => "f32",
            Format::F16 => "f16",
            Format::Int8 => "int8",
        };
        Identity {
            name: self.manifest.name.clone(),
            sha256,
            weights: format.into(),
            arithmetic: self.arithmetic().name().into(),
            kernels: self.isa.in_floats().name().into(),
        }
    }
}

enum Runner {
    Whole(Arc<Plan>, Idle),
    #[cfg(feature = "onnx")]
    Graph(Box<(GraphState, Window)>),
}

struct ModelEvaluator {
    manifest: Arc<Manifest>,
    whole_timesteps: bool,
    height: usize,
    width: usize,
    runner: Runner,
}

impl Evaluator for ModelEvaluator {
    fn x0(&mut self, x_t: &[f32], level: Level, x0: &mut [f32]) -> Result<()> {
        let manifest = &self.manifest;
        let expected = manifest.channels * self.height * self.width;
        if x_t.len() != expected || x0.len() != expected {
            return Err(Error::shape("window", format!("{expected} values"), x_t.len()));
        }
        match &mut self.runner {
            Runner::Whole(plan, idle) => {
                // A poisoned lock only means that another thread failed: what is there is idle.
                let idle = || idle.lock().unwrap_or_else(|e| e.into_inner());
                let (mut memory, mut window) = idle().pop().unwrap_or_default();
                window.fit(manifest, self.height, self.width);
                window.tell(manifest, x_t, level, self.whole_timesteps);
                let mut output = std::mem::take(&mut window.output);
                let inputs = [window.picture(x_t), &window.told];
                plan.run(&mut memory, &inputs, &mut [&mut output]);
                window.output = output;
                window.scene(manifest, x_t, level, x0);
                idle().push((memory, window));
            }
            #[cfg(feature = "onnx")]
            Runner::Graph(graph) => {
                let (graph, window) = graph.as_mut();
                window.tell(manifest, x_t, level, self.whole_timesteps);
                graph.run(&window.state, &window.told, &mut window.output)?;
                window.scene(manifest, x_t, level, x0);
            }
        }
        Ok(())
    }
}
