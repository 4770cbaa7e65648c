//! `ddnm boards`.

use std::fmt::Write;
use std::path::Path;

use serde_json::json;

use super::args::Boards;
use super::print;
use crate::boards::heat::{Throttling, temperature};
use crate::boards::{self, Machine};
use crate::error::Result;

pub fn run(args: Boards) -> Result<()> {
    let root = Path::new("/");
    let machine = boards::detect(root)?;
    let (degrees, throttling) = (temperature(root), Throttling::read(root));
    if args.json {
        let board = machine.board.map(|board| board.name.as_str());
        let line = json!({
            "this": {
                "board": board, "why": machine.why, "model": machine.model,
                "processor": machine.processor, "architecture": machine.architecture,
                "cpus": machine.cpus, "cpu_limit": machine.cpu_limit, "threads": machine.threads(),
                "memory": machine.memory, "memory_available": machine.memory_available,
                "memory_limit": machine.memory_limit, "page_size": machine.page_size,
                "temperature": degrees, "slowed": throttling.slowed(), "throttling": throttling,
            },
            "boards": boards::all()?,
        });
        return print(&line.to_string());
    }
    let mut text = here(&machine, degrees, &throttling);
    text.push_str("\nboard         cores  MiB    GFLOP/s  GB/s   title\n");
    for board in boards::all()? {
        let this = if machine.board == Some(board) { ", this one" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<14}{:<7}{:<7}{:<9}{:<7}{} ({}){this}",
            board.name,
            board.cores,
            board.memory_mib.first().copied().unwrap_or(0),
            board.arithmetic.gflops,
            board.bandwidth.gb_per_s,
            board.title,
            board.cpu,
        );
    }
    text.push_str(
        "\nMiB is the smallest memory that it is sold with. GFLOP/s is the peak in single \
         precision,\nGB/s what main memory moves; where they come from, and which are estimates, \
         says --json.",
    );
    print(&text)
}

/// What is known of this machine, a line each.
fn here(machine: &Machine, degrees: Option<f64>, throttling: &Throttling) -> String {
    let unknown = || "unknown".to_owned();
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let board = machine.board.map_or("none", |board| &board.name);
    let processor = machine.processor.clone().unwrap_or_else(unknown);
    let granted = machine.cpu_limit.map_or(String::new(), |cpus| format!(", {cpus} granted"));
    let limit =
        machine.memory_limit.map_or(String::new(), |bytes| format!(", {} granted", mib(bytes)));
    let clock = match (throttling.clock_mhz, throttling.most_mhz) {
        (Some(now), Some(most)) => format!(", {now:.0} of {most:.0} MHz"),
        _ => String::new(),
    };
    let slowed = if throttling.slowed() { ", slowed down" } else { "" };
    let volts = if throttling.under_voltage == Some(true) { ", weak supply" } else { "" };
    let degrees = degrees.map_or_else(unknown, |c| format!("{c:.1} degrees"));
    [
        format!("this machine  {}", machine.model.clone().unwrap_or_else(unknown)),
        format!("board         {board}: {}", machine.why),
        format!("processor     {processor}, {} to use{granted}", machine.cpus),
        format!(
            "memory        {}, {} available{limit}",
            machine.memory.map_or_else(unknown, mib),
            machine.memory_available.map_or_else(unknown, mib)
        ),
        format!(
            "pages         {}",
            machine.page_size.map_or_else(unknown, |n| format!("{n} bytes"))
        ),
        format!("heat          {degrees}{clock}{slowed}{volts}\n"),
    ]
    .join("\n")
}
