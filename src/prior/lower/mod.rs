//! From tract's simplified graph to networks of our own operators.
//!
//! Every node whose operator and inputs we know joins a *region*, a [`Network`] that runs in one
//! piece of memory; what we do not know stays with tract. Regions are numbered so that between two
//! of them on any path there is an operator of tract: region `n` depends on earlier regions and on
//! tract's nodes of levels up to `n`, which depend on regions below. So the result is a graph of a
//! few large operators, and for most UNets without attention it is a single one.

mod assemble;
mod pictures;
mod rearranged;
mod vectors;

use std::collections::HashMap;
use std::sync::Arc;

use tract_core::internal::*;
use tract_core::ops::konst::Const;

use crate::network::{Input, Layer, Network, Op, Output, Value, fuse};
use crate::weights::{Format, Store, StoreBuilder};

pub use assemble::assemble;

/// What is known of an outlet of the graph.
#[derive(Debug, Clone)]
enum State {
    Constant(Arc<Tensor>),
    /// Computed by tract, at a level.
    Foreign(usize),
    Known {
        region: usize,
        value: Value,
        kind: Kind,
    },
    /// A picture of a region in another order, from which one of ours may come again: for every
    /// value, its place in the picture's planes.
    Rearranged {
        region: usize,
        value: Value,
        /// Channels, height and width of the picture.
        picture: [usize; 3],
        places: Arc<Vec<usize>>,
    },
}

/// What a region's value is, at the window size of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vector(usize),
    /// Channels, height, width.
    Picture([usize; 3]),
}

/// A network with the outlets that it takes and gives.
#[derive(Debug)]
pub struct Region {
    pub network: Network,
    pub inputs: Vec<OutletId>,
    pub outputs: Vec<OutletId>,
}

/// A region while it grows: inputs and layers in the order in which they were met. Values are
/// numbers of items.
#[derive(Debug, Default)]
struct Growing {
    items: Vec<Item>,
    outputs: Vec<OutletId>,
    imported: HashMap<OutletId, (Value, Kind)>,
    /// Constant vectors, by the bits of their values.
    constants: HashMap<Vec<u32>, Value>,
}

#[derive(Debug)]
enum Item {
    Input(OutletId, Input),
    Layer(Layer),
}

impl Growing {
    fn push(&mut self, op: Op, inputs: Vec<Value>) -> Value {
        self.items.push(Item::Layer(Layer { op, inputs }));
        self.items.len() - 1
    }
}

/// A graph in parts.
pub struct Lowered {
    pub regions: Vec<Region>,
    pub store: Store,
    /// Level of every node that tract runs, by node.
    foreign: HashMap<usize, usize>,
    states: HashMap<OutletId, State>,
}

impl Lowered {
    /// The network that is the whole model, if there is one: `inputs` are the model's.
    pub fn whole(&self, model: &TypedModel) -> Option<&Network> {
        let sources = model.input_outlets().ok()?;
        let only_sources = self.foreign.keys().all(|id| sources.iter().any(|s| s.node == *id));
        match self.regions.as_slice() {
            [region] if only_sources && region.inputs.as_slice() == sources => {
                Some(&region.network)
            }
            _ => None,
        }
    }

    /// The operators that are left to tract, each once.
    pub fn foreign_names(&self, model: &TypedModel) -> Vec<String> {
        let sources = model.input_outlets().unwrap_or_default();
        let foreign = self.foreign.keys().filter(|id| sources.iter().all(|s| s.node != **id));
        let mut names: Vec<String> =
            foreign.map(|id| model.node(*id).op().name().into_owned()).collect();
        names.sort();
        names.dedup();
        names
    }
}

struct Lowering<'a> {
    model: &'a TypedModel,
    states: HashMap<OutletId, State>,
    regions: Vec<Growing>,
    foreign: HashMap<usize, usize>,
    store: StoreBuilder,
}

/// Divides a simplified graph. Weights are kept in single precision.
pub fn lower(model: &TypedModel) -> TractResult<Lowered> {
    let mut lowering = Lowering {
        model,
        states: HashMap::new(),
        regions: vec![],
        foreign: HashMap::new(),
        store: StoreBuilder::default(),
    };
    // The model's inputs come first, in order, in a network that is the whole model.
    for outlet in model.input_outlets()? {
        lowering.states.insert(*outlet, State::Foreign(0));
        lowering.foreign.insert(outlet.node, 0);
        lowering.import(0, *outlet);
    }
    for id in model.eval_order()? {
        let node = model.node(id);
        if model.input_outlets()?.iter().any(|o| o.node == id) {
            continue;
        }
        lowering.visit(node)?;
    }
    lowering.demand_outputs()?;
    lowering.finish()
}

impl Lowering<'_> {
    fn visit(&mut self, node: &TypedNode) -> TractResult<()> {
        if let Some(konst) = node.op_as::<Const>() {
            let constant = State::Constant(konst.val().clone());
            self.states.insert(node.id.into(), constant);
            return Ok(());
        }
        let state = match self.known(node)? {
            Some(state) => state,
            None => State::Foreign(self.keep(node)),
        };
        for slot in 0..node.outputs.len() {
            self.states.insert(OutletId::new(node.id, slot), state.clone());
        }
        Ok(())
    }

    /// Our version of a node, if we know its operator and all that it takes.
    fn known(&mut self, node: &TypedNode) -> TractResult<Option<State>> {
        if node.outputs.len() != 1 {
            return Ok(None);
        }
        if let Some(state) = self.rearrange(node)? {
            return Ok(Some(state));
        }
        let Some(region) = self.region_for(node) else { return Ok(None) };
        match self.picture(node, region)? {
            Some(state) => Ok(Some(state)),
            None => self.vector(node, region),
        }
    }

    /// The region that a node joins: the lowest that its inputs allow.
    fn region_for(&self, node: &TypedNode) -> Option<usize> {
        let mut region = 0;
        for input in &node.inputs {
            region = region.max(match self.states.get(input)? {
                State::Constant(_) => 0,
                State::Foreign(level) => *level,
                State::Known { region, .. } | State::Rearranged { region, .. } => *region,
            });
        }
        Some(region)
    }

    /// Leaves a node with tract: what it takes must become tensors.
    fn keep(&mut self, node: &TypedNode) -> usize {
        let mut level = 0;
        for input in &node.inputs {
            level = level.max(self.demand(*input));
        }
        self.foreign.insert(node.id, level);
        level
    }

    /// Makes an outlet a tensor that tract's nodes of the returned level can take.
    fn demand(&mut self, outlet: OutletId) -> usize {
        match self.states.get(&outlet).cloned() {
            Some(State::Foreign(level)) => level,
            Some(State::Known { region, .. }) => {
                let outputs = &mut self.regions[region].outputs;
                if !outputs.contains(&outlet) {
                    outputs.push(outlet);
                }
                region + 1
            }
            // A chain of reorderings is done by tract after all.
            Some(State::Rearranged { .. }) => self.keep(self.model.node(outlet.node)),
            _ => 0,
        }
    }

    fn demand_outputs(&mut self) -> TractResult<()> {
        for outlet in self.model.output_outlets()? {
            self.demand(*outlet);
        }
        Ok(())
    }

    fn region(&mut self, index: usize) -> &mut Growing {
        while self.regions.len() <= index {
            self.regions.push(Growing::default());
        }
        &mut self.regions[index]
    }

    /// The shape of an outlet, if it holds single-precision numbers.
    fn shape(&self, outlet: OutletId) -> Option<Vec<usize>> {
        let fact = self.model.outlet_fact(outlet).ok()?;
        (fact.datum_type == f32::datum_type()).then(|| fact.shape.as_concrete().map(Vec::from))?
    }

    fn kind(&self, outlet: OutletId) -> Option<Kind> {
        let shape = self.shape(outlet)?;
        if shape.iter().filter(|n| **n != 1).count() <= 1 {
            return Some(Kind::Vector(shape.iter().product()));
        }
        match shape[..] {
            [1, c, h, w] => Some(Kind::Picture([c, h, w])),
            _ => None,
        }
    }

    /// What `region` has for an outlet: its own value, a constant, or an input from elsewhere.
    fn take(&mut self, region: usize, outlet: OutletId) -> Option<(Value, Kind)> {
        match self.states.get(&outlet)?.clone() {
            State::Known { region: from, value, kind } if from == region => Some((value, kind)),
            State::Known { .. } => {
                self.demand(outlet);
                self.import(region, outlet)
            }
            State::Foreign(_) => self.import(region, outlet),
            State::Constant(tensor) => {
                let Some(Kind::Vector(len)) = self.kind(outlet) else { return None };
                let values = floats(&tensor)?;
                Some((self.constant(region, &values), Kind::Vector(len)))
            }
            State::Rearranged { .. } => None,
        }
    }

    /// An input of a region for an outlet from elsewhere.
    fn import(&mut self, region: usize, outlet: OutletId) -> Option<(Value, Kind)> {
        if let Some(known) = self.region(region).imported.get(&outlet) {
            return Some(*known);
        }
        let kind = self.kind(outlet)?;
        let region = self.region(region);
        let value = match kind {
            Kind::Vector(len) => {
                region.items.push(Item::Input(outlet, Input::Vector { len }));
                region.items.len() - 1
            }
            Kind::Picture([channels, ..]) => {
                region.items.push(Item::Input(outlet, Input::Planes { channels }));
                let planes = region.items.len() - 1;
                region.push(Op::FromPlanes { unshuffle: 1 }, vec![planes])
            }
        };
        region.imported.insert(outlet, (value, kind));
        Some((value, kind))
    }

    /// A vector of the weights.
    fn constant(&mut self, region: usize, values: &[f32]) -> Value {
        let bits: Vec<u32> = values.iter().map(|v| v.to_bits()).collect();
        if let Some(value) = self.region(region).constants.get(&bits) {
            return *value;
        }
        let tensor = self.store.push(values, values.len(), Format::F32);
        let op = Op::Constant { values: tensor, len: values.len() };
        let region = self.region(region);
        let value = region.push(op, vec![]);
        region.constants.insert(bits, value);
        value
    }

    /// A new layer of a region, as the state of an outlet.
    fn layer(&mut self, region: usize, op: Op, inputs: Vec<Value>, kind: Kind) -> State {
        let value = self.region(region).push(op, inputs);
        State::Known { region, value, kind }
    }

    /// Numbers the values of every region for good, and fuses its layers.
    fn finish(self) -> TractResult<Lowered> {
        let store = self.store.build().map_err(|e| format_err!("expected {e}"))?;
        // Only constants of one value or of equal ones matter to the fusion.
        let uniform = |op: &Op| match op {
            Op::Constant { values, .. } => match store.weights(*values) {
                crate::kernels::Weights::F32([first, rest @ ..]) => {
                    rest.iter().all(|v| v == first).then_some(*first)
                }
                _ => None,
            },
            _ => None,
        };
        let mut regions = Vec::new();
        for region in self.regions {
            let mut place = vec![0; region.items.len()];
            let is_input = |item: &Item| matches!(item, Item::Input(..));
            let inputs = region.items.iter().filter(|item| is_input(item)).count();
            let (mut next_input, mut next_layer) = (0, inputs);
            for (item, place) in region.items.iter().zip(&mut place) {
                let next = if is_input(item) { &mut next_input } else { &mut next_layer };
                *place = *next;
                *next += 1;
            }
            let mut network = Network::default();
            let mut outlets = Vec::new();
            for item in region.items {
                match item {
                    Item::Input(outlet, input) => {
                        outlets.push(outlet);
                        network.inputs.push(input);
                    }
                    Item::Layer(Layer { op, inputs }) => {
                        let inputs = inputs.into_iter().map(|v| place[v]).collect();
                        network.layers.push(Layer { op, inputs });
                    }
                }
            }
            for outlet in &region.outputs {
                if let Some(State::Known { value, .. }) = self.states.get(outlet) {
                    network.outputs.push(Output { value: place[*value], shuffle: 1 });
                }
            }
            let network = fuse(network, uniform);
            regions.push(Region { network, inputs: outlets, outputs: region.outputs });
        }
        Ok(Lowered { regions, store, foreign: self.foreign, states: self.states })
    }
}

/// The values of a single-precision constant.
fn floats(tensor: &Tensor) -> Option<Vec<f32>> {
    let plain = tensor.try_as_plain_ram().ok()?;
    Some(plain.as_slice::<f32>().ok()?.to_vec())
}
