//! Restoration on a GPU: tiles per second, bytes over the bus, memory of the device.
//!
//! `cargo bench --features cuda --bench device`

fn main() {
    #[cfg(feature = "cuda")]
    on_device::main();
    #[cfg(not(feature = "cuda"))]
    println!("no device: built without the feature `cuda`");
}

#[cfg(feature = "cuda")]
mod on_device {
    use std::ops::ControlFlow;
    use std::time::Instant;

    use ddnm::degrade::{self, Degradation, Spec};
    use ddnm::device::{self, Gpu, Job, Prepared};
    use ddnm::prior::{self, Prior};
    use ddnm::sampler::{self, Mode, NoiseRule, Settings};
    use ddnm::{Frame, Result, Shape};

    pub fn main() {
        let gpu = match device::open() {
            Ok(gpu) => gpu,
            Err(why) => return println!("no device: {why}"),
        };
        println!(
            "| mode | precision | frame | tiles/s | bytes up | bytes down | device memory, MiB |"
        );
        println!("|---|---|---|---|---|---|---|");
        let draw = Mode::Sample { eta: 0.85, rule: NoiseRule::Split, seed: 0 };
        for (name, mode) in [("faithful", Mode::Faithful), ("sample", draw)] {
            for precision in [device::Precision::F32, device::Precision::F16] {
                for (width, height) in [(640, 480), (1920, 1080)] {
                    match run(&gpu, mode, precision, Shape::new(3, height, width)) {
                        Ok(row) => {
                            println!("| {name} | {} | {width}x{height} | {row} |", precision.name())
                        }
                        Err(why) => {
                            println!("| {name} | {} | {width}x{height} | {why} |", precision.name())
                        }
                    }
                }
            }
        }
    }

    fn run(gpu: &Gpu, mode: Mode, precision: device::Precision, scene: Shape) -> Result<String> {
        let a = Spec::parse("sr:2")?.build(scene, &|path| Ok(ddnm::io::read(path)?.into()))?;
        let model = prior::find_onnx(None)?;
        let levels = model.diffusion().geometric(0.3, 0.04, 8);
        let settings = Settings::new(mode, 0.0, levels);
        let wave = |i: usize| ((i % scene.width) as f32 * 0.1).sin() * 0.8;
        let x = Frame::new(scene, (0..scene.len()).map(wave).collect())?;
        let y = Frame::new(a.measurement(), degrade::measure(&*a, &x, 0.0, 0))?;
        let job = Job { a: &*a, model: &model, settings: &settings, precision };
        let prepared = Prepared::new(gpu, job)?;
        let mut go_on = |_| ControlFlow::Continue(());
        // The first frame waits for kernels to be loaded.
        prepared.restore(&y, &mut go_on)?;
        let tiles: usize =
            sampler::grids(&*a, &model, &settings.levels).iter().map(|grid| grid.len()).sum();
        // The best of a few, without the first estimate's and the last pass's time on the host.
        let mut best = f64::MAX;
        let mut traffic = device::Traffic::default();
        for _ in 0..5 {
            let mut began = None;
            let mut ended = Instant::now();
            let mut first = 0;
            let mut seen = |p: sampler::Progress| {
                ended = Instant::now();
                if began.is_none() {
                    (began, first) = (Some(ended), p.done);
                }
                ControlFlow::Continue(())
            };
            traffic = prepared.restore(&y, &mut seen)?.1;
            let Some(began) = began else { continue };
            best = best.min((ended - began).as_secs_f64() / (tiles - first).max(1) as f64);
        }
        let used = gpu.memory().map_or("unknown".into(), |(free, all)| {
            format!("{:.0}", (all - free) as f64 / f64::from(1 << 20))
        });
        Ok(format!("{:.1} | {} | {} | {used}", 1.0 / best, traffic.up, traffic.down))
    }
}
