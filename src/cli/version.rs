//! `ddnm --version`: what a report of a problem needs.

use crate::error::Result;
use crate::kernels::Isa;

pub fn text() -> Result<String> {
    let kernels: Vec<&str> = Isa::COMPILED.iter().map(|isa| isa.name()).collect();
    let features = if cfg!(feature = "onnx") { "onnx" } else { "none" };
    let lines = [
        format!("ddnm {} (commit {})", env!("CARGO_PKG_VERSION"), env!("DDNM_COMMIT")),
        format!("target    {}", env!("DDNM_TARGET")),
        format!("kernels   {}; {} here", kernels.join(", "), Isa::choose()?.name()),
        format!("features  {features}"),
    ];
    Ok(lines.join("\n"))
}
