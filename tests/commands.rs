//! The commands about the program and its machine.

mod common;

use common::{ddnm, ok};
use serde_json::Value;

/// Words after `Commands:` in the program's own help.
fn commands() -> Vec<String> {
    let help = ok(&["--help"]);
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let list = list.split("\n\n").next().unwrap();
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn manual_and_completions_name_every_command_and_option() {
    let commands = commands();
    assert!(commands.len() >= 8 && commands.contains(&"restore".into()), "{commands:?}");
    for format in ["man", "bash", "zsh", "fish"] {
        let text = ok(&["manual", format]).replace("\\-", "-");
        for command in &commands {
            assert!(text.contains(command.as_str()), "{format}: {command}");
            let help = ok(&[command, "--help"]);
            let (_, options) = help.split_once("Options:\n").unwrap();
            for line in options.lines().map(str::trim_start).filter(|l| l.starts_with('-')) {
                for option in
                    line.split([' ', ',']).take_while(|w| w.starts_with('-') || w.is_empty())
                {
                    // fish writes dashes as switches of its own.
                    let option = match (format, option.strip_prefix("--")) {
                        ("fish", Some(long)) => format!("-l {long} "),
                        ("fish", None) => option.replacen('-', "-s ", 1),
                        _ => option.to_owned(),
                    };
                    assert!(text.contains(&option), "{format}: {command} {option}");
                }
            }
        }
    }
    assert!(ok(&["manual"]).contains(".SH EXIT STATUS"));
    let wrong = ddnm(&["manual", "tcsh"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("tcsh"));
}

#[test]
fn bash_completes_commands_options_and_files() {
    let script = ok(&["manual", "bash"]);
    let complete = |words: &[&str]| {
        let last = words.len() - 1;
        let line = format!(
            "{script}\nCOMP_WORDS=({}); COMP_CWORD={last}; _ddnm; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.iter().map(|w| format!("'{w}'")).collect::<Vec<_>>().join(" ")
        );
        let output = std::process::Command::new("bash")
            .args(["-euc", &line])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete(&["ddnm", "res"]), "restore\n");
    assert_eq!(complete(&["ddnm", "restore", "--certi"]), "--certificate\n");
    assert_eq!(complete(&["ddnm", "restore", "Cargo.to"]), "Cargo.toml\n");
}

#[test]
fn the_version_says_what_was_built() {
    let text = ok(&["--version"]);
    let version = format!("ddnm {} (commit ", env!("CARGO_PKG_VERSION"));
    assert!(text.starts_with(&version), "{text}");
    for part in
        ["\ntarget    ", std::env::consts::ARCH, "\nkernels   portable", " here\nfeatures  "]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    for (feature, built) in [("onnx", cfg!(feature = "onnx")), ("cuda", cfg!(feature = "cuda"))] {
        assert_eq!(text.contains(feature), built, "{feature}: {text}");
    }
}

#[test]
fn boards_are_listed_and_this_machine_is_among_them() {
    let text = ok(&["boards"]);
    for name in ["pi-zero-2-w", "pi5", "orin-nano", "armv7", "x86-64", "this machine", "pages"] {
        assert!(text.contains(name), "{name}: {text}");
    }
    let line: Value = serde_json::from_str(&ok(&["boards", "--json"])).unwrap();
    let boards = line["boards"].as_array().unwrap();
    assert!(boards.iter().all(|b| b["arithmetic"]["source"].as_str().unwrap().len() > 20));
    let this = line["this"]["board"].as_str().unwrap();
    assert!(boards.iter().any(|b| b["name"] == this), "{this}");
    assert!(line["this"]["threads"].as_u64().unwrap() >= 1);
    assert!(line["this"]["page_size"].as_u64().unwrap() >= 4096);
}

#[test]
fn a_plan_says_what_is_held_whole_and_why() {
    let of = |name: &str| {
        let path = format!("{}/tests/assets/{name}", env!("CARGO_MANIFEST_DIR"));
        let plan = ["plan", &path, "-d", "none"];
        let line: Value = serde_json::from_str(&ok(&[&plan[..], &["--json"]].concat())).unwrap();
        (ok(&plan), line["held_whole"].clone())
    };
    let (text, why) = of("tiny.jpg");
    let why = why.as_str().unwrap();
    assert!(why.contains("JPEG") && text.contains(&format!("held whole: {why}")), "{text}");
    let (text, why) = of("golden-sr2.png");
    assert!(why.is_null() && !text.contains("held whole"), "{text}");
}

/// Models of a checkout are found by name, and a board's defaults can be overridden.
#[test]
fn a_board_brings_its_defaults() {
    let of = |more: &[&str]| -> Value {
        let plan = ["plan", "--json", "--size", "320x240", "-d", "hadamard:0.25:7"];
        let plan = [&plan[..], &["--board", "pi-zero-2-w"], more].concat();
        serde_json::from_str(&ok(&plan)).unwrap()
    };
    let usual = of(&[]);
    assert_eq!((&usual["model"], &usual["evaluations"]), (&"patch-xs".into(), &8.into()));
    assert_eq!(of(&["--steps", "12", "--model", "patch-s"])["evaluations"], 12);
}
