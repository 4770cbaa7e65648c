"""Restorations beside classical methods from PyPI, on the pictures of tests/assets.

    pip install -r benches/requirements-peers.txt
    python benches/peers.py [--program target/release/ddnm] [--model FILE]... [--only TASK]...

For development only. PSNR in dB over the whole picture, measurements in float, the same for all.
Every model is run in both modes; without `--model`, the one that is built in. The program
writes 8-bit pictures, which costs less than 0.1 dB below 45 dB; so do the peers' results here.
Tasks are those of `benches/quality.rs`; the mask of missing pixels is another draw. Wiener's
filter gets, for each picture, the best of some balances: it cannot know which. Where no package
has a method, the classical estimate of the program stands in its place. `benches/v0.toml` names
the first prior, for who has its weights.
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
TASKS = {"bayer": ("bayer:rggb", 0), "missing": ("mask:{half}", 0), "noise15": ("none", 15), "noise25": ("none", 25),
         "noise50": ("none", 50), "sr2": ("sr:2", 0), "sr4": ("sr:4", 0), "old": ("gray+mask:{half}+sr:2", 0),
         "cubic2": ("sr:2:bicubic", 0), "cubic4": ("sr:4:bicubic", 0), "blur0": ("blur:gauss:1.6", 0.29),
         "blur2": ("blur:gauss:1.6", 2), "blur5": ("blur:gauss:1.6", 5), "motion2": ("blur:{motion}", 2),
         "hadamard": ("hadamard:0.25", 0)}
BALANCES = [10 ** (k / 2) for k in range(-10, 3)]
BORDER = 16    # pixels, mirrored, so that the filter sees no edge


def drawn(size, folder):
    """Files that degradations name: half of the pixels, and a camera that moves along a line."""
    half, motion = folder / "half.png", folder / "motion.png"
    seen = np.random.default_rng(1).random(size[::-1]) < 0.5
    Image.fromarray(seen.astype(np.uint8) * 255).save(half)
    v, u = np.mgrid[:7, :11]
    kernel = (1 - 0.8 * np.abs(v - 0.6 * u)).clip(0)
    Image.fromarray(np.rint(kernel * 255).astype(np.uint8)).save(motion)
    return {"half": half, "motion": motion}


class Case:
    """A scene and what was measured of it."""

    def __init__(self, program, name, task, folder):
        self.program, self.folder = program, folder
        path = ASSETS / f"{name}.png"
        self.scene = np.asarray(Image.open(path).convert("RGB"))
        self.size = self.scene.shape[1::-1]
        self.files = drawn(self.size, folder)
        spec, self.noise = TASKS[task]
        self.spec = spec.format(**self.files)
        self.y = self.measure(path, self.noise)

    def measure(self, path, noise):
        y = self.folder / "y.npy"
        run(self.program, "degrade", path, "-o", y, "-d", self.spec, "--noise", noise)
        return np.load(y)

    def psnr(self, estimate):
        codes = np.rint(np.clip(estimate, 0, 1) * 255)
        return 10 * np.log10(255 ** 2 / np.square(codes - self.scene).mean())

    def kernel(self):
        """What becomes of one white pixel."""
        point = np.zeros((33, 33, 3), np.uint8)
        point[16, 16] = 255
        path = self.folder / "point.png"
        Image.fromarray(point).save(path)
        return self.measure(path, 0)[0]

    def restored(self, mode, model, *options):
        y, result = self.folder / "y.npy", self.folder / "x.png"
        np.save(y, self.y)
        noise = ["--noise", self.noise] if self.noise else []
        run(self.program, "restore", y, "-o", result, "-d", self.spec, "--mode", mode, "--depth", 8,
            "--size", "x".join(map(str, self.size)), *noise, *(["--model", model] if model else []), *options)
        return np.asarray(Image.open(result).convert("RGB")) / 255


def run(*command):
    subprocess.run(list(map(str, command)), check=True, stderr=subprocess.DEVNULL)


def demosaic(method):
    def estimate(case):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import colour_demosaicing
            return getattr(colour_demosaicing, f"demosaicing_CFA_Bayer_{method}")(case.y[0], "RGGB")
    return estimate


def bm3d(case):
    import bm3d
    return bm3d.bm3d_rgb(case.y.transpose(1, 2, 0), case.noise / 255)


def bicubic(case):
    factor = round(case.size[0] / case.y.shape[2])
    full = case.y.shape[2] * factor, case.y.shape[1] * factor    # what does not divide was extended
    planes = [Image.fromarray(plane).resize(full, Image.BICUBIC) for plane in case.y]
    return np.stack([np.asarray(plane)[:case.size[1], :case.size[0]] for plane in planes], 2)


def triangles(case):
    """Linear between the measured pixels, the nearest outside of them."""
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
    seen = np.asarray(Image.open(case.files["half"])) > 0
    places, values = np.argwhere(seen), case.y.transpose(1, 2, 0)[seen]
    everywhere = np.argwhere(np.ones_like(seen))
    found = LinearNDInterpolator(places, values)(everywhere)
    nearest = NearestNDInterpolator(places, values)(everywhere)
    return np.where(np.isnan(found), nearest, found).reshape(*seen.shape, 3)


def biharmonic(case):
    from skimage.restoration import inpaint_biharmonic
    seen = np.asarray(Image.open(case.files["half"])) > 0
    return inpaint_biharmonic(case.y.transpose(1, 2, 0), ~seen, channel_axis=2)


def wiener(case):
    from skimage import restoration
    kernel = case.kernel().astype(np.float64)
    # What a moving camera saw only in part was not measured; mirrored too.
    lost = [full - seen for full, seen in zip(case.size[::-1], case.y.shape[1:])]
    sides = [(BORDER + n // 2, BORDER + n - n // 2) for n in lost]
    padded = np.pad(case.y, [(0, 0), *sides], "symmetric").astype(np.float64)

    def estimate(balance):
        planes = [restoration.wiener(plane, kernel, balance, clip=False) for plane in padded]
        return np.stack(planes, 2)[BORDER:-BORDER, BORDER:-BORDER]
    return max(map(estimate, BALANCES), key=case.psnr)


def classical(case):
    # One evaluation, of which nothing is kept.
    return case.restored("faithful", None, "--steps", 1, "--generative", 0)


def peers(task):
    if task == "bayer":
        return {label: demosaic(method) for label, method in (
            ("bilinear", "bilinear"), ("Malvar", "Malvar2004"), ("Menon", "Menon2007"))}
    if task == "missing":
        return {"linear (SciPy)": triangles, "biharmonic (scikit-image)": biharmonic}
    if task.startswith("noise"):
        return {"BM3D": bm3d}
    if task.startswith(("blur", "motion")):
        return {"Wiener (scikit-image), best": wiener}
    return {"classical start": classical} if task in ("old", "hadamard") else {"bicubic": bicubic}


def ours(model, mode):
    return lambda case: case.restored(mode, model)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/ddnm")
    parser.add_argument("--model", action="append", type=Path)
    parser.add_argument("--only", action="append", choices=TASKS)
    args = parser.parse_args()
    print(f"| task | estimate | {' | '.join(PICTURES)} | mean |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for task in args.only or TASKS:
            methods = peers(task)
            for model in args.model or [None]:
                label = model.stem if model else "built-in prior"
                methods |= {f"{label}, {mode}": ours(model, mode) for mode in ("faithful", "sample")}
            for label, method in methods.items():
                found = []
                for name in PICTURES:
                    case = Case(args.program, name, task, Path(folder))
                    found.append(case.psnr(method(case)))
                row = " | ".join(f"{v:.2f}" for v in [*found, np.mean(found)])
                print(f"| {task} | {label} | {row} |", flush=True)


if __name__ == "__main__":
    main()
