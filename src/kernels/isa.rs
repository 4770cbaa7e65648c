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
    /// x86-64 with AVX2, FMA and the products of bytes of AVX-VNNI.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// x86-64 with AVX-512.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// x86-64 with AVX-512 and its products of bytes.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// ARM64.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// ARM64 with products of bytes (`dotprod`).
    #[cfg(target_arch = "aarch64")]
    NeonDot,
}

impl Isa {
    /// Those that are in this program, slowest first.
    pub const COMPILED: &[Isa] = &[
        Isa::Portable,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2,
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon,
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot,
    ];

    /// Those that this processor can run, slowest first.
    pub fn available() -> Vec<Isa> {
        #[allow(unused_mut)]
        let mut all = vec![Isa::Portable];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            all.push(Isa::Avx2);
            if is_x86_feature_detected!("avxvnni") {
                all.push(Isa::AvxVnni);
            }
            if is_x86_feature_detected!("avx512f") {
                all.push(Isa::Avx512);
                let vnni = is_x86_feature_detected!("avx512vnni");
                if vnni && is_x86_feature_detected!("avx512vl") {
                    all.push(Isa::Avx512Vnni);
                }
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            all.push(Isa::Neon);
            if std::arch::is_aarch64_feature_detected!("dotprod") {
                all.push(Isa::NeonDot);
            }
        }
        all
    }

    /// Those of [`available`](Isa::available) that differ in single precision.
    pub fn available_in_floats() -> Vec<Isa> {
        Isa::available().into_iter().filter(|isa| isa.in_floats() == *isa).collect()
    }

    /// The path without its products of bytes: what a result depends on, since these are exact.
    pub fn in_floats(self) -> Isa {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => Isa::Avx2,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => Isa::Avx512,
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => Isa::Neon,
            other => other,
        }
    }

    /// Whether it has products of bytes.
    pub fn has_dots(self) -> bool {
        self != self.in_floats()
    }

    /// The name in certificates and in `DDNM_KERNEL`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => "avx512-vnni",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => "neon",
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => "neon-dot",
        }
    }

    /// Bytes of an input and of a weight in a product of bytes: some paths widen them.
    pub(super) fn dot_bytes(self) -> usize {
        if self == self.in_floats() && !self.name().starts_with("neon") { 2 } else { 1 }
    }

    /// This one, or a narrower one for pictures of which a pixel does not fill its vectors.
    pub(super) fn narrowed(self, grids: &[Grid]) -> Isa {
        #[cfg(target_arch = "x86_64")]
        if self.in_floats() == Isa::Avx512
            && grids.iter().any(|grid| !grid.pixel().is_multiple_of(16))
        {
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
            match $isa.in_floats() {
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Isa::Avx2 => avx2($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Isa::Avx512 => avx512($($arg),*),
                #[cfg(target_arch = "aarch64")]
                $crate::kernels::Isa::Neon => $kernel::<$crate::kernels::neon::Neon>($($arg),*),
                _ => $kernel::<$crate::kernels::portable::Portable>($($arg),*),
            }
        }
    }};
}
pub(super) use dispatch;

/// As [`dispatch`], for a kernel that is generic over [`Dot`](super::dot::Dot). `half` says that
/// a pixel of a picture does not fill a vector of 512 bits.
macro_rules! dispatch_dot {
    ($isa:expr, $half:expr, $kernel:ident($($arg:ident: $type:ty),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2($($arg: $type),*) {
            // SAFETY: this function has the features, and the caller's promise is passed on.
            unsafe { $kernel::<$crate::kernels::dot_x86::Avx2Dot>($($arg),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avxvnni,avx2,fma")]
        unsafe fn avx_vnni($($arg: $type),*) {
            // SAFETY: as above.
            unsafe { $kernel::<$crate::kernels::dot_x86::AvxVnni>($($arg),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512vnni,avx512vl,avx512f,avx2,fma")]
        unsafe fn avx512_vnni_half($($arg: $type),*) {
            // SAFETY: as above.
            unsafe { $kernel::<$crate::kernels::dot_x86::Avx512VnniHalf>($($arg),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512vnni,avx512f,avx2,fma")]
        unsafe fn avx512_vnni($($arg: $type),*) {
            // SAFETY: as above.
            unsafe { $kernel::<$crate::kernels::dot_x86::Avx512Vnni>($($arg),*) }
        }
        #[cfg(target_arch = "aarch64")]
        #[target_feature(enable = "dotprod")]
        unsafe fn neon_dot($($arg: $type),*) {
            // SAFETY: as above.
            unsafe { $kernel::<$crate::kernels::dot_neon::NeonDot>($($arg),*) }
        }
        // Only x86-64 has two widths.
        let _ = $half;
        // SAFETY: as in `dispatch`.
        unsafe {
            match $isa {
                $crate::kernels::Isa::Portable => {
                    $kernel::<$crate::kernels::dot::PortableDot>($($arg),*)
                }
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Isa::Avx2 | $crate::kernels::Isa::Avx512 => avx2($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Isa::AvxVnni => avx_vnni($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Isa::Avx512Vnni if $half => avx512_vnni_half($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Isa::Avx512Vnni => avx512_vnni($($arg),*),
                #[cfg(target_arch = "aarch64")]
                $crate::kernels::Isa::Neon => {
                    $kernel::<$crate::kernels::dot_neon::NeonPairs>($($arg),*)
                }
                #[cfg(target_arch = "aarch64")]
                $crate::kernels::Isa::NeonDot => neon_dot($($arg),*),
            }
        }
    }};
}
pub(super) use dispatch_dot;

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
