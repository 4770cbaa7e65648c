//! The header says what the code is, and what callers get wrong becomes a status.

use std::ffi::CStr;
use std::ptr::{null, null_mut};

use super::*;

const HEADER: &str = include_str!("ddnm.h");

/// Without comments, and with one space wherever there is any.
fn plain(c: &str) -> String {
    let mut parts = c.split("/*");
    let mut text = parts.next().unwrap_or_default().to_string();
    parts.for_each(|part| text.push_str(part.split_once("*/").unwrap().1));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The C type of a Rust type, so that a name can follow.
fn c_type(rust: &str) -> String {
    if let Some(of) = rust.strip_prefix("*const ") {
        return format!("const {} *", c_type(of).trim_end());
    }
    if let Some(of) = rust.strip_prefix("*mut ") {
        return format!("{}*", c_type(of));
    }
    let name = match rust {
        "usize" => "size_t",
        "u32" => "uint32_t",
        "i32" => "int32_t",
        "u64" => "uint64_t",
        "f64" => "double",
        "c_char" => "char",
        "c_int" => "int",
        "c_void" => "void",
        "Handle" => "ddnm_restorer",
        "Options" => "ddnm_options",
        "Size" => "ddnm_size",
        "Picture" => "ddnm_picture",
        "Progress" => "ddnm_progress",
        other => panic!("a type that no header knows: {other}"),
    };
    format!("{name} ")
}

/// `name: type, ..` of Rust as `type name`, joined by `with`.
fn declared(fields: &str, with: &str) -> String {
    let fields = fields.split(',').map(str::trim).filter(|field| !field.is_empty());
    let one = |field: &str| {
        let (name, of) = field.trim_start_matches("pub ").split_once(": ").unwrap();
        format!("{}{name}", c_type(of))
    };
    fields.map(one).collect::<Vec<_>>().join(with)
}

#[test]
fn the_header_declares_what_the_code_defines() {
    let header = plain(HEADER);
    let code = [include_str!("mod.rs"), include_str!("picture.rs")].concat();
    let mut functions = 0;
    for part in code.split("extern \"C\" fn ddnm_").skip(1) {
        let (name, rest) = part.split_once('(').unwrap();
        let (arguments, rest) = rest.split_once(')').unwrap();
        let result = rest.split_once('{').unwrap().0.trim().trim_start_matches("-> ");
        let result = if result.is_empty() { "void ".into() } else { c_type(result) };
        let arguments = match declared(arguments, ", ") {
            none if none.is_empty() => "void".to_string(),
            some => some,
        };
        let expected = format!("{result}ddnm_{name}({arguments});");
        assert!(header.contains(&expected), "not in the header: {expected}");
        functions += 1;
    }
    assert_eq!(functions, header.matches(");").count() - 1, "and the type of the callback");
    let mut structs = 0;
    for part in code.split("#[repr(C)]\npub struct ").skip(1) {
        let (name, rest) = part.split_once(" {").unwrap();
        let fields = declared(rest.split_once('}').unwrap().0, "; ");
        let name = c_type(name);
        let expected = format!("typedef struct {name}{{ {fields}; }} {};", name.trim_end());
        assert!(header.contains(&expected), "not in the header: {expected}");
        structs += 1;
    }
    assert_eq!(structs, 3);
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
