//! `ddnm --version`: what a report of a problem needs.

use crate::error::Result;
use crate::kernels::Isa;

pub fn text() -> Result<String> {
    let kernels: Vec<&str> = Isa::COMPILED.iter().map(|isa| isa.name()).collect();
    let features = [
        ("onnx", cfg!(feature = "onnx")),
        ("capi", cfg!(feature = "capi")),
        ("cuda", cfg!(feature = "cuda")),
    ];
    let features: Vec<&str> = features.iter().filter(|f| f.1).map(|f| f.0).collect();
    let features = if features.is_empty() { "none".into() } else { features.join(", ") };
    let lines = [
        format!("ddnm {} (commit {})", env!("CARGO_PKG_VERSION"), env!("DDNM_COMMIT")),
        format!("target    {}", env!("DDNM_TARGET")),
        format!("kernels   {}; {} here", kernels.join(", "), Isa::choose()?.name()),
        format!("features  {features}"),
    ];
    Ok(lines.join("\n"))
}
