//! NVIDIA GPUs, by tract-cuda: whether one can be used, and running graphs on it.
//!
//! Nothing of CUDA is linked: driver and libraries are looked up when a device is asked for. What
//! is missing or broken there becomes an error, also where it panics or never answers.

use std::sync::mpsc;
use std::time::Duration;

use tract_core::internal::*;
use tract_core::ops::math;
use tract_core::runtime::{Runnable, Runtime, runtime_for_name};
use tract_gpu::tensor::{IntoDevice, LazyHostStorage};

use super::engine::Engine;
use super::run::Job;
use super::wires::Wires;
use super::{guarded, table};
use crate::error::{Error, Result};

#[cfg(not(target_env = "gnu"))]
compile_error!(
    "the feature `cuda` needs a build for glibc: a static program cannot load the driver"
);

// tract finds the runtime in a list that is put together when programs are linked.
use tract_cuda as _;

/// How long the driver may take to answer, in seconds, unless the environment says otherwise.
const PATIENCE: u64 = 60;
const PATIENCE_VARIABLE: &str = "DDNM_DEVICE_TIMEOUT";

/// Compiling tract's kernels, which is done once per machine, may take so many times as long.
const FOR_COMPILING: u32 = 20;

/// A GPU that runs graphs.
pub struct Gpu {
    runtime: &'static dyn Runtime,
}

/// Opens the GPU: looks for driver and libraries, compiles tract's kernels where that has not been
/// done yet, and runs a graph of two numbers.
///
/// # Errors
/// [`Error::Device`], which says what was missing. A driver that never answers ends the process
/// with that error where its thread cannot be left behind.
pub fn open() -> Result<Gpu> {
    let patience = patience()?;
    let (answer, answers) = mpsc::channel();
    // A driver that does not return must not hold up the program: its thread is left to it.
    let ask = move || {
        let found = guarded("a GPU", || {
            runtime_for_name("cuda")?.context("this program was linked without tract-cuda")
        });
        let _ = answer.send(found);
    };
    let started = std::thread::Builder::new().name("device".into()).spawn(ask);
    started.map_err(|e| device("a thread to ask the driver on", e))?;
    let silent = |_| silence(patience);
    let runtime = answers.recv_timeout(patience).map_err(silent)??;
    let gpu = Gpu { runtime };
    let (done, waits) = mpsc::channel::<()>();
    let watch = move || {
        let long = patience * FOR_COMPILING;
        if let Err(mpsc::RecvTimeoutError::Timeout) = waits.recv_timeout(long) {
            let e = silence(long);
            eprintln!("ddnm: {e}");
            std::process::exit(e.exit_code());
        }
    };
    // Without a watch it is only patience that is missing.
    let _ = std::thread::Builder::new().name("watch".into()).spawn(watch);
    let tried = gpu.try_out();
    drop(done);
    tried.map(|()| gpu)
}

fn patience() -> Result<Duration> {
    let seconds = match std::env::var(PATIENCE_VARIABLE) {
        Ok(text) => text.parse().map_err(|_| {
            let what = format!("{PATIENCE_VARIABLE}: expected seconds, found {text}");
            Error::Usage(what)
        })?,
        Err(_) => PATIENCE,
    };
    Ok(Duration::from_secs(seconds))
}

fn device(expected: &str, found: impl std::fmt::Display) -> Error {
    Error::Device { expected: expected.into(), found: found.to_string() }
}

fn silence(waited: Duration) -> Error {
    device("an answer of the driver", format!("none in {} s", waited.as_secs()))
}

impl Gpu {
    /// The first use of a device is where most of what is broken shows.
    fn try_out(&self) -> Result<()> {
        guarded("a GPU that calculates", || {
            let mut wires = Wires::new();
            let a = wires.input("a", [1; 4])?;
            let sum = wires.op(math::add(), &[a, a])?;
            wires.model.select_output_outlets(&[sum])?;
            let found =
                self.prepare(wires.model)?.run(tvec![self.upload(tensor4(&[[[[21f32]]]]))?])?;
            let found =
                *found[0].try_as_plain_ram()?.as_slice::<f32>()?.first().context("no sum")?;
            ensure!(found == 42.0, "21 and 21 made {found}");
            Ok(())
        })
    }

    /// Bytes of the device's memory: free and all.
    pub fn memory(&self) -> Option<(u64, u64)> {
        let (free, all) = cudarc::driver::result::mem_get_info().ok()?;
        Some((free as u64, all as u64))
    }

    /// The nodes of a step as they run: names, operators, and whether that is on the device.
    pub fn nodes(&self, job: &Job) -> Result<Vec<(String, String, bool)>> {
        let mut nodes = Vec::new();
        for (_, graph) in job.graphs()? {
            let step = guarded("a step that can be compiled", || self.prepare(graph))?;
            let Some(model) = step.typed_model() else { continue };
            for node in model.nodes() {
                let name = node.op.name();
                let here = ["Gpu", "Cuda", "Const", "Source", "DeviceSync"];
                let on_device = here.iter().any(|start| name.starts_with(start));
                nodes.push((node.name.clone(), name.into_owned(), on_device));
            }
        }
        Ok(nodes)
    }
}

impl Engine for Gpu {
    fn prepare(&self, graph: TypedModel) -> TractResult<Box<dyn Runnable>> {
        let left = table::left_behind(&graph)?;
        ensure!(left.is_empty(), "nodes that would not run there: {}", left.join(", "));
        self.runtime.prepare(graph)
    }

    /// The value stays on the device, and as an input does not cross the bus again.
    fn upload(&self, value: Tensor) -> TractResult<TValue> {
        Ok(LazyHostStorage::new(value.into_device()?)?.into_tensor().into_tvalue())
    }
}

/// Whether this process sees the GPU that was asked for, or has to start anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    Here,
    /// With this in [`VISIBLE`].
    Anew(String),
}

/// What CUDA reads once, when it is loaded: the devices that a process sees.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";
/// Set in a process that was started anew.
const SELECTED: &str = "DDNM_DEVICE_SELECTED";

/// tract-cuda takes the first device that it sees: how to make that the `n`-th, where `visible` are
/// those that the process may see and `selected` is what an earlier start has settled.
pub fn locate(n: usize, visible: Option<&str>, selected: Option<&str>) -> Result<Located> {
    if selected == Some(&n.to_string()) {
        return Ok(Located::Here);
    }
    let Some(list) = visible else { return Ok(Located::Anew(n.to_string())) };
    let devices: Vec<&str> = list.split(',').map(str::trim).filter(|d| !d.is_empty()).collect();
    match devices.get(n) {
        Some(name) => Ok(Located::Anew(name.to_string())),
        None => {
            let found = format!("{} devices in {VISIBLE}={list}", devices.len());
            Err(device(&format!("device {n}"), found))
        }
    }
}

/// Makes the `n`-th GPU the one that this program uses, by running it anew with nothing else in
/// sight. To be called before anything is read or written.
pub fn select(n: usize) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let [visible, selected] = [VISIBLE, SELECTED].map(|name| std::env::var(name).ok());
    let Located::Anew(name) = locate(n, visible.as_deref(), selected.as_deref())? else {
        return Ok(());
    };
    let program = std::env::current_exe().map_err(|e| device("a program to start anew", e))?;
    let failed = std::process::Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(VISIBLE, name)
        .env(SELECTED, n.to_string())
        .exec();
    Err(device("a program to start anew", failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_one_of_those_in_sight() {
        let anew = |name: &str| Ok(Located::Anew(name.into()));
        assert_eq!(locate(2, None, None), anew("2"));
        assert_eq!(locate(1, Some("4, GPU-7f"), None), anew("GPU-7f"));
        assert!(matches!(locate(2, Some("4,5"), None), Err(Error::Device { .. })));
        assert_eq!(locate(2, Some("5"), Some("2")), Ok(Located::Here));
    }
}
