"""What the prior cannot do, as one picture: scene, measurement and result of each case.

    python models/failures.py docs/known-failures.png [--program target/release/ddnm] [--model FILE]

Needs Pillow and NumPy. The scenes are those of tests/assets.
"""
import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

ASSETS = Path(__file__).resolve().parent.parent / "tests" / "assets"
SIDE, ZOOM, GAP = 96, 2, 6
# Why, scene, left and top of the part that is shown, degradation.
CASES = [("a face", "astronaut", 176, 56, "sr:8"),
         ("text", "astronaut", 124, 338, "sr:4"),
         ("a large hole", "chelsea", 130, 70, "mask:{hole}"),
         ("colour", "coffee", 150, 96, "gray")]


def hole(size, left, top, folder):
    """A mask that misses half of the shown part's width and height, around its middle."""
    mask = np.full(size[::-1], 255, np.uint8)
    quarter = SIDE // 4
    mask[top + quarter:top + 3 * quarter, left + quarter:left + 3 * quarter] = 0
    path = folder / "hole.png"
    Image.fromarray(mask).save(path)
    return path


def case(run, folder, name, left, top, degradation):
    """The shown part of the scene, of the measurement and of the result."""
    scene = ASSETS / f"{name}.png"
    size = Image.open(scene).size
    degradation = degradation.format(hole=hole(size, left, top, folder))
    measured, result = folder / "measured.png", folder / "result.png"
    run("degrade", scene, "-o", measured, "-d", degradation)
    run("restore", measured, "-o", result, "-d", degradation, "--size", f"{size[0]}x{size[1]}")
    box = (left, top, left + SIDE, top + SIDE)
    for path in (scene, measured, result):
        picture = Image.open(path).convert("RGB")
        whole = picture.resize(size, Image.NEAREST)
        yield whole.crop(box).resize((SIDE * ZOOM, SIDE * ZOOM), Image.NEAREST)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--program", default="target/release/ddnm")
    parser.add_argument("--model")
    args = parser.parse_args()

    def run(command, *rest):
        model = ["--model", args.model] if args.model and command == "restore" else []
        subprocess.run([args.program, command, *rest, *model], check=True, stderr=subprocess.DEVNULL)

    cell = SIDE * ZOOM + GAP
    sheet = Image.new("RGB", (3 * cell - GAP, len(CASES) * cell - GAP), "white")
    with tempfile.TemporaryDirectory() as folder:
        for row, (_, *rest) in enumerate(CASES):
            for column, part in enumerate(case(run, Path(folder), *rest)):
                sheet.paste(part, (column * cell, row * cell))
    sheet.save(args.out, optimize=True)


if __name__ == "__main__":
    main()
