"""Our evaluation of the network against other engines, in one run.

    pip install -r benches/requirements.txt
    python benches/engines.py [--sides 64,128,256] [--threads 1,2] [--rounds N]
        [--engines ddnm,tract,ort,ncnn,openvino,torch] [--budget SECONDS] [--json FILE]
        [--manifest MODEL.toml]

For development only; nothing here is needed to build, test or use the program.

Builds `benches/engine.rs`, starts every engine as a process of its own, checks that each gives
what ONNX Runtime gives (no value of the estimate in [-1, 1] further off than 1e-4, which is 0.013
code values), and then times them in rounds: for each window and number of threads, each engine in
turn for a moment, so that a disturbance of the machine meets all of them. Prints milliseconds per
tile, the best of all rounds, and the ratio to ours. An engine that is missing is left out with a
note. Everything is single precision.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RUST = ("ddnm", "tract")
RIVALS = ("ort", "ncnn", "openvino", "torch")
# Timestep of the check: mostly noise, so the network's answer counts in full.
T = 500
TOLERANCE = 1e-4
# As in engine.rs: tiles per instance in one measurement of several instances.
BATCH = 4
# What is timed: threads per tile, tiles at a time.
CELLS = {
    (1, 1): "One thread",
    (2, 1): "One tile at a time on two threads",
    (1, 2): "Two tiles at a time, each on one thread",
}


class Child:
    """An engine in a process of its own."""

    def __init__(self, name, command):
        self.name = name
        self.complaints = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            list(map(str, command)), cwd=ROOT, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.complaints)

    def ask(self, request, *arguments):
        """The answer to a request, or RuntimeError with the engine's reason."""
        try:
            self.process.stdin.write(" ".join(map(str, (request, self.name, *arguments))) + "\n")
        except BrokenPipeError:
            # It may have said why before it ended.
            pass
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": self.last_words()}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def last_words(self):
        self.process.wait()
        self.complaints.seek(0)
        return f"ended without an answer: {self.complaints.read().strip()[-300:]}"

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()


def build():
    """Builds the Rust bench; returns its executable."""
    command = ["cargo", "bench", "--bench", "engine", "--no-run", "--message-format=json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "engine")


def start(names, args):
    """The engines that there are, by name, and what each says of itself."""
    program = build()
    children, about = {}, {}
    for name in names:
        if name in RUST:
            model = ["model", args.manifest] if args.manifest != args.bundled else []
            child = Child(name, [program, "serve", *model])
        else:
            child = Child(name, [sys.executable, "benches/rivals.py", name, "--manifest", args.manifest])
        try:
            about[name] = child.ask("about")["about"]
            children[name] = child
        except RuntimeError as error:
            print(f"Without {name}: {error}", file=sys.stderr)
            child.close()
    return children, about


def check(children, sides, folder):
    """Compares every engine with ONNX Runtime; returns the largest difference of each."""
    source, target = Path(folder, "x_t"), Path(folder, "x0")
    found = {name: 0.0 for name in children}
    for side in sides:
        x = np.random.default_rng(side).standard_normal((3, side, side), dtype=np.float32)
        x.tofile(source)
        outputs = {}
        for name, child in children.items():
            child.ask("output", side, T, source, target)
            outputs[name] = np.fromfile(target, np.float32).reshape(x.shape)
        for name in children:
            difference = float(np.abs(outputs[name] - outputs["ort"]).max())
            if not difference <= TOLERANCE:
                sys.exit(f"{name} differs from ONNX Runtime by {difference} at {side}x{side}")
            found[name] = max(found[name], difference)
    return found


def repeats(child, side, threads, instances, budget):
    """How many repeats of a cell fill the budget; also warms the engine up."""
    best = child.ask("run", side, threads, instances, 1)["best"]
    per_repeat = best * (1 if instances == 1 else BATCH * instances)
    return max(2, round(budget * 1e3 / per_repeat))


def measure(children, sides, kinds, rounds, budget):
    """A list of cells: window, threads, tiles at a time, engine, milliseconds."""
    cells = []
    for side in sides:
        for threads, instances in kinds:
            # Our engines put one tile on one thread.
            able = {n: c for n, c in children.items() if not (n in RUST and threads > 1)}
            counts = {n: repeats(c, side, threads, instances, budget) for n, c in able.items()}
            answers = {n: [] for n in able}
            for _ in range(rounds):
                for name, child in able.items():
                    answers[name].append(child.ask("run", side, threads, instances, counts[name]))
                    # Thread pools spin for a while after their work.
                    time.sleep(0.05)
            for name, found in answers.items():
                cells.append({
                    "side": side, "threads": threads, "instances": instances, "engine": name,
                    "best": min(a["best"] for a in found),
                    "median": float(np.median([a["median"] for a in found])),
                    "rounds": [a["best"] for a in found]})
    return cells


def implausible(cells):
    """Cells where more instances gain more than their number: a fault of the measurement."""
    alone = {(c["engine"], c["side"]): c["best"] for c in cells if (c["threads"], c["instances"]) == (1, 1)}
    for cell in cells:
        one = alone.get((cell["engine"], cell["side"]))
        # Single tiles that were disturbed in every round may account for a few percent.
        if one and one / cell["best"] > 1.05 * cell["instances"] * cell["threads"]:
            yield f"{cell['engine']} at {cell['side']}: {one:.2f} ms alone, {cell['best']:.2f} ms per tile " \
                  f"with {cell['instances']} x {cell['threads']} threads"


def table(cells, names, sides, kind, ours):
    """One Markdown table: engines down, windows across."""
    here = {(c["engine"], c["side"]): c["best"] for c in cells if (c["threads"], c["instances"]) == kind}
    lines = [f"| engine | {' | '.join(f'{side}x{side}' for side in sides)} |", "|---|" + "---|" * len(sides)]
    for name in names:
        row = []
        for side in sides:
            ms, own = here.get((name, side)), here.get((ours, side))
            ratio = f" ({ms / own:.2f}x)" if ms and own else ""
            row.append(f"{ms:.2f}{ratio}" if ms else "-")
        lines.append(f"| {name} | {' | '.join(row)} |")
    return "\n".join(lines)


def machine():
    """The processor, its cores and what of its instruction sets matters here."""
    text = Path("/proc/cpuinfo").read_text()
    word = lambda key: (re.search(rf"^{key}\s*: (.*)$", text, re.M) or [None, "unknown"])[1]
    flags = set((word("flags") + " " + word("Features")).split())
    known = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "asimd", "asimdhp", "asimddp", "sve")
    return {"cpu": word("model name"), "family": word("cpu family"), "model": word("model"),
            "cores": os.cpu_count(), "simd": [f for f in known if f in flags]}


def used(pid=None):
    """Seconds of processor time used so far, by a process or by the whole machine."""
    if pid is None:
        user, nice, system, _idle, _wait, irq, softirq = Path("/proc/stat").read_text().split()[1:8]
        ticks = [user, nice, system, irq, softirq]
    else:
        # The name, in parentheses, may hold spaces.
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


class Others:
    """The share of the machine that went to anything else than these processes."""

    def __init__(self, pids):
        self.pids = pids
        self.since = time.monotonic(), self.now()

    def now(self):
        return used() - sum(map(used, self.pids))

    def share(self):
        began, before = self.since
        return (self.now() - before) / (time.monotonic() - began) / os.cpu_count()


def arguments():
    bundled = ROOT / "models" / "patch-s.toml"
    numbers = lambda text: [int(n) for n in text.split(",")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=numbers, default=[64, 128, 192, 256])
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budget", type=float, default=0.3, help="seconds per engine, cell and round")
    parser.add_argument("--engines", type=lambda text: text.split(","), default=[*RUST, *RIVALS])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--manifest", type=Path, default=bundled)
    args = parser.parse_args()
    unknown = [name for name in args.engines if name not in RUST + RIVALS]
    if unknown:
        parser.error(f"engines: expected some of {', '.join(RUST + RIVALS)}, found {', '.join(unknown)}")
    args.bundled = bundled
    args.manifest = args.manifest.resolve()
    return args


def main():
    args = arguments()
    # The check needs ONNX Runtime, whether it is timed or not.
    names = args.engines + [n for n in ("ort",) if n not in args.engines]
    children, about = start(names, args)
    if "ort" not in children:
        sys.exit("ONNX Runtime is needed: every engine is compared with it")
    with tempfile.TemporaryDirectory() as folder:
        difference = check(children, args.sides, folder)
    timed = {n: c for n, c in children.items() if n in args.engines}
    ours = next((n for n in RUST if n in timed), "")
    kinds = [kind for kind in CELLS if max(kind) in args.threads]
    here = machine()
    others = Others([os.getpid(), *(child.process.pid for child in children.values())])
    cells = measure(timed, args.sides, kinds, args.rounds, args.budget)
    here["others"] = others.share()
    for child in children.values():
        child.close()

    print(f"{here['cpu']} (family {here['family']}, model {here['model']}), {here['cores']} cores, "
          f"{' '.join(here['simd'])}. Other processes took {here['others']:.0%} of the machine meanwhile.")
    print(f"Milliseconds per tile, best of {args.rounds} rounds; in brackets the ratio to `{ours}`.\n")
    for name in timed:
        print(f"- `{name}`: {about[name]}; within {difference[name]:.1e} of ONNX Runtime")
    for kind in kinds:
        print(f"\n{CELLS[kind]}:\n\n{table(cells, list(timed), args.sides, kind, ours)}")
    for fault in implausible(cells):
        print(f"\nNot to be believed, measure again: {fault}")
    if args.json:
        engines = {n: {"about": about[n], "difference": difference[n]} for n in timed}
        args.json.write_text(json.dumps({"machine": here, "engines": engines, "cells": cells}, indent=1))


if __name__ == "__main__":
    main()
