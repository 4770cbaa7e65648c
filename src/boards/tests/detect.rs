use super::super::detect::{Machine, detect_as};
use super::super::{FILES, detect};
use super::Tree;

const MIB: u64 = 1 << 20;

fn cpuinfo(part: &str, count: usize) -> String {
    let one = |i| format!("processor\t: {i}\nBogoMIPS\t: 108.00\nCPU part\t: {part}\n\n");
    (0..count).map(one).collect()
}

fn name(machine: &Machine) -> &str {
    machine.board.map_or("none", |board| &board.name)
}

#[test]
fn boards_are_told_by_their_device_tree() {
    let cases = [
        ("Raspberry Pi 4 Model B Rev 1.4\0", "0xd08", 4, "pi4", "Cortex-A72"),
        ("Raspberry Pi 5 Model B Rev 1.0\0", "0xd0b", 4, "pi5", "Cortex-A76"),
        ("Raspberry Pi 500 Rev 1.0\0", "0xd0b", 4, "pi5", "Cortex-A76"),
        ("Raspberry Pi Zero 2 W Rev 1.0\0", "0xd03", 4, "pi-zero-2-w", "Cortex-A53"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3\0", "0xd03", 4, "pi3", "Cortex-A53"),
        ("NVIDIA Jetson Nano Developer Kit\0", "0xd07", 4, "jetson-nano", "Cortex-A57"),
        ("NVIDIA Orin Nano Developer Kit\0", "0xd42", 6, "orin-nano", "Cortex-A78AE"),
        (
            "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
            "0xd42",
            6,
            "orin-nano",
            "Cortex-A78AE",
        ),
        ("NVIDIA Jetson AGX Orin Developer Kit\0", "0xd42", 12, "agx-orin", "Cortex-A78AE"),
        ("Radxa ROCK 5B\0", "0xd0b", 8, "arm64", "Cortex-A76"),
    ];
    for (model, part, cpus, board, core) in cases {
        let tree = Tree::new(&[
            ("proc/device-tree/model", model),
            ("proc/cpuinfo", &cpuinfo(part, cpus)),
            ("proc/meminfo", "MemTotal:  3882744 kB\nMemFree: 1 kB\nMemAvailable: 3100000 kB\n"),
        ]);
        tree.pages(if board == "pi5" { 16384 } else { 4096 });
        let machine = detect_as(tree.path(), "aarch64").unwrap();
        assert_eq!(name(&machine), board, "{model}");
        assert_eq!(machine.model.as_deref(), Some(model.trim_end_matches('\0')));
        assert_eq!(machine.processor.as_deref(), Some(core), "{model}");
        assert_eq!((machine.cpus, machine.threads()), (cpus, cpus), "{model}");
        assert_eq!(machine.memory, Some(3882744 * 1024));
        assert_eq!(machine.memory_available, Some(3100000 * 1024));
        assert_eq!((machine.memory_limit, machine.cpu_limit), (None, None));
        assert_eq!(machine.page_size, Some(if board == "pi5" { 16384 } else { 4096 }));
    }
}

#[test]
fn a_container_on_a_raspberry_pi_is_told_by_cpuinfo_and_a_renamed_board_by_compatible() {
    let text =
        cpuinfo("0xd08", 4) + "Hardware\t: BCM2835\nModel\t\t: Raspberry Pi 4 Model B Rev 1.1\n";
    let tree = Tree::new(&[("proc/cpuinfo", &text)]);
    let machine = detect_as(tree.path(), "arm").unwrap();
    assert_eq!(name(&machine), "pi4");
    assert!(machine.why.contains("Raspberry Pi 4"), "{}", machine.why);

    let tree = Tree::new(&[
        ("proc/device-tree/model", "Somebody's camera\0"),
        (
            "proc/device-tree/compatible",
            "somebody,camera\0raspberrypi,5-compute-module\0brcm,bcm2712\0",
        ),
    ]);
    let machine = detect_as(tree.path(), "aarch64").unwrap();
    assert_eq!(name(&machine), "pi5");
    assert!(machine.why.contains("raspberrypi,5-compute-module"), "{}", machine.why);
}

const PC: &str = "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n\nprocessor\t: 1\nmodel name\t: Some CPU @ 3 GHz\n\nprocessor\t: 2\n\nprocessor\t: 3\n";
const MEMORY: &str = "MemTotal: 16000000 kB\nMemAvailable: 9000000 kB\n";

#[test]
fn a_pc_in_a_control_group_may_use_what_the_group_grants() {
    let v2 = [
        ("proc/cpuinfo", PC),
        ("proc/meminfo", MEMORY),
        ("proc/self/cgroup", "0::/user.slice/box\n"),
        ("proc/self/status", "Name:\tddnm\nCpus_allowed_list:\t0-1,3\n"),
        ("sys/fs/cgroup/user.slice/memory.max", "max\n"),
        ("sys/fs/cgroup/user.slice/box/memory.max", "536870912\n"),
        ("sys/fs/cgroup/user.slice/box/memory.current", "209715200\n"),
        (
            "sys/fs/cgroup/user.slice/box/memory.stat",
            "anon 1\nactive_file 5\ninactive_file 104857600\n",
        ),
        ("sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n"),
        ("sys/fs/cgroup/user.slice/box/cpu.max", "max 100000\n"),
    ];
    let v1 = [
        ("proc/cpuinfo", PC),
        ("proc/meminfo", MEMORY),
        (
            "proc/self/cgroup",
            "4:memory:/docker/0123\n3:cpu,cpuacct:/docker/0123\n1:name=systemd:/x\n",
        ),
        ("proc/self/status", "Cpus_allowed_list:\t0-2\n"),
        // In a container the mount is the group itself.
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
        ("sys/fs/cgroup/memory/memory.usage_in_bytes", "209715200\n"),
        ("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 104857600\n"),
        ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n"),
        ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
    ];
    for files in [&v2[..], &v1[..]] {
        let tree = Tree::new(files);
        let machine = detect_as(tree.path(), "x86_64").unwrap();
        assert_eq!(name(&machine), "x86-64");
        assert_eq!(machine.processor.as_deref(), Some("Some CPU @ 3 GHz"));
        assert_eq!(machine.memory_limit, Some(512 * MIB));
        // 512 MiB less 200 in use, of which 100 can be taken back.
        assert_eq!(machine.memory_available, Some(412 * MIB));
        assert_eq!(machine.cpu_limit, Some(1.5));
        assert_eq!((machine.cpus, machine.threads()), (3, 2));
    }
}

#[test]
fn groups_without_limits_limit_nothing() {
    let tree = Tree::new(&[
        ("proc/cpuinfo", PC),
        ("proc/meminfo", MEMORY),
        ("proc/self/cgroup", "4:memory:/\n2:cpu:/\n0::/\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
        ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ("sys/fs/cgroup/unified/memory.max", "max\n"),
    ]);
    let machine = detect_as(tree.path(), "x86_64").unwrap();
    assert_eq!((machine.memory_limit, machine.cpu_limit), (None, None));
    assert_eq!(machine.memory_available, Some(9000000 * 1024));
    assert_eq!(machine.threads(), 4);
}

#[test]
fn nothing_at_all_still_gives_an_answer() {
    let tree = Tree::new(&[]);
    let machine = detect_as(tree.path(), "aarch64").unwrap();
    assert_eq!(name(&machine), "arm64");
    assert_eq!((machine.cpus, machine.threads()), (1, 1));
    assert_eq!((machine.memory, machine.memory_available, machine.page_size), (None, None, None));
    assert_eq!(name(&detect_as(tree.path(), "riscv64").unwrap()), "none");
    assert_eq!(name(&detect_as(tree.path(), "arm").unwrap()), "armv7");
}

#[test]
fn nonsense_in_every_file_does_no_harm() {
    let files = [
        "proc/device-tree/model",
        "proc/device-tree/compatible",
        "proc/cpuinfo",
        "proc/meminfo",
        "proc/self/cgroup",
        "proc/self/status",
        "proc/self/auxv",
        "sys/fs/cgroup/memory.max",
        "sys/fs/cgroup/memory.current",
        "sys/fs/cgroup/memory.stat",
        "sys/fs/cgroup/cpu.max",
        "sys/fs/cgroup/memory/memory.limit_in_bytes",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us",
    ];
    let nonsense = [
        "\u{1b}[31m\0\0\n:\n::\n:::::\n",
        "-1 -1\n",
        "0 0\nMemTotal: kB\nCpus_allowed_list:\t9-3\nprocessor\t:\n",
        "18446744073709551616\nMemTotal: 18446744073709551615 kB\nCpus_allowed_list:\t0-18446744073709551615\n",
        "4:memory:/../..\n2:cpu:/..\n0::/../..\ninactive_file -5\n",
        "nan inf\n4:memory,cpu:/\n0::/\nCpus_allowed_list:\t,,-\n",
    ];
    for text in nonsense {
        let tree = Tree::new(&files.map(|file| (file, text)));
        let machine = detect_as(tree.path(), "x86_64").unwrap();
        assert_eq!(name(&machine), "x86-64");
        assert!((1..=4).contains(&machine.threads()), "{text}: {}", machine.threads());
        assert_eq!((machine.memory, machine.cpu_limit), (None, None), "{text}");
        assert!(!machine.model.unwrap_or_default().contains('\u{1b}'));
    }
}

#[test]
fn this_machine_is_seen() {
    let machine = detect(std::path::Path::new("/")).unwrap();
    assert!(machine.cpus >= 1 && machine.threads() <= machine.cpus);
    assert!(machine.page_size.is_some_and(|size| size >= 4096));
    assert!(machine.memory_available <= machine.memory);
    let known = ["aarch64", "arm", "x86_64"].contains(&machine.architecture);
    assert_eq!(FILES.iter().any(|(known, _)| *known == name(&machine)), known);
}
