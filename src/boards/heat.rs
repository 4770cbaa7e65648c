//! How hot the machine is, whether it slows down for it, and waiting until it is cooler.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Root;
use crate::error::{Error, Result};

const ZONES: &str = "sys/class/thermal";

/// The hottest sensor of the machine, in degrees Celsius; `root` is `/` but for tests. `None`
/// where there is none, as in most virtual machines.
pub fn temperature(root: &Path) -> Option<f64> {
    hottest(&Root::new(root))
}

fn hottest(root: &Root) -> Option<f64> {
    let zones = root.list(ZONES, "thermal_zone").into_iter();
    let degrees = zones.filter_map(|zone| {
        // The power chip of Jetson boards tells a constant, not a temperature.
        let kind = root.text(&format!("{ZONES}/{zone}/type")).unwrap_or_default();
        if kind.starts_with("PMIC") {
            return None;
        }
        let thousandths: i64 = root.number(&format!("{ZONES}/{zone}/temp"))?;
        // Sensors of parts without power tell impossible numbers.
        (-50_000..200_000).contains(&thousandths).then_some(thousandths as f64 / 1000.0)
    });
    degrees.max_by(f64::total_cmp)
}

/// What slows the processor down.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Throttling {
    /// The firmware of a Raspberry Pi says that it holds the clock down at this moment.
    pub now: Option<bool>,
    /// It says that it did so since it started.
    pub since_start: Option<bool>,
    /// It says that the supply's voltage is too low at this moment.
    pub under_voltage: Option<bool>,
    /// Clock of the fastest processor at this moment, in MHz.
    pub clock_mhz: Option<f64>,
    /// What the kernel allows it at this moment, for heat, power or by the user.
    pub allowed_mhz: Option<f64>,
    /// What it is made for.
    pub most_mhz: Option<f64>,
    /// How the kernel chooses the clock, as `ondemand`.
    pub governor: Option<String>,
}

impl Throttling {
    pub fn read(root: &Path) -> Throttling {
        let root = Root::new(root);
        let bits = firmware(&root);
        let any = |mask: u32| bits.map(|bits| bits & mask != 0);
        let policies = || root.list("sys/devices/system/cpu", "cpu").into_iter();
        let fastest = |file: &str| {
            let khz = policies().filter_map(|cpu| {
                root.number::<u32>(&format!("sys/devices/system/cpu/{cpu}/cpufreq/{file}"))
            });
            khz.max().map(|khz| f64::from(khz) / 1000.0)
        };
        let governor = |cpu: String| {
            root.text(&format!("sys/devices/system/cpu/{cpu}/cpufreq/scaling_governor"))
        };
        Throttling {
            // Bits 1 to 3: capped, throttled, soft limit of temperature; 16 higher: since start.
            now: any(0b1110),
            since_start: any(0b1110 << 16),
            under_voltage: any(1),
            clock_mhz: fastest("scaling_cur_freq"),
            allowed_mhz: fastest("scaling_max_freq"),
            most_mhz: fastest("cpuinfo_max_freq"),
            governor: policies().find_map(governor),
        }
    }

    /// Whether anything says that the processor is slower than it could be.
    pub fn slowed(&self) -> bool {
        let capped = matches!((self.allowed_mhz, self.most_mhz), (Some(a), Some(m)) if a < m);
        self.now == Some(true) || capped
    }
}

/// The bits that `vcgencmd get_throttled` shows, from the firmware's file in hexadecimal. Its
/// folder is `soc/soc:firmware`, with an address after `soc` on some boards.
fn firmware(root: &Root) -> Option<u32> {
    const DEVICES: &str = "sys/devices/platform";
    root.list(DEVICES, "soc").into_iter().find_map(|soc| {
        let text = root.text(&format!("{DEVICES}/{soc}/{soc}:firmware/get_throttled"))?;
        u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    })
}

/// What was seen of heat and throttling from one moment to another.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Seen {
    /// How often the machine was looked at.
    pub looks: u32,
    /// How often it was slowed down, and its supply weak.
    pub slowed: u32,
    pub under_voltage: u32,
    /// Whether the firmware says that it held the clock down between the first look and the last;
    /// `None` where it had done so before, or says nothing.
    pub throttled: Option<bool>,
    pub hottest: Option<f64>,
    /// The slowest that the fastest processor was, in MHz.
    pub slowest_mhz: Option<f64>,
}

/// Looks at heat and throttling while something runs, at most once a second.
#[derive(Debug)]
pub struct Watch {
    root: PathBuf,
    /// What was said before.
    throttled: Option<bool>,
    last: Instant,
    seen: Seen,
}

impl Watch {
    /// Begins with a first look; `root` is `/` but for tests.
    pub fn new(root: &Path) -> Watch {
        let throttled = Throttling::read(root).since_start;
        let seen = Seen::default();
        let mut watch = Watch { root: root.into(), throttled, last: Instant::now(), seen };
        watch.look();
        watch
    }

    /// To be called often.
    pub fn pass(&mut self) {
        if self.last.elapsed() >= LOOK {
            self.look();
        }
    }

    /// Looks now.
    pub fn look(&mut self) {
        self.last = Instant::now();
        let now = Throttling::read(&self.root);
        let seen = &mut self.seen;
        seen.looks += 1;
        seen.slowed += u32::from(now.slowed());
        seen.under_voltage += u32::from(now.under_voltage == Some(true));
        seen.throttled = now.since_start.filter(|_| self.throttled == Some(false));
        let degrees = temperature(&self.root);
        seen.hottest = seen.hottest.into_iter().chain(degrees).reduce(f64::max);
        seen.slowest_mhz = seen.slowest_mhz.into_iter().chain(now.clock_mhz).reduce(f64::min);
    }

    pub fn seen(&self) -> &Seen {
        &self.seen
    }
}

/// Degrees below the limit at which work goes on, so that it does not stop at every tile.
const MARGIN: f64 = 3.0;
/// Between two looks at the sensors.
const LOOK: Duration = Duration::from_secs(1);
/// The longest pause. A limit below the temperature of the room must not stop work for ever.
const LONGEST: Duration = Duration::from_secs(600);

/// Keeps the machine below a temperature by pausing between tiles.
#[derive(Debug, Clone)]
pub struct Guard {
    root: Root,
    max_c: f64,
    paused: Duration,
}

impl Guard {
    /// A guard for `max_c` degrees Celsius, 30 to 120; `root` is `/` but for tests. Refused where
    /// no sensor can be read: a promise that cannot be kept.
    pub fn new(root: &Path, max_c: f64) -> Result<Guard> {
        if !(30.0..=120.0).contains(&max_c) {
            let why = format!("temperature: expected 30 to 120 degrees Celsius, found {max_c}");
            return Err(Error::Usage(why));
        }
        let root = Root::new(root);
        if hottest(&root).is_none() {
            let why = format!("temperature: expected a sensor in /{ZONES}, found none");
            return Err(Error::Usage(why));
        }
        Ok(Guard { root, max_c, paused: Duration::ZERO })
    }

    /// To be called between tiles. At or below the limit, or where the sensors fail, returns at
    /// once. Above it, sleeps until the temperature is some degrees below, at most ten minutes;
    /// `sleep` waits that long, or breaks off, which is passed on.
    pub fn pause(&mut self, sleep: &mut dyn FnMut(Duration) -> ControlFlow<()>) -> ControlFlow<()> {
        if hottest(&self.root).is_none_or(|c| c <= self.max_c) {
            return ControlFlow::Continue(());
        }
        let mut waited = Duration::ZERO;
        while waited < LONGEST && hottest(&self.root).is_some_and(|c| c > self.max_c - MARGIN) {
            sleep(LOOK)?;
            waited += LOOK;
            self.paused += LOOK;
        }
        if waited == LONGEST {
            log::warn!("still above {} degrees after {} s", self.max_c, waited.as_secs());
        }
        ControlFlow::Continue(())
    }

    /// How long it has paused altogether.
    pub fn paused(&self) -> Duration {
        self.paused
    }
}
