//! `/proc/cpuinfo` and what else the kernel says of the processor.

use super::Root;

/// What the kernel says of the processor.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Processor {
    /// Name of the core, if it is known.
    pub(super) name: Option<String>,
    /// The board, as Raspberry Pi's kernels write it here; unlike the device tree it can be read
    /// in a container.
    pub(super) model: Option<String>,
    /// Processors that run, 0 if it is not said.
    pub(super) count: usize,
}

impl Processor {
    pub(super) fn read(root: &Root) -> Processor {
        let mut processor = Processor::default();
        let text = root.text("proc/cpuinfo").unwrap_or_default();
        let mut part = None;
        for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match key.trim() {
                "processor" => processor.count += 1,
                "CPU part" => part = core(value).or(part),
                // 32-bit ARM says "model name" too, of the architecture only.
                "model name" if !value.starts_with("ARMv") => {
                    processor.name = Some(value.to_owned());
                }
                "Model" if !value.is_empty() => processor.model = Some(value.to_owned()),
                _ => {}
            }
        }
        processor.name = part.map(str::to_owned).or(processor.name);
        processor
    }
}

/// The core of a part number of ARM's.
fn core(part: &str) -> Option<&'static str> {
    Some(match part {
        "0xc07" => "Cortex-A7",
        "0xc09" => "Cortex-A9",
        "0xc0f" => "Cortex-A15",
        "0xd03" => "Cortex-A53",
        "0xd04" => "Cortex-A35",
        "0xd05" => "Cortex-A55",
        "0xd07" => "Cortex-A57",
        "0xd08" => "Cortex-A72",
        "0xd09" => "Cortex-A73",
        "0xd0a" => "Cortex-A75",
        "0xd0b" => "Cortex-A76",
        "0xd0c" => "Neoverse-N1",
        "0xd41" => "Cortex-A78",
        "0xd42" => "Cortex-A78AE",
        _ => return None,
    })
}

/// Processors that this process may run on, from a list such as `0-2,5`.
pub(super) fn allowed(root: &Root) -> Option<usize> {
    let status = root.text("proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut count = 0usize;
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        count += last.checked_sub(first)?.checked_add(1).filter(|&n| n <= 1 << 16)?;
    }
    (count > 0).then_some(count)
}

/// Bytes per page, from the kernel's message to this process (`AT_PAGESZ` in `auxv`).
pub(super) fn page_size(root: &Root) -> Option<u64> {
    const AT_PAGESZ: usize = 6;
    const WORD: usize = size_of::<usize>();
    let bytes = root.bytes("proc/self/auxv")?;
    let word = |i: usize| {
        let word = bytes.get(i * WORD..(i + 1) * WORD)?;
        Some(usize::from_ne_bytes(word.try_into().ok()?))
    };
    let pairs = (0..bytes.len() / WORD / 2).filter_map(|i| Some((word(2 * i)?, word(2 * i + 1)?)));
    let size = pairs.into_iter().find(|&(key, _)| key == AT_PAGESZ)?.1 as u64;
    (size.is_power_of_two() && (4096..=1 << 20).contains(&size)).then_some(size)
}
