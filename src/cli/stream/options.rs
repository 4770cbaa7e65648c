//! Options that contradict each other or the frames, refused before anything is waited for.

use super::super::args::Stream;
use crate::error::{Error, Result};

/// Frames per second where nothing says otherwise.
pub const RATE: &str = "30:1";
/// Most frames that may wait: what they take is planned, and refused where it is too much.
const MAX_QUEUE: usize = 1 << 16;

pub fn usage<T>(what: &str, expected: &str, found: impl std::fmt::Display) -> Result<T> {
    Err(Error::Usage(format!("{what}: expected {expected}, found {found}")))
}

/// Refuses what would be ignored otherwise, and numbers that are none.
///
/// # Errors
/// [`Error::Usage`], which names the option.
pub fn check(args: &Stream, of_sensor: bool) -> Result<()> {
    if !(1..=MAX_QUEUE).contains(&args.queue) {
        return usage("queue", &format!("1 to {MAX_QUEUE} frames"), args.queue);
    }
    let is_y4m = args.format == "y4m";
    let rate = args.rate.as_deref();
    let given = [
        ("size", args.size.is_some()),
        ("stride", args.stride.is_some()),
        ("rate", rate.is_some()),
    ];
    if let Some((name, _)) = given.into_iter().find(|(_, given)| is_y4m && *given) {
        return usage(name, "frames without a header", "y4m, which says it itself");
    }
    if let Some(rate) = rate.filter(|rate| !is_rate(rate)) {
        return usage("rate", "frames per second N:D, as in 30:1 or 30000:1001", rate);
    }
    if let (Some(rate), None | Some("raw")) = (rate, args.to.as_deref()) {
        let found = format!("{rate} and frames that go out without one");
        return usage("rate", "--to y4m, which has a header to say it in", found);
    }
    let given = [
        ("camera", args.camera.is_some()),
        ("black", args.black.is_some()),
        ("white", args.white.is_some()),
        ("gains", args.gains.is_some()),
        ("gamma", args.gamma.is_some()),
        ("colours", args.colours.is_some()),
        ("depth", args.depth.is_some()),
    ];
    match given.into_iter().find(|(_, given)| !of_sensor && *given) {
        Some((name, _)) => usage(name, "frames of a sensor, as raw10 or bayer12", &args.format),
        None => Ok(()),
    }
}

/// Two whole numbers from 1 on.
fn is_rate(text: &str) -> bool {
    let is_number = |text: &str| {
        text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u32>().is_ok_and(|n| n > 0)
    };
    text.split_once(':').is_some_and(|(n, d)| is_number(n) && is_number(d))
}

#[cfg(test)]
mod tests {
    use super::is_rate;

    #[test]
    fn rates_are_two_whole_numbers() {
        for rate in ["30:1", "30000:1001", "1:60"] {
            assert!(is_rate(rate), "{rate}");
        }
        for rate in ["", "30", "abc def", "30:0", "0:1", "+30:1", "30:1:1", "30:1 Ip", "25.0:1"] {
            assert!(!is_rate(rate), "{rate}");
        }
    }
}
