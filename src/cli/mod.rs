//! The command line: what was asked for, in and out, and exit codes. Nothing numerical.

mod args;
mod bench;
mod boards;
mod compare;
mod degrade;
mod device;
mod heat;
mod inspect;
pub(crate) mod job;
mod manual;
mod pack;
mod plan;
mod progress;
mod restore;
mod rounding;
mod spread;
mod stream;
mod version;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use argh::FromArgs;

use crate::error::{Error, Result};
use args::{Command, Top};

/// Runs the program on its arguments and returns its exit code.
pub fn run() -> i32 {
    quiet_panics();
    // Without it, a model file that is truncated while it is in use ends the process silently.
    let _ = crate::weights::report_lost_files();
    let level = log::LevelFilter::Warn;
    // Only a second logger in one process could fail here, and there is none.
    let _ = simple_logger::SimpleLogger::new().with_level(level).env().init();
    match std::panic::catch_unwind(parse_and_run) {
        Ok(code) => code,
        Err(_) => {
            eprintln!("ddnm: internal error: a bug; please report it with the command line");
            70
        }
    }
}

fn parse_and_run() -> i32 {
    let mut arguments = Vec::new();
    for argument in std::env::args_os().skip(1) {
        match argument.into_string() {
            Ok(text) => arguments.push(args::shield(text)),
            Err(odd) => return complain(&Error::Usage(format!("not UTF-8: {}", odd.display()))),
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let top = match Top::from_args(&["ddnm"], &arguments) {
        Ok(top) => top,
        Err(early) if early.status.is_ok() => {
            let _ = writeln!(std::io::stdout(), "{}", early.output.trim_end());
            return 0;
        }
        Err(early) => {
            eprintln!("{}\nRun ddnm --help for more information.", early.output.trim_end());
            return 2;
        }
    };
    let done = match top {
        Top { version: true, .. } => version::text().and_then(|text| print(&text)),
        Top { command, .. } => command.map_or_else(no_command, dispatch),
    };
    match done {
        Ok(()) => 0,
        Err(e) if crate::io::is_broken_pipe(&e) => 0,
        Err(e) => complain(&e),
    }
}

fn no_command() -> Result<()> {
    Err(Error::Usage("expected a command; run ddnm --help for the list".into()))
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Restore(args) => restore::run(args),
        Command::Stream(args) => stream::run(args),
        Command::Degrade(args) => degrade::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Pack(args) => pack::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Boards(args) => boards::run(args),
        Command::Manual(args) => manual::run(args),
    }
}

fn complain(e: &Error) -> i32 {
    eprintln!("ddnm: {e}");
    e.exit_code()
}

/// Prints to standard output; a reader that has gone is no failure of ours.
fn print(text: &str) -> Result<()> {
    crate::io::write_bytes(Path::new("-"), format!("{text}\n").as_bytes())
}

/// A panic inside the engine is caught and becomes an error with a message of its own, so the
/// default report would only confuse; it stays available as a debug message.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| log::debug!("{info}")));
}

/// A flag that SIGINT or SIGTERM sets; a second SIGINT ends the process at once.
fn interrupt_flag() -> Arc<AtomicBool> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let flag = Arc::new(AtomicBool::new(false));
    // Registering only fails for signals that cannot be caught, which these are not.
    let _ = signal_hook::flag::register_conditional_shutdown(SIGINT, 130, flag.clone());
    let _ = signal_hook::flag::register(SIGINT, flag.clone());
    let _ = signal_hook::flag::register(SIGTERM, flag.clone());
    flag
}
