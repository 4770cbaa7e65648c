"""A whole restoration against the same loop in Python: time and memory.

    pip install -r benches/requirements.txt
    python benches/picture.py [--engines ort,torch,openvino,ncnn] [--rounds N] [--json FILE]

For development only. A picture of 640x480 with noise of 25 code values is denoised in 8
evaluations on one thread, by `ddnm restore` and by NumPy with another engine for the network,
over the same tiles. Before anything is said, both results must agree within one code value.

Prints for each: the wall time of the whole process, from its start to the written file (ours
includes the certificate); of the loop over steps and tiles alone, where it can be told; and the
peak of the process's anonymous memory (RssAnon: what the files that it maps do not back).
"""
import argparse
import json
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np

from rivals import RIVALS, alpha_bar, convert_apart

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ROOT / "models" / "patch-s.toml"
WIDTH, HEIGHT = 640, 480
# Noise of the measurement, first and last noise level, in code values; evaluations.
NOISE, START, END, STEPS = 25, 25, 2.55, 8


def axis(length, tile, halo, multiple, shifted):
    """The tiles along one axis, (core, core_end, window, size), as in `src/sampler/grid.rs`."""
    count = max(1, -(-(length - 2 * halo) // tile))
    if count == 1:
        return [(0, length, 0, length)]
    up = lambda n, unit: -(-n // unit) * unit
    core = up(-(-(length - 2 * halo) // count), 2 * multiple)
    edge = up(halo, multiple)
    first = edge + (core // 2 if shifted else core)
    borders = [0, *(c for c in range(first, length - halo, core)), length]
    full, small = (up(c + edge + halo, multiple) for c in (core, core // 2))
    spans = []
    for begin, end in zip(borders, borders[1:]):
        window = max(0, begin - halo) // multiple * multiple
        needed = min(end + halo, length) - window
        size = small if needed <= small else max(full, up(needed, multiple))
        spans.append((begin, end, min(window, max(0, length - size)), size))
    return spans


def grids(manifest):
    """Rows and columns of tiles, of even steps and of odd ones."""
    halo = next(h["pixels"] for h in manifest["halo"] if START / 127.5 <= h["sigma"])
    return [[axis(length, manifest["tile"], halo, manifest["multiple"], shifted) for length in (HEIGHT, WIDTH)]
            for shifted in (False, True)]


def loop(rival, y):
    """`faithful` denoising of y [3,h,w] in [-1, 1]: what `ddnm restore -d none` does."""
    table = alpha_bar(rival.manifest)
    log_sigma = 0.5 * np.log((1 - table) / table)
    sides, evaluators = grids(rival.manifest), {}
    state = y
    for k, sigma in enumerate(np.geomspace(START, END, STEPS) / 127.5):
        ab, t = 1 / (1 + sigma ** 2), np.interp(np.log(sigma), log_sigma, np.arange(len(table)))
        signal, noise = np.float32(ab ** 0.5), np.float32((1 - ab) ** 0.5)
        weight = np.float32(sigma ** 2 / (sigma ** 2 + (NOISE / 127.5) ** 2))
        following = np.empty_like(y)
        rows, columns = sides[k % 2]
        for top, bottom, row, height in rows:
            for left, right, column, width in columns:
                if (height, width) not in evaluators:
                    evaluators[height, width] = rival.evaluator(height, width, 1)
                x = signal * state[:, row:row + height, column:column + width]
                x0 = np.clip(signal * x - noise * evaluators[height, width](x, t)(), -1, 1)
                core = x0[:, top - row:bottom - row, left - column:right - column]
                measured = y[:, top:bottom, left:right]
                following[:, top:bottom, left:right] = core + weight * (measured - core)
        state = following
    return np.clip(state, -1, 1)


def child(name, folder, source, target):
    """One restoration with another engine, in this process."""
    from PIL import Image
    rival = RIVALS[name](MANIFEST, folder)
    rival.prepare(1)
    codes = np.asarray(Image.open(source).convert("RGB"))
    y = codes.transpose(2, 0, 1).astype(np.float32) / np.float32(127.5) - 1
    start = time.perf_counter()
    x = loop(rival, y)
    seconds = time.perf_counter() - start
    codes = np.rint((x + 1) * 127.5).astype(np.uint8).transpose(1, 2, 0)
    Image.fromarray(codes).save(target)
    print(json.dumps({"loop": seconds}))


def watch(command):
    """Runs a command; returns its seconds, its peak RssAnon in bytes and what it printed."""
    with tempfile.TemporaryFile("w+") as out:
        start = time.perf_counter()
        process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            peak = max(peak, rss_anon(process.pid))
            time.sleep(0.002)
        seconds = time.perf_counter() - start
        if process.returncode:
            raise RuntimeError(f"{command} ended with {process.returncode}")
        out.seek(0)
        return seconds, peak, out.read()


def rss_anon(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    lines = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def build():
    command = ["cargo", "build", "--release", "--message-format=json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "ddnm")


def measurement(program, folder):
    """A picture of the tests, mirrored to 640x480, with noise; and the file that holds it."""
    from PIL import Image
    scene, noisy = folder / "scene.png", folder / "noisy.png"
    picture = np.asarray(Image.open(ROOT / "tests" / "assets" / "coffee.png").convert("RGB"))
    missing = [(0, HEIGHT - picture.shape[0]), (0, WIDTH - picture.shape[1]), (0, 0)]
    Image.fromarray(np.pad(picture, missing, mode="reflect")).save(scene)
    subprocess.run([program, "degrade", scene, "-o", noisy, "-d", "none", "--noise", str(NOISE)],
                   check=True, stderr=subprocess.DEVNULL)
    return noisy


def check_tiles(program):
    """The tiles of this file must be those of the program."""
    command = [program, "plan", "--size", f"{WIDTH}x{HEIGHT}", "-d", "none", "--noise", str(NOISE),
               "--steps", str(STEPS), "--json"]
    expected = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["window_pixels"]
    both = grids(tomllib.loads(MANIFEST.read_text()))
    pixels = lambda axes: sum(s[3] for s in axes[0]) * sum(s[3] for s in axes[1])
    found = sum(pixels(both[k % 2]) for k in range(STEPS))
    if found != expected:
        sys.exit(f"tiles: expected {expected} window pixels as in ddnm plan, found {found}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", type=lambda text: text.split(","), default=["ort", "torch", "openvino", "ncnn"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=4, metavar=("ENGINE", "FOLDER", "IN", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(*args.child)
    from PIL import Image
    program = build()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        noisy, results = measurement(program, folder), {}
        check_tiles(program)
        if "ncnn" in args.engines:
            convert_apart(MANIFEST, folder)
        names = ["ddnm", *args.engines]
        target = {name: folder / f"{name}.png" for name in names}
        ours = [program, "restore", noisy, "-d", "none", "--noise", NOISE, "--start", START, "--end", END,
                "--steps", STEPS, "--threads", 1, "-o", target["ddnm"]]
        commands = {"ddnm": ours} | {name: [sys.executable, __file__, "--child", name, folder, noisy, target[name]]
                                     for name in args.engines}
        runs = {name: [] for name in names}
        for _ in range(args.rounds):
            for name in names:
                seconds, peak, said = watch(commands[name])
                inner = json.loads(said)["loop"] if name != "ddnm" else None
                runs[name].append((seconds, inner, peak))
        picture = {name: np.asarray(Image.open(target[name])).astype(int) for name in names}
    print(f"{WIDTH}x{HEIGHT}, {STEPS} evaluations, one thread; best of {args.rounds} runs.\n")
    print("| engine | seconds, whole process | seconds, loop alone | peak RssAnon, MiB | largest difference, code values |")
    print("|---|---|---|---|---|")
    for name in names:
        difference = int(np.abs(picture[name] - picture["ddnm"]).max())
        if difference > 1:
            sys.exit(f"{name}: differs from ddnm by {difference} code values")
        best = min(seconds for seconds, _, _ in runs[name])
        inner = min((i for _, i, _ in runs[name] if i), default=None)
        peak = max(peak for _, _, peak in runs[name])
        results[name] = {"seconds": best, "loop": inner, "peak_rss_anon": peak, "difference": difference}
        loop_cell = f"{inner:.2f}" if inner else "-"
        print(f"| {name} | {best:.2f} | {loop_cell} | {peak / 2**20:.0f} | {difference} |")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
