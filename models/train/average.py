"""A checkpoint whose averaged weights lie between those of two others of one network.

    python average.py A.ckpt B.ckpt OUT.ckpt [SHARE]

SHARE (default 0.5) is how much of B is in it. Good where B went on from A.
"""
import sys

import torch


def between(a, b, share=0.5):
    return {"net": a["net"], "ema": {key: value.lerp(b["ema"][key], share) for key, value in a["ema"].items()}}


if __name__ == "__main__":
    first, second, out, *rest = sys.argv[1:]
    states = [torch.load(path, map_location="cpu") for path in (first, second)]
    torch.save(between(*states, *map(float, rest)), out)
