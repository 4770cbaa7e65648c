//! `ddnm manual`: the manual page and completions for shells, from the same definitions as
//! `--help`.

use std::fmt::Write;

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfo, FlagInfoKind, Optionality, PositionalInfo};

use super::args::{Manual, Top};
use super::print;
use crate::error::{Error, Result};

pub fn run(args: Manual) -> Result<()> {
    let top = Top::get_args_info();
    let text = match args.format.as_str() {
        "man" => man(&top),
        "bash" => bash(&top),
        "zsh" => zsh(&top),
        "fish" => fish(&top),
        other => {
            let why = format!("format: expected man, bash, zsh or fish, found {other}");
            return Err(Error::Usage(why));
        }
    };
    print(text.trim_end())
}

/// The value that an option takes, `None` for a switch.
fn value(flag: &FlagInfo) -> Option<String> {
    match flag.kind {
        FlagInfoKind::Switch => None,
        FlagInfoKind::Option { arg_name } => Some(arg_name.to_owned()),
    }
}

/// Descriptions of commands are sentences; those of options are not.
fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

/// What the terminal would take for an instruction of roff, made text.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// The manual page, in the macros of man(7).
fn man(top: &CommandInfoWithArgs) -> String {
    let mut page = format!(".TH DDNM 1 \"\" \"ddnm {}\"\n", env!("CARGO_PKG_VERSION"));
    let summary = roff(env!("CARGO_PKG_DESCRIPTION"));
    let _ = writeln!(page, ".SH NAME\nddnm \\- {summary}");
    let _ = writeln!(page, ".SH SYNOPSIS\n.B ddnm\n.I command\n[arguments]");
    let _ = writeln!(page, ".SH DESCRIPTION\n{}", roff(top.description));
    page.push_str(".SH OPTIONS\n");
    top.flags.iter().for_each(|flag| man_flag(&mut page, flag));
    page.push_str(".SH COMMANDS\n");
    for sub in &top.commands {
        let command = &sub.command;
        let _ = writeln!(page, ".SS ddnm {}{}", roff(sub.name), roff(&usage(command)));
        let _ = writeln!(page, "{}", roff(command.description));
        for PositionalInfo { name, description, .. } in command.positionals {
            let _ = writeln!(page, ".TP\n.I {}\n{}", roff(name), roff(&sentence(description)));
        }
        command.flags.iter().for_each(|flag| man_flag(&mut page, flag));
    }
    page.push_str(".SH NOTES\n");
    for note in top.notes {
        page.push_str(".PP\n");
        for line in note.lines() {
            // Lines that begin with space are a table.
            match line.strip_prefix("  ") {
                Some(row) => {
                    let _ = writeln!(page, ".nf\n    {}\n.fi", roff(row));
                }
                None => {
                    let _ = writeln!(page, "{}", roff(line));
                }
            }
        }
    }
    page.push_str(".SH EXIT STATUS\n.TP\n.B 0\ndone\n");
    for error in top.error_codes {
        let _ = writeln!(page, ".TP\n.B {}\n{}", error.code, roff(error.description));
    }
    page
}

/// What a command cannot do without.
fn usage(command: &CommandInfoWithArgs) -> String {
    let mut text = String::new();
    for flag in command.flags.iter().filter(|f| f.optionality == Optionality::Required) {
        if let Some(value) = value(flag) {
            let short = flag.short.map_or(flag.long.to_owned(), |c| format!("-{c}"));
            let _ = write!(text, " {short} {value}");
        }
    }
    for PositionalInfo { name, optionality, .. } in command.positionals {
        let required = *optionality == Optionality::Required;
        let _ = if required { write!(text, " {name}") } else { write!(text, " [{name}]") };
    }
    text
}

fn man_flag(page: &mut String, flag: &FlagInfo) {
    let short = flag.short.map_or(String::new(), |c| format!("\\-{c}, "));
    let value = value(flag).map_or(String::new(), |value| format!(" \\fI{}\\fR", roff(&value)));
    let (long, description) = (roff(flag.long), roff(&sentence(flag.description)));
    let _ = writeln!(page, ".TP\n\\fB{short}{long}\\fR{value}\n{description}");
}

/// The flags of a command, long and short, as words.
fn words(command: &CommandInfoWithArgs) -> String {
    let flags = command.flags.iter();
    let words: Vec<String> = flags
        .flat_map(|f| f.short.map(|c| format!("-{c}")).into_iter().chain([f.long.to_owned()]))
        .collect();
    words.join(" ")
}

fn bash(top: &CommandInfoWithArgs) -> String {
    let names: Vec<&str> = top.commands.iter().map(|sub| sub.name).collect();
    let first = format!("{} {}", names.join(" "), words(top));
    let mut script = String::from(
        "# Completions of ddnm for bash.\n_ddnm() {\n    local word=${COMP_WORDS[COMP_CWORD]} options=\n    case ${COMP_WORDS[1]} in\n",
    );
    for sub in &top.commands {
        let _ = writeln!(script, "        {}) options=\"{}\" ;;", sub.name, words(&sub.command));
    }
    let _ = write!(
        script,
        "    esac\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W \"{first}\" -- \"$word\"))\n    elif [ \"${{word#-}}\" != \"$word\" ]; then\n        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n    else\n        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n    fi\n}}\ncomplete -o filenames -F _ddnm ddnm\n"
    );
    script
}

fn zsh(top: &CommandInfoWithArgs) -> String {
    let quoted = |text: &str| text.replace('\'', "'\\''").replace('[', "\\[").replace(']', "\\]");
    let specs = |command: &CommandInfoWithArgs| {
        let mut specs = String::new();
        for flag in command.flags {
            let value = value(flag).map_or(String::new(), |value| format!(":{value}:_files"));
            let text = quoted(flag.description);
            let short = flag.short.map(|c| format!("-{c}"));
            for name in short.into_iter().chain([flag.long.to_owned()]) {
                let _ = write!(specs, " \\\n            '{name}[{text}]{value}'");
            }
        }
        specs
    };
    let mut script =
        String::from("#compdef ddnm\n_ddnm() {\n    local -a commands\n    commands=(\n");
    for sub in &top.commands {
        let text = quoted(sub.command.description).replace(':', "\\:");
        let _ = writeln!(script, "        '{}:{text}'", sub.name);
    }
    script.push_str("    )\n    if (( CURRENT == 2 )); then\n        _describe command commands\n        _arguments");
    let _ = write!(
        script,
        "{}\n        return\n    fi\n    local command=$words[2]\n    shift words\n    (( CURRENT-- ))\n    case $command in\n",
        specs(top)
    );
    for sub in &top.commands {
        let _ = writeln!(
            script,
            "        {}) _arguments{} \\\n            '*:file:_files' ;;",
            sub.name,
            specs(&sub.command)
        );
    }
    // As a file of the shell's own folders it is the function; read by hand it declares it.
    script.push_str("    esac\n}\nif [ \"$funcstack[1]\" = _ddnm ]; then\n    _ddnm \"$@\"\nelse\n    compdef _ddnm ddnm\nfi\n");
    script
}

fn fish(top: &CommandInfoWithArgs) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    let mut script = String::from("# Completions of ddnm for fish.\n");
    let mut flags = |condition: &str, command: &CommandInfoWithArgs| {
        for flag in command.flags {
            let long = flag.long.trim_start_matches('-');
            let short = flag.short.map_or(String::new(), |c| format!(" -s {c}"));
            let needs = if value(flag).is_some() { " -r" } else { "" };
            let text = quoted(flag.description);
            let _ = writeln!(
                script,
                "complete -c ddnm -n '{condition}' -l {long}{short}{needs} -d '{text}'"
            );
        }
    };
    flags("__fish_use_subcommand", top);
    for sub in &top.commands {
        flags(&format!("__fish_seen_subcommand_from {}", sub.name), &sub.command);
    }
    for sub in &top.commands {
        let text = quoted(sub.command.description);
        let _ = writeln!(
            script,
            "complete -c ddnm -n __fish_use_subcommand -f -a {} -d '{text}'",
            sub.name
        );
    }
    script
}
