"""Restorations beside classical methods from PyPI, on the pictures of tests/assets.

    pip install -r benches/requirements-peers.txt
    python benches/peers.py [--program target/release/ddnm] [--model FILE]... [--only TASK]...

For development only. PSNR in dB over the whole picture, measurements in float, the same for all.
Every model is run in both modes; without `--model`, the one that is built in. The program
writes 8-bit pictures, which costs less than 0.1 dB below 45 dB; so do the peers' results here.
"""
import argparse
import subprocess
import tempfile
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

ASSETS = Path(__file__).resolve().parent.parent / "tests" / "assets"
PICTURES = ("astronaut", "coffee", "chelsea")
TASKS = {"bayer": ("bayer:rggb", 0), "noise15": ("none", 15), "noise25": ("none", 25), "noise50": ("none", 50),
         "sr2": ("sr:2", 0), "sr4": ("sr:4", 0)}


def demosaic(method):
    def estimate(y, size, noise):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import colour_demosaicing
            return getattr(colour_demosaicing, f"demosaicing_CFA_Bayer_{method}")(y[0], "RGGB")
    return estimate


def bm3d(y, size, noise):
    import bm3d
    return bm3d.bm3d_rgb(y.transpose(1, 2, 0), noise / 255)


def bicubic(y, size, noise):
    factor = round(size[0] / y.shape[2])
    full = y.shape[2] * factor, y.shape[1] * factor    # what does not divide was extended
    planes = [Image.fromarray(plane).resize(full, Image.BICUBIC) for plane in y]
    return np.stack([np.asarray(plane)[:size[1], :size[0]] for plane in planes], 2)


def peers(task):
    if task == "bayer":
        return {label: demosaic(method) for label, method in (
            ("bilinear", "bilinear"), ("Malvar", "Malvar2004"), ("Menon", "Menon2007"))}
    return {"BM3D": bm3d} if task.startswith("noise") else {"bicubic": bicubic}


def ours(program, model, mode, degradation, folder):
    def estimate(y, size, noise):
        measured, result = folder / "y.npy", folder / "x.png"
        np.save(measured, y)
        command = [program, "restore", measured, "-o", result, "-d", degradation, "--mode", mode, "--depth", 8,
                   "--size", "x".join(map(str, size))]
        command += ["--noise", noise] if noise else []
        command += ["--model", model] if model else []
        subprocess.run(list(map(str, command)), check=True, stderr=subprocess.DEVNULL)
        return np.asarray(Image.open(result).convert("RGB")) / 255
    return estimate


def measure(program, name, degradation, noise, folder):
    path = folder / "measured.npy"
    command = [program, "degrade", ASSETS / f"{name}.png", "-o", path, "-d", degradation, "--noise", noise]
    subprocess.run(list(map(str, command)), check=True, stderr=subprocess.DEVNULL)
    return np.load(path)


def psnr(estimate, scene):
    codes = np.rint(np.clip(estimate, 0, 1) * 255)
    return 10 * np.log10(255 ** 2 / np.square(codes - scene).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/ddnm")
    parser.add_argument("--model", action="append", type=Path)
    parser.add_argument("--only", action="append", choices=TASKS)
    args = parser.parse_args()
    scenes = {name: np.asarray(Image.open(ASSETS / f"{name}.png").convert("RGB")) for name in PICTURES}
    print(f"| task | estimate | {' | '.join(PICTURES)} | mean |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for task in args.only or TASKS:
            degradation, noise = TASKS[task]
            measured = {name: measure(args.program, name, degradation, noise, folder) for name in PICTURES}
            methods = peers(task)
            for model in args.model or [None]:
                label = model.stem if model else "built-in prior"
                methods |= {f"{label}, {mode}": ours(args.program, model, mode, degradation, folder)
                            for mode in ("faithful", "sample")}
            for label, method in methods.items():
                found = [psnr(method(measured[name], scenes[name].shape[1::-1], noise), scenes[name])
                         for name in PICTURES]
                row = " | ".join(f"{v:.2f}" for v in [*found, np.mean(found)])
                print(f"| {task} | {label} | {row} |", flush=True)


if __name__ == "__main__":
    main()
