"""The program's own classical starts of mosaics and missing pixels, to train through (stages `unrolled`).

    python starts.py CORPUS OUT [--program ../../target/release/ddnm] [--every N]

For every Nth picture of the corpus, of its middle at most 960x960 pixels: OUT/STEM.KIND.png holds
scene, mask of what is measured and start, one above the other.
"""
import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from data import STARTS, pictures

HERE = Path(__file__).resolve().parent
SPECS = dict(zip(STARTS, ("bayer:rggb", "mask:{mask}")))    # the mask is drawn, half of its pixels black
SIDE = 960


def scene(path):
    image = Image.open(path).convert("RGB")
    width, height = (min(side, SIDE) // 16 * 16 for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def drawn_mask(rng, kind, size):
    """What is measured [h,w,3], 0 or 255."""
    width, height = size
    if kind == "missing":
        return np.repeat((rng.random((height, width, 1)) < 0.5) * np.uint8(255), 3, 2)
    mask = np.zeros((height, width, 3), np.uint8)
    mask[::2, ::2, 0] = mask[::2, 1::2, 1] = mask[1::2, ::2, 1] = mask[1::2, 1::2, 2] = 255
    return mask


def main(args):
    def run(*command):
        subprocess.run([args.program, *command], check=True, stderr=subprocess.DEVNULL)

    args.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        x, y, seen, start = (folder / name for name in ("x.png", "y.npy", "mask.png", "start.png"))
        for path in pictures(args.corpus)[::args.every]:
            picture = scene(path)
            picture.save(x)
            for kind, spec in SPECS.items():
                mask = drawn_mask(rng, kind, picture.size)
                Image.fromarray(mask[:, :, 0]).save(seen)
                spec = spec.format(mask=seen)
                run("degrade", x, "-o", y, "-d", spec)
                # One evaluation, of which nothing is kept: the classical estimate.
                run("restore", y, "-o", start, "-d", spec, "--steps", "1", "--generative", "0", "--depth", "8",
                    "--size", "x".join(map(str, picture.size)))
                parts = [np.asarray(picture), mask, np.asarray(Image.open(start).convert("RGB"))]
                Image.fromarray(np.concatenate(parts)).save(args.out / f"{path.stem}.{kind}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--program", default=HERE.parents[1] / "target/release/ddnm")
    parser.add_argument("--every", type=int, default=3)
    main(parser.parse_args())
