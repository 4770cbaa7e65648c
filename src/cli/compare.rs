//! `ddnm compare`.

use serde_json::json;

use super::args::{Compare, path};
use super::{job, print};
use crate::certificate::residual;
use crate::degrade::{self, Degradation};
use crate::error::{Error, Result};
use crate::{io, metrics};

pub fn run(args: Compare) -> Result<()> {
    let (a, b) = (io::read(path(&args.a))?, io::read(path(&args.b))?);
    let (psnr, ssim) = (metrics::psnr(&a, &b)?, metrics::ssim(&a, &b)?);
    let agreement = match (&args.degradation, &args.measurement) {
        (None, None) => None,
        (Some(spec), Some(name)) => {
            let file = io::read(path(name))?;
            let size = format!("{}x{}", a.shape.width, a.shape.height);
            let operator = job::operator(spec, file.shape, file.origin.scene, Some(&size))?;
            if operator.scene() != a.shape {
                return Err(Error::shape(&args.a, operator.scene(), a.shape));
            }
            let y = degrade::measurement(&operator, &file)?;
            Some(residual(&operator, &y, &a))
        }
        _ => {
            let why = "residual: expected both a degradation (-d) and its measurement (-y)";
            return Err(Error::Usage(why.into()));
        }
    };
    if args.json {
        // JSON has no infinity: equal pictures have no PSNR.
        let psnr = psnr.is_finite().then_some(psnr);
        let r = agreement.map(|r| json!({ "max": r.max, "rms": r.rms }));
        return print(&json!({ "psnr": psnr, "ssim": ssim, "residual": r }).to_string());
    }
    let mut text = format!("PSNR {psnr:.2} dB\nSSIM {ssim:.4}");
    if let Some(r) = agreement {
        text += &format!("\nresidual max {:.4}, rms {:.4} code values", r.max, r.rms);
    }
    print(&text)
}
