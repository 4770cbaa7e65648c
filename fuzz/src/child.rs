//! One process that runs cases until one of them ends it.

use std::collections::HashSet;
use std::io::Write;
use std::panic;
use std::sync::Mutex;

use crate::random::Random;
use crate::target::{Target, warm};

/// What one case may take, in bytes of address space and seconds of processor time.
const SPACE: u64 = 2 << 30;
const SECONDS: i64 = 10;

/// Runs cases `first..first + count` of a seed, and says so on standard output:
///
/// - `case N` before each;
/// - `panic PLACE` for a panic that the library caught, once per place;
/// - `accepted N` at the end.
pub fn run(target: &Target, seed: u64, first: u64, count: u64) {
    limit_space();
    // The library hides the panics that it expects by a hook of its own, set at its first use.
    warm();
    let seen = Mutex::new(HashSet::new());
    panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let is_new = seen.lock().map(|mut seen| seen.insert(place.clone())).unwrap_or(false);
        if is_new {
            let text: String = panic.to_string().replace('\n', " ").chars().take(300).collect();
            say(&format!("panic {text}"));
        }
    }));
    let mut accepted = 0;
    for case in first..first + count {
        say(&format!("case {case}"));
        let bytes = (target.make)(&mut Random::new(seed, case));
        limit_time();
        accepted += u64::from((target.run)(&bytes));
    }
    say(&format!("accepted {accepted}"));
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Without a reader there is nobody to tell.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Allocations beyond the limit fail, which ends the process.
fn limit_space() {
    let limit = libc::rlimit { rlim_cur: SPACE, rlim_max: SPACE };
    // SAFETY: a plain system call that reads one structure, which lives until it returns.
    let failed = unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) } != 0;
    assert!(!failed, "cannot limit the address space");
}

/// A signal ends the process after so much processor time, unless this is called again before.
fn limit_time() {
    let interval = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let value = libc::timeval { tv_sec: SECONDS, tv_usec: 0 };
    let timer = libc::itimerval { it_interval: interval, it_value: value };
    // SAFETY: a plain system call that reads one structure, which lives until it returns; the
    // place for the former value may be null.
    let failed = unsafe { libc::setitimer(libc::ITIMER_PROF, &timer, std::ptr::null_mut()) } != 0;
    assert!(!failed, "cannot limit the time");
}
