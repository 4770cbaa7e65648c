//! What cannot be done is said in one line, with the right exit code, and nothing is lost.

mod common;

use common::{Folder, ddnm, ok, part};
use ddnm::frame::{Frame, Shape};
use ddnm::io;

/// Runs the program, which must fail with `code` and one line that holds `hint`.
fn fails(args: &[&str], code: i32, hint: &str) {
    let output = ddnm(args);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    assert!(error.contains(hint), "{args:?}: no `{hint}` in: {error}");
    assert_eq!(error.trim_end().lines().count(), 1, "{args:?}: {error}");
}

#[test]
fn inputs() {
    let folder = Folder::new();
    let (good, out) = (folder.arg("good.png"), folder.arg("out.png"));
    io::write(good.as_ref(), &part("chelsea.png", 0, 0, 32, 24), 8).unwrap();
    let bytes = std::fs::read(&good).unwrap();
    std::fs::write(folder.path("cut.png"), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(folder.path("text.png"), "hello").unwrap();
    std::fs::write(folder.path("empty.png"), "").unwrap();
    let restore = |input: &str, spec: &str, code, hint: &str| {
        fails(&["restore", input, "-o", &out, "-d", spec], code, hint);
    };
    restore(&folder.arg("none.png"), "none", 3, "none.png");
    restore(&folder.arg("cut.png"), "none", 3, "cut.png");
    restore(&folder.arg("text.png"), "none", 3, "PNG");
    restore(&folder.arg("empty.png"), "none", 3, "empty");
    restore(&folder.arg(""), "none", 2, "folder");
    restore(&good, "bayer:rggb", 3, "one channel");
    restore(&good, "gray", 3, "one channel");
    let wide = folder.arg("wide.png");
    io::write(wide.as_ref(), &Frame::filled(Shape::new(1, 24, 33), 1.0), 8).unwrap();
    restore(&good, &format!("mask:{wide}"), 3, "32x24");
    let black = folder.arg("black.png");
    io::write(black.as_ref(), &Frame::filled(Shape::new(1, 24, 32), -1.0), 8).unwrap();
    restore(&good, &format!("mask:{black}"), 3, "nothing");
    restore(&good, "mask:no.png", 3, "no.png");
    restore(&good, "sr:16+sr:16+sr:16", 3, "sides up to");
    restore(&good, "sr:1", 2, "2 to 16");
    restore(&good, "blurry+sr:2", 2, "blurry");
    assert_eq!(std::fs::read(&good).unwrap(), bytes);
    assert!(!folder.path("out.png").exists());
}

#[test]
fn options() {
    let folder = Folder::new();
    let (good, out) = (folder.arg("good.png"), folder.arg("out.png"));
    io::write(good.as_ref(), &part("chelsea.png", 0, 0, 32, 24), 8).unwrap();
    let cases: [(&[&str], &str); 17] = [
        (&["--noise", "-1"], "noise"),
        (&["--noise", "NaN"], "noise"),
        (&["--mode", "best"], "faithful or sample"),
        (&["--steps", "0"], "steps"),
        (&["--steps", "5000"], "steps"),
        (&["--mode", "sample", "--eta", "2"], "eta: expected 0 to 1"),
        (&["--eta", "0.5"], "eta: expected the mode sample"),
        (&["--rule", "ddim"], "rule: expected the mode sample"),
        (&["--mode", "sample", "--momentum", "0.5"], "momentum: expected the mode faithful"),
        (&["--mode", "sample", "--relaxation", "2"], "relaxation: expected the mode faithful"),
        (&["--generative", "1.5"], "generative"),
        (&["--mode", "sample", "--rule", "x"], "split or ddim"),
        (&["--depth", "12"], "8 or 16"),
        (&["--size", "32"], "WIDTHxHEIGHT"),
        (&["--size", "0x5"], "WIDTHxHEIGHT"),
        (&["--size", "99999999x99999999"], "sides up to"),
        (&["--start", "1", "--end", "2"], "end <= start"),
    ];
    for (extra, hint) in cases {
        let args = [&["restore", &good, "-o", &out, "-d", "none"][..], extra].concat();
        fails(&args, 2, hint);
    }
    fails(&["restore", &good, "-o", &folder.arg("out.jpg"), "-d", "none"], 2, "PNG");
    fails(&["plan", "-d", "none"], 2, "--size");
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/models/patch-s.ddnm");
    let pack = ["pack", model, "-o", &out, "--weights"];
    fails(&[&pack[..], &["f16", "--arithmetic", "int8"]].concat(), 2, "--weights int8");
    fails(&[&pack[..], &["int8", "--arithmetic", "int4"]].concat(), 2, "f32 or int8");
    fails(&["compare", &good, &good, "-d", "none"], 2, "-y");
    for args in [&["restore"][..], &["frobnicate"], &["restore", "--what"]] {
        assert_eq!(ddnm(args).status.code(), Some(2), "{args:?}");
    }
    assert_eq!(ddnm(&[]).status.code(), Some(2));
}

#[test]
fn outputs() {
    let folder = Folder::new();
    let good = folder.arg("good.png");
    io::write(good.as_ref(), &part("chelsea.png", 0, 0, 16, 16), 8).unwrap();
    let to = |out: &str| ["restore", &good, "-o", out, "-d", "none"].map(String::from);
    let fails_at = |out: &str, hint: &str| {
        let args = to(out);
        fails(&args.each_ref().map(String::as_str), 7, hint);
    };
    fails_at(&folder.arg("no/such/out.png"), "no/such");
    std::fs::create_dir(folder.path("dir.png")).unwrap();
    fails_at(&folder.arg("dir.png"), "dir.png");
    let args =
        ["restore", &good, "-o", &folder.arg("x.png"), "-d", "none", "--certificate", "/no/c.json"];
    fails(&args, 7, "/no/c.json");
    assert!(!folder.path("x.png").exists());
}

#[test]
fn models() {
    let folder = Folder::new();
    let good = folder.arg("good.png");
    io::write(good.as_ref(), &part("chelsea.png", 0, 0, 16, 16), 8).unwrap();
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/models/");
    let manifest = std::fs::read_to_string(format!("{models}patch-s.toml")).unwrap();
    let onnx = std::fs::read(format!("{models}patch-s.onnx")).unwrap();
    let model = |name: &str, manifest: &str, onnx: &[u8]| {
        let toml = folder.arg(&format!("{name}.toml"));
        std::fs::write(&toml, manifest.replace("patch-s.onnx", &format!("{name}.onnx"))).unwrap();
        std::fs::write(folder.path(&format!("{name}.onnx")), onnx).unwrap();
        toml
    };
    let refused = |model: &str, hint: &str| {
        let out = folder.arg("x.png");
        fails(&["restore", &good, "-o", &out, "-d", "none", "--model", model], 4, hint);
        assert!(!folder.path("x.png").exists());
    };
    refused("nowhere", "/usr/share/ddnm");
    refused(&folder.arg("no.onnx"), "no such file");
    refused(&model("cut", &manifest, &onnx[..1000]), "sha256");
    refused(&model("names", &manifest.replace("\"sample\"", "\"image\""), &onnx), "image");
    refused(&model("toml", "name = ", &onnx), "manifest");
    refused(&model("empty", &manifest, b""), "empty");
    // A pipe that nobody writes to is no reason to wait.
    let pipe = folder.arg("pipe.ddnm");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    refused(&pipe, "a pipe");
    // The same model from a file and from the binary gives the same picture.
    let copy = model("copy", &manifest, &onnx);
    let run = |extra: &[&str]| {
        let out = folder.arg("x.png");
        let args = ["restore", &good, "-o", &out, "-d", "none", "--noise", "9", "--steps", "1"];
        ok(&[&args[..], extra].concat());
        std::fs::read(&out).unwrap()
    };
    assert_eq!(run(&["--model", &copy]), run(&[]));
    assert_eq!(run(&["--model", &folder.arg("copy.onnx")]), run(&["--model", "patch-s"]));
}

/// What a hostile file makes the engine do is said like any other mistake.
#[cfg(feature = "onnx")]
#[test]
fn hostile_models() {
    use prost::Message;
    use tract_onnx::pb::{ModelProto, NodeProto, TensorProto};

    let folder = Folder::new();
    let good = folder.arg("good.png");
    io::write(good.as_ref(), &part("chelsea.png", 0, 0, 16, 16), 8).unwrap();
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/models/");
    let manifest = std::fs::read_to_string(format!("{models}patch-s.toml")).unwrap();
    let onnx = std::fs::read(format!("{models}patch-s.onnx")).unwrap();
    let sum = ddnm::certificate::sha256(&onnx);
    let refused = |hint: &str, change: &dyn Fn(&mut ModelProto)| {
        let mut model = ModelProto::decode(&onnx[..]).unwrap();
        change(&mut model);
        let bytes = model.encode_to_vec();
        let toml = folder.arg("model.toml");
        let manifest = manifest.replace("patch-s.onnx", "model.onnx");
        std::fs::write(&toml, manifest.replace(&sum, &ddnm::certificate::sha256(&bytes))).unwrap();
        std::fs::write(folder.path("model.onnx"), &bytes).unwrap();
        fails(&["inspect", &toml], 4, hint);
        let out = folder.arg("x.png");
        fails(&["restore", &good, "-o", &out, "-d", "none", "--model", &toml], 4, hint);
        assert!(!folder.path("x.png").exists());
    };
    refused("strides", &|model| {
        let nodes = &mut model.graph.as_mut().unwrap().node;
        let conv = nodes.iter_mut().find(|n| n.op_type == "Conv").unwrap();
        conv.attribute.iter_mut().find(|a| a.name == "strides").unwrap().ints = vec![0, 0];
    });
    // An index beyond the end, at which the engine panics.
    refused("cannot take: index", &|model| {
        let graph = model.graph.as_mut().unwrap();
        let tensor = |name: &str, value| TensorProto {
            name: name.into(),
            dims: vec![1],
            data_type: 7,
            int64_data: vec![value],
            ..Default::default()
        };
        graph.initializer.extend([tensor("list", 0), tensor("far", 1000)]);
        let node = |op: &str, inputs: [&str; 2], output: &str| NodeProto {
            op_type: op.into(),
            input: inputs.map(String::from).into(),
            output: vec![output.into()],
            ..Default::default()
        };
        let last = graph.node.last_mut().unwrap();
        let result = std::mem::replace(&mut last.output[0], "before".into());
        graph.node.push(node("Gather", ["list", "far"], "beyond"));
        graph.node.push(node("CastLike", ["beyond", "before"], "number"));
        graph.node.push(node("Add", ["before", "number"], &result));
    });
}

/// A measurement that no picture can have: brighter than white through a gray mask.
#[test]
fn impossible_measurements_are_numerical_failures() {
    let folder = Folder::new();
    let (white, half, out) = (folder.arg("white.png"), folder.arg("half.png"), folder.arg("x.png"));
    io::write(white.as_ref(), &Frame::filled(Shape::new(3, 16, 16), 1.0), 8).unwrap();
    io::write(half.as_ref(), &Frame::filled(Shape::new(1, 16, 16), 0.0), 8).unwrap();
    let spec = format!("mask:{half}");
    fails(&["restore", &white, "-o", &out, "-d", &spec, "--steps", "1"], 6, "--noise");
    assert!(!folder.path("x.png").exists());
}
