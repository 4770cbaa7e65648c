//! The header says what the code is, and what callers get wrong becomes a status.

use std::ffi::CStr;
use std::path::Path;
use std::ptr::{null, null_mut};

use super::*;
use crate::error::Error;

/// `DDNM_WRITE_HEADER=1 cargo test --features capi --lib capi::` makes the header anew.
#[test]
fn the_header_is_what_the_code_says() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/capi");
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).unwrap();
    let builder = cbindgen::Builder::new().with_config(config).with_src(here.join("mod.rs"));
    let mut made = Vec::new();
    builder.generate().unwrap().write(&mut made);
    let path = here.join("ddnm.h");
    if std::env::var_os("DDNM_WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert!(std::fs::read(&path).unwrap() == made, "ddnm.h is not that of the code: write it anew");
}

#[test]
fn statuses_are_exit_codes() {
    let text = String::new;
    let (what, expected, found) = (text(), text(), text());
    let path = std::path::PathBuf::new();
    let numerical = Error::Numerical { what, expected, found };
    for (error, status) in [
        (Error::Usage(text()), DDNM_USAGE),
        (Error::shape("", 1, 2), DDNM_INPUT),
        (Error::Model { path, expected: text(), found: text() }, DDNM_MODEL),
        (numerical, DDNM_NUMERICAL),
        (Error::Interrupted, DDNM_STOPPED),
    ] {
        assert_eq!(error.exit_code(), status, "{error:?}");
        assert_eq!(guarded(|| Err(error)), status);
    }
    assert_eq!(guarded(|| Ok(())), DDNM_OK);
    assert_eq!(guarded(|| panic!("of a test")), DDNM_BUG);
    assert!(said().ends_with("of a test"), "{}", said());
}

fn said() -> String {
    // SAFETY: the library's own string.
    unsafe { CStr::from_ptr(ddnm_error()) }.to_str().unwrap().into()
}

fn options(spec: &'static CStr) -> Options {
    Options {
        size: size_of::<Options>(),
        spec: spec.as_ptr(),
        model: null(),
        mode: null(),
        noise: 0.0,
        noise_gain: 0.0,
        eta: 0.0,
        seed: 0,
        width: 32,
        height: 24,
        channels: 1,
        samples: 1,
        scene_width: 0,
        scene_height: 0,
        steps: 1,
        threads: 1,
    }
}

fn picture(data: &mut [u8], channels: u32) -> Picture {
    let (width, height, samples) = (32, 24, 1);
    let (pixel, row, plane) = (0, 0, 0);
    let data_at = data.as_mut_ptr().cast();
    Picture {
        data: data_at,
        bytes: data.len(),
        pixel,
        row,
        plane,
        width,
        height,
        channels,
        samples,
    }
}

extern "C" fn stop(_: *mut c_void, _: usize, _: usize) -> c_int {
    1
}

#[test]
fn what_callers_get_wrong_has_a_status_and_a_message() {
    let mut made: *mut Handle = null_mut();
    // SAFETY: pointers are NULL or to what lives here; so in all of this test.
    unsafe {
        assert_eq!(ddnm_create(null(), &mut made), 2);
        assert!(said().contains("options: expected a pointer"), "{}", said());
        assert_eq!(ddnm_create(&options(c"bayer:rggb"), null_mut()), 2);
        let wrong = Options { size: 8, ..options(c"none") };
        assert_eq!(ddnm_create(&wrong, &mut made), 2);
        assert_eq!(ddnm_create(&options(c"nonsense"), &mut made), 2);
        let wrong = Options { model: c"nowhere.onnx".as_ptr(), ..options(c"none") };
        assert_eq!(ddnm_create(&wrong, &mut made), 4, "{}", said());
        let wrong = Options { width: u32::MAX, ..options(c"none") };
        assert_eq!(ddnm_create(&wrong, &mut made), 3);
        for wrong in [
            Options { noise: -1.0, ..options(c"none") },
            Options { noise_gain: -1.0, ..options(c"none") },
            Options { noise_gain: f64::NAN, ..options(c"none") },
            Options { noise_gain: 0.5, noise: 256.0, ..options(c"none") },
        ] {
            assert_eq!(ddnm_create(&wrong, &mut made), 2);
            assert!(said().contains("noise") && said().contains("expected 0 to 255"), "{}", said());
        }
        for eta in [-0.1, 1.1, f64::NAN] {
            let wrong = Options { mode: c"sample".as_ptr(), eta, ..options(c"none") };
            assert_eq!(ddnm_create(&wrong, &mut made), 2);
            assert_eq!(said(), format!("eta: expected 0 to 1, found {eta}"));
        }
        assert!(made.is_null());

        assert_eq!(ddnm_create(&options(c"bayer:rggb"), &mut made), 0, "{}", said());
        let (mut y, mut x) = (vec![100; 32 * 24], vec![0; 3 * 32 * 24]);
        let (from, to) = (picture(&mut y, 1), picture(&mut x, 3));
        let go = |from: *const Picture, to: *const Picture, progress| {
            ddnm_restore(made, from, to, 0, progress, null_mut())
        };
        assert_eq!(go(null(), &to, None), 2);
        assert_eq!(go(&from, &from, None), 3, "the wrong size");
        let short = Picture { bytes: 32 * 24 - 1, ..picture(&mut y, 1) };
        assert_eq!(go(&short, &to, None), 3, "{}", said());
        let far = Picture { row: usize::MAX / 2, ..picture(&mut y, 1) };
        assert_eq!(go(&far, &to, None), 3, "{}", said());
        let same = Picture { data: to.data, ..picture(&mut y, 1) };
        assert_eq!(go(&same, &to, None), 2, "{}", said());
        assert_eq!(go(&from, &to, Some(stop)), 130);
        assert_eq!(said(), "stopped");
        assert_eq!(go(&from, &to, None), 0, "{}", said());
        // Even light stays even.
        assert!(x.iter().all(|v| v.abs_diff(100) <= 1));

        let (mut measurement, mut scene) =
            (Size { width: 0, height: 0, channels: 0 }, Size { width: 0, height: 0, channels: 0 });
        assert_eq!(ddnm_sizes(null(), &mut measurement, null_mut()), 2);
        assert_eq!(ddnm_sizes(made, &mut measurement, &mut scene), 0);
        assert_eq!(
            (measurement.width, measurement.channels, scene.height, scene.channels),
            (32, 1, 24, 3)
        );
        ddnm_destroy(made);
        ddnm_destroy(null_mut());
    }
}

#[test]
fn samples_of_every_kind_and_order_are_the_same_picture() {
    let mut made: *mut Handle = null_mut();
    let options = Options { channels: 3, samples: 4, ..options(c"none") };
    let value = |i: usize| (i * 37 % 256) as f32 / 255.0;
    let count = 3 * 32 * 24;
    // Planes of floats in; pixels of bytes, and planes of 16 bits with gaps, out.
    let mut y: Vec<u8> = (0..count).flat_map(|i| value(i).to_ne_bytes()).collect();
    let from = Picture { pixel: 4, plane: 4 * 32 * 24, samples: 4, ..picture(&mut y, 3) };
    let (mut bytes, mut words) = (vec![0; count], vec![7; 3 * 24 * 100]);
    let to_bytes = picture(&mut bytes, 3);
    let to_words =
        Picture { pixel: 2, row: 100, plane: 2400, samples: 2, ..picture(&mut words, 3) };
    // SAFETY: pointers to what lives here.
    unsafe {
        assert_eq!(ddnm_create(&options, &mut made), 0, "{}", said());
        for to in [&to_bytes, &to_words] {
            assert_eq!(ddnm_restore(made, &from, to, 0, None, null_mut()), 0, "{}", said());
        }
        ddnm_destroy(made);
    }
    for i in 0..count {
        let (c, y, x) = (i / (32 * 24), i / 32 % 24, i % 32);
        // Nothing was lost, so nothing changes.
        let expected = (i * 37 % 256) as u8;
        assert_eq!(bytes[(y * 32 + x) * 3 + c], expected);
        let at = c * 2400 + y * 100 + 2 * x;
        assert_eq!(u16::from_ne_bytes([words[at], words[at + 1]]), u16::from(expected) * 257);
    }
    assert!(words[64..100].iter().all(|v| *v == 7), "gaps are left alone");
}

/// A rough picture, restored with these options.
fn restored(options: Options) -> Vec<u8> {
    let mut made: *mut Handle = null_mut();
    let mut y: Vec<u8> = (0..32 * 24).map(|i| (i * i * 37 % 251) as u8).collect();
    let mut x = vec![0; y.len()];
    let (from, to) = (picture(&mut y, 1), picture(&mut x, 1));
    // SAFETY: pointers to what lives here.
    unsafe {
        assert_eq!(ddnm_create(&options, &mut made), 0, "{}", said());
        assert_eq!(ddnm_restore(made, &from, &to, 0, None, null_mut()), 0, "{}", said());
        ddnm_destroy(made);
    }
    x
}

#[test]
fn noise_of_a_camera_lets_dark_values_change_less() {
    let even = restored(Options { noise: 12.0, ..options(c"none") });
    let camera = restored(Options { noise: 2.0, noise_gain: 1.1, ..options(c"none") });
    let changes = |x: &[u8], dark: bool| -> u32 {
        let of = |i: usize| (i * i * 37 % 251) as u8;
        let found = x.iter().enumerate().map(|(i, v)| (of(i), *v));
        found.filter(|(y, _)| dark == (*y < 30)).map(|(y, x)| u32::from(y.abs_diff(x))).sum()
    };
    assert!(2 * changes(&camera, true) < changes(&even, true));
    assert!(changes(&camera, false) > 0);
}

#[test]
fn eta_is_the_share_of_new_noise_in_a_sample() {
    let of = |eta| {
        let (mode, steps) = (c"sample".as_ptr(), 3);
        restored(Options { mode, steps, eta, noise: 20.0, ..options(c"none") })
    };
    let usual = of(0.0);
    assert!(usual == of(0.85));
    assert!(usual != of(1.0) && usual != of(1e-30));
    assert!(of(1e-30) == of(1e-300));
}
