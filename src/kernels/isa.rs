//! Which instruction set the kernels use.

use super::grid::Grid;
use crate::error::{Error, Result};

/// The environment variable that pins a path: every path can be tested where it can run.
pub const VARIABLE: &str = "DDNM_KERNEL";

/// An instruction set that the kernels are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust.
    Portable,
    /// x86-64 with AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// x86-64 with AVX-512.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// ARM64.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// Those that are in this program, slowest first.
    pub const COMPILED: &[Isa] = &[
        Isa::Portable,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon,
    ];

    /// Those that this processor can run, slowest first.
    pub fn available() -> Vec<Isa> {
        #[allow(unused_mut)]
        let mut all = vec![Isa::Portable];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            all.push(Isa::Avx2);
            if is_x86_feature_detected!("avx512f") {
                all.push(Isa::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        all.push(Isa::Neon);
        all
    }

    /// The name in certificates and in `DDNM_KERNEL`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => "neon",
        }
    }

    /// This one, or a narrower one for pictures of which a pixel does not fill its vectors.
    pub(super) fn narrowed(self, grids: &[Grid]) -> Isa {
        #[cfg(target_arch = "x86_64")]
        if self == Isa::Avx512 && grids.iter().any(|grid| !grid.pixel().is_multiple_of(16)) {
            return Isa::Avx2;
        }
        let _ = grids;
        self
    }

    /// The fastest one, or that which `DDNM_KERNEL` names.
    pub fn choose() -> Result<Isa> {
        let pinned = std::env::var_os(VARIABLE);
        Isa::pick(pinned.as_deref().map(|name| name.to_string_lossy()).as_deref())
    }

    fn pick(pinned: Option<&str>) -> Result<Isa> {
        let all = Isa::available();
        let Some(name) = pinned else { return Ok(all[all.len() - 1]) };
        all.iter().copied().find(|isa| isa.name() == name).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|isa| isa.name()).collect();
            Error::Usage(format!("{VARIABLE}: expected one of {}, found {name}", names.join(", ")))
        })
    }
}

/// Runs a kernel that is generic over [`Simd`](super::simd::Simd) with the vectors of an
/// instruction set, inside a function that enables it.
macro_rules! dispatch {
    ($isa:expr, $kernel:ident($($arg:ident: $type:ty),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2($($arg: $type),*) {
            // SAFETY: this function has the features, and the caller's promise is passed on.
            unsafe { $kernel::<$crate::kernels::avx2::Avx2>($($arg),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx2,fma")]
        unsafe fn avx512($($arg: $type),*) {
            // SAFETY: this function has the features, and the caller's promise is passed on.
            unsafe { $kernel::<$crate::kernels::avx512::Avx512>($($arg),*) }
        }
        // SAFETY: an `Isa` other than the portable one is only made where the processor has it;
        // that pointers are valid for the kernel is the reason given where `dispatch` is used.
        unsafe {
            match $isa {
                $crate::kernels::Isa::Portable => {
                    $kernel::<$crate::kernels::portable::Portable>($($arg),*)
                }
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Isa::Avx2 => avx2($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Isa::Avx512 => avx512($($arg),*),
                #[cfg(target_arch = "aarch64")]
                $crate::kernels::Isa::Neon => $kernel::<$crate::kernels::neon::Neon>($($arg),*),
            }
        }
    }};
}
pub(super) use dispatch;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_pinned_by_name() {
        assert_eq!(Isa::pick(Some("portable")), Ok(Isa::Portable));
        for isa in Isa::available() {
            assert!(Isa::COMPILED.contains(&isa));
            assert_eq!(Isa::pick(Some(isa.name())), Ok(isa));
        }
        let error = Isa::pick(Some("mmx")).unwrap_err().to_string();
        assert!(error.contains("portable") && error.contains("mmx"), "{error}");
    }
}
