use std::ops::ControlFlow::{Break, Continue};
use std::time::Duration;

use super::super::heat::{Guard, Throttling, Watch, temperature};
use super::Tree;

const ZONE: &str = "sys/class/thermal/thermal_zone0/temp";

#[test]
fn the_hottest_sensor_that_makes_sense_counts() {
    let tree = Tree::new(&[]);
    assert_eq!(temperature(tree.path()), None);
    tree.write(ZONE, b"47774\n");
    assert_eq!(temperature(tree.path()), Some(47.774));
    // A Jetson: a part without power, and a chip that always tells the same.
    tree.write("sys/class/thermal/thermal_zone1/temp", b"-256000\n");
    tree.write("sys/class/thermal/thermal_zone2/type", b"PMIC-Die\n");
    tree.write("sys/class/thermal/thermal_zone2/temp", b"100000\n");
    tree.write("sys/class/thermal/thermal_zone3/temp", b"nonsense\n");
    tree.write("sys/class/thermal/cooling_device0/temp", b"90000\n");
    tree.write("sys/class/thermal/thermal_zone10/temp", b"51000\n");
    assert_eq!(temperature(tree.path()), Some(51.0));
}

#[test]
fn a_slowed_raspberry_pi_is_seen() {
    for soc in ["soc", "soc@107c000000"] {
        let file = format!("sys/devices/platform/{soc}/{soc}:firmware/get_throttled");
        let read = |bits: &str| Throttling::read(Tree::new(&[(&file, bits)]).path());
        let fine = read("0\n");
        assert_eq!(
            (fine.now, fine.since_start, fine.under_voltage),
            (Some(false), Some(false), Some(false))
        );
        assert!(!fine.slowed());
        // 0x50005: the supply is weak and the clock is held down, now and before.
        let weak = read("50005\n");
        assert_eq!(
            (weak.now, weak.since_start, weak.under_voltage),
            (Some(true), Some(true), Some(true))
        );
        assert!(weak.slowed());
        let before = read("0x80000");
        assert_eq!((before.now, before.since_start), (Some(false), Some(true)));
        assert_eq!(read("hot").now, None);
    }
}

#[test]
fn what_happens_between_two_looks_is_seen() {
    const FIRMWARE: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";
    const CLOCK: &str = "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq";
    let tree = Tree::new(&[(FIRMWARE, "0"), (CLOCK, "1500000"), (ZONE, "60000")]);
    let mut watch = Watch::new(tree.path());
    // Held down for a while, as at a look in between, and fine again at the end.
    tree.write(FIRMWARE, b"40004");
    tree.write(CLOCK, b"600000");
    tree.write(ZONE, b"82000");
    watch.look();
    // Too soon.
    watch.pass();
    tree.write(FIRMWARE, b"40000");
    tree.write(CLOCK, b"1500000");
    tree.write(ZONE, b"70000");
    watch.look();
    let seen = watch.seen();
    assert_eq!((seen.looks, seen.slowed, seen.under_voltage), (3, 1, 0));
    assert_eq!(seen.throttled, Some(true));
    assert_eq!((seen.hottest, seen.slowest_mhz), (Some(82.0), Some(600.0)));
    // What it says of the time before tells nothing of now.
    let mut after = Watch::new(tree.path());
    after.look();
    assert_eq!((after.seen().throttled, after.seen().slowed), (None, 0));
}

#[test]
fn a_clock_that_the_kernel_holds_down_is_seen() {
    let file = |cpu: usize, name: &str| format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/{name}");
    let tree = Tree::new(&[(&file(0, "scaling_governor"), "ondemand\n")]);
    for (cpu, now, allowed) in [(0, "600000", "1500000"), (1, "1400000", "1500000")] {
        tree.write(&file(cpu, "scaling_cur_freq"), now.as_bytes());
        tree.write(&file(cpu, "scaling_max_freq"), allowed.as_bytes());
        tree.write(&file(cpu, "cpuinfo_max_freq"), b"1800000\n");
    }
    let seen = Throttling::read(tree.path());
    assert_eq!(seen.clock_mhz, Some(1400.0));
    assert_eq!((seen.allowed_mhz, seen.most_mhz), (Some(1500.0), Some(1800.0)));
    assert_eq!(seen.governor.as_deref(), Some("ondemand"));
    assert!(seen.slowed());
    for cpu in 0..2 {
        tree.write(&file(cpu, "scaling_max_freq"), b"1800000\n");
    }
    assert!(!Throttling::read(tree.path()).slowed());
}

#[test]
fn work_pauses_until_it_is_some_degrees_cooler() {
    let tree = Tree::new(&[(ZONE, "70000\n")]);
    let mut guard = Guard::new(tree.path(), 70.0).unwrap();
    let mut never = |_: Duration| panic!("paused at the limit");
    assert_eq!(guard.pause(&mut never), Continue(()));

    tree.write(ZONE, b"74000\n");
    let mut degrees = 74;
    let mut cool = |_: Duration| {
        degrees -= 1;
        tree.write(ZONE, format!("{degrees}000\n").as_bytes());
        Continue(())
    };
    assert_eq!(guard.pause(&mut cool), Continue(()));
    assert_eq!(degrees, 67);
    assert_eq!(guard.paused(), Duration::from_secs(7));
    assert_eq!(guard.pause(&mut never), Continue(()));
}

#[test]
fn a_pause_can_be_broken_off_and_ends_by_itself() {
    let tree = Tree::new(&[(ZONE, "90000\n")]);
    let mut guard = Guard::new(tree.path(), 70.0).unwrap();
    assert_eq!(guard.pause(&mut |_| Break(())), Break(()));
    assert_eq!(guard.paused(), Duration::ZERO);
    let mut slept = Duration::ZERO;
    let mut sleep = |time| {
        slept += time;
        Continue(())
    };
    assert_eq!(guard.pause(&mut sleep), Continue(()));
    assert_eq!(slept, Duration::from_secs(600));
    // Sensors that fail do not stop work.
    std::fs::remove_file(tree.path().join(ZONE)).unwrap();
    assert_eq!(guard.pause(&mut |_| Break(())), Continue(()));
}

#[test]
fn limits_that_cannot_be_kept_are_refused() {
    let tree = Tree::new(&[(ZONE, "50000\n")]);
    for wrong in [f64::NAN, 0.0, 20.0, 500.0] {
        assert!(Guard::new(tree.path(), wrong).is_err(), "{wrong}");
    }
    assert!(Guard::new(tree.path(), 80.0).is_ok());
    assert!(Guard::new(Tree::new(&[]).path(), 80.0).is_err());
}
