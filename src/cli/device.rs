//! `--device` and `--precision`: where a restoration runs.

use super::job;
use crate::boards::Board;
use crate::degrade::Degradation;
use crate::device::{Choice, Precision};
use crate::error::Result;
use crate::frame::Rows;
use crate::prior::{Identity, Model, Prior};
use crate::sampler::{self, OnFinished, OnProgress, Settings};

/// What was asked for.
pub struct Asked {
    choice: Choice,
    precision: Precision,
}

impl Asked {
    /// Understands the options. Where a GPU of another number than the first is asked for, the
    /// program may start anew here: nothing must have been read or written yet.
    pub fn parse(device: &str, precision: &str) -> Result<Asked> {
        let (choice, precision) = (Choice::parse(device)?, Precision::parse(precision)?);
        #[cfg(feature = "cuda")]
        if let Choice::Cuda(Some(n)) = choice {
            crate::device::select(n)?;
        }
        Ok(Asked { choice, precision })
    }
}

/// Where a restoration runs.
pub enum Place {
    Processor,
    #[cfg(feature = "cuda")]
    Gpu {
        gpu: crate::device::Gpu,
        precision: Precision,
        insists: bool,
    },
}

#[cfg(not(feature = "cuda"))]
fn not_built() -> crate::Error {
    crate::Error::Device {
        expected: "a program built with the feature `cuda`".into(),
        found: "one built without it".into(),
    }
}

#[cfg(not(feature = "cuda"))]
impl Place {
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) where a GPU is insisted on.
    pub fn find(asked: &Asked) -> Result<Place> {
        let _ = asked.precision;
        match asked.choice {
            Choice::Auto | Choice::Processor => Ok(Place::Processor),
            Choice::Cuda(_) => Err(not_built()),
        }
    }

    /// Where a restoration runs.
    pub fn suits(&self, _: &dyn Degradation, _: &Model, _: &Settings) -> Result<&Place> {
        Ok(self)
    }

    /// The model that was asked for.
    pub fn model(&self, asked: Option<&str>, board: Option<&Board>) -> Result<Model> {
        job::model(asked, board)
    }

    /// What a certificate says of the prior.
    pub fn identity(&self, prior: &Model) -> Identity {
        prior.identity()
    }

    /// Restores, as [`sampler::restore_rows`] does.
    pub fn restore_rows(
        &self,
        a: &dyn Degradation,
        y: &mut dyn Rows,
        prior: &Model,
        settings: &Settings,
        done: OnFinished,
        progress: OnProgress,
    ) -> Result<()> {
        sampler::restore_rows(a, y, prior, settings, done, progress)
    }
}

#[cfg(feature = "cuda")]
impl Place {
    /// Opens a GPU, if one is asked for or can be had.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) where a GPU is insisted on and none can be used.
    pub fn find(asked: &Asked) -> Result<Place> {
        let (precision, insists) = (asked.precision, asked.choice != Choice::Auto);
        let open = || Ok(Place::Gpu { gpu: crate::device::open()?, precision, insists });
        match asked.choice {
            Choice::Processor => Ok(Place::Processor),
            Choice::Cuda(_) => open(),
            Choice::Auto => open().or_else(|why| {
                log::warn!("restoring on the processor: {why}");
                Ok(Place::Processor)
            }),
        }
    }

    /// Where a restoration runs: on the processor, where a GPU cannot.
    ///
    /// # Errors
    /// Where a GPU is insisted on and cannot: [`Error::Usage`](crate::Error::Usage) for what is
    /// asked of it, [`Error::Model`](crate::Error::Model) for a packed model alone.
    pub fn suits(&self, a: &dyn Degradation, prior: &Model, settings: &Settings) -> Result<&Place> {
        let Place::Gpu { insists, .. } = self else { return Ok(self) };
        match crate::device::takes(a, settings).and_then(|_| prior.check_onnx()) {
            Ok(()) => Ok(self),
            Err(why) if *insists => Err(why),
            Err(why) => {
                log::warn!("restoring on the processor: {why}");
                Ok(&Place::Processor)
            }
        }
    }

    /// The model that was asked for; a GPU wants one from ONNX.
    pub fn model(&self, asked: Option<&str>, board: Option<&Board>) -> Result<Model> {
        match self {
            Place::Processor => job::model(asked, board),
            Place::Gpu { .. } => {
                let asked = asked.map(str::to_owned).or_else(|| job::usual_model(board));
                crate::prior::find_onnx(asked.as_deref())
            }
        }
    }

    /// What a certificate says of the prior.
    pub fn identity(&self, prior: &Model) -> Identity {
        match self {
            Place::Processor => prior.identity(),
            Place::Gpu { precision, .. } => Identity {
                arithmetic: precision.name().into(),
                kernels: "cuda".into(),
                ..prior.identity()
            },
        }
    }

    /// Restores, as [`sampler::restore_rows`] does.
    pub fn restore_rows(
        &self,
        a: &dyn Degradation,
        y: &mut dyn Rows,
        prior: &Model,
        settings: &Settings,
        done: OnFinished,
        progress: OnProgress,
    ) -> Result<()> {
        let Place::Gpu { gpu, precision, .. } = self else {
            return sampler::restore_rows(a, y, prior, settings, done, progress);
        };
        let job = crate::device::Job { a, model: prior, settings, precision: *precision };
        let prepared = crate::device::Prepared::new(gpu, job)?;
        prepared.restore_rows(y, done, progress)
    }
}

/// Prints where each kind of node of a step would run; for `inspect`.
#[cfg(not(feature = "cuda"))]
pub fn list(device: &str, _model: Option<&str>) -> Result<()> {
    let asked = Asked::parse(device, "f32")?;
    match asked.choice {
        Choice::Cuda(_) => Err(not_built()),
        _ => Ok(()),
    }
}

/// Prints where each kind of node of a step would run; for `inspect`. By the table of what tract
/// translates, and where there is a GPU as it was translated.
#[cfg(feature = "cuda")]
pub fn list(device: &str, model: Option<&str>) -> Result<()> {
    use crate::device::{Job, open};
    use crate::frame::Shape;
    use crate::sampler::{Mode, NoiseRule};

    let asked = Asked::parse(device, "f32")?;
    if asked.choice == Choice::Processor {
        return Ok(());
    }
    let model = crate::prior::find_onnx(model)?;
    // A step with all there can be in one: several tiles, noise, singular values of their own.
    let side = 2 * model.tile();
    let spec = crate::degrade::Spec::parse("gray+sr:3")?;
    let a = spec.build(Shape::new(3, side + 1, side), &job::load_mask)?;
    let levels = model.diffusion().geometric(0.2, 0.1, 1);
    let mode = Mode::Sample { eta: 0.85, rule: NoiseRule::Split, seed: 0 };
    let settings = Settings::new(mode, 0.1, levels);
    let job = Job { a: &a, model: &model, settings: &settings, precision: asked.precision };
    let mut text = format!("step          of {} through `{}`, by the table\n", a.scene(), a.spec());
    for (operator, count, place) in job.summary()? {
        text += &format!("{count:>14}  {operator:<18} {place}\n");
    }
    super::print(text.trim_end())?;
    let opened = match (open(), asked.choice) {
        (Err(why), Choice::Auto) => return super::print(&format!("no device      {why}")),
        (opened, _) => opened?,
    };
    let nodes = opened.nodes(&job)?;
    let here = nodes.iter().filter(|(_, _, on_device)| *on_device).count();
    let mut text = format!("on the device {here} of {} nodes as translated\n", nodes.len());
    for (name, operator, _) in nodes.iter().filter(|(_, _, on_device)| !on_device) {
        text += &format!("  not there   {operator:<18} {name}\n");
    }
    super::print(text.trim_end())
}
