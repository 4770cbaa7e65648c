"""A proxy for the real task: a Bayer picture, Malvar's demosaic, then a few
evaluations of the prior with the measured values put back after each.

    python bayer.py MODEL...
"""
import sys

import numpy as np
import torch
from scipy.ndimage import convolve

import evaluate
from net import denoise

# Malvar, He and Cutler's 5x5 kernels, times 16.
GREEN = [[0, 0, -2, 0, 0], [0, 0, 4, 0, 0], [-2, 4, 8, 4, -2], [0, 0, 4, 0, 0], [0, 0, -2, 0, 0]]
ROW = [[0, 0, 1, 0, 0], [0, -2, 0, -2, 0], [-2, 8, 10, 8, -2], [0, -2, 0, -2, 0], [0, 0, 1, 0, 0]]
CROSS = [[0, 0, -3, 0, 0], [0, 4, 0, 4, 0], [-3, 0, 12, 0, -3], [0, 4, 0, 4, 0], [0, 0, -3, 0, 0]]


def mask(height, width):
    """RGGB: which channel each pixel measures, [3,h,w] of 0 and 1."""
    m = np.zeros((3, height, width), np.float32)
    m[0, ::2, ::2] = m[1, ::2, 1::2] = m[1, 1::2, ::2] = m[2, 1::2, 1::2] = 1
    return m


def malvar(mosaic, m):
    """[h,w] mosaic to [3,h,w]."""
    apply = lambda kernel: convolve(mosaic, np.array(kernel, np.float32) / 16, mode="mirror")
    green, row, column, cross = apply(GREEN), apply(ROW), apply(np.transpose(ROW)), apply(CROSS)
    red_rows = np.zeros(mosaic.shape, bool)
    red_rows[::2] = True
    at_red, at_green, at_blue = (c > 0 for c in m)
    out = np.stack([mosaic] * 3)
    out[1] = np.where(at_green, mosaic, green)
    for channel, own, other, own_rows in ((0, at_red, at_blue, red_rows), (2, at_blue, at_red, ~red_rows)):
        out[channel][other] = cross[other]
        out[channel][at_green & own_rows] = row[at_green & own_rows]
        out[channel][at_green & ~own_rows] = column[at_green & ~own_rows]
        out[channel][own] = mosaic[own]
    return out


def restore(net, x, sigmas):
    """x [1,3,h,w] is mosaicked and restored; returns the start and the result."""
    m = mask(*x.shape[2:])
    start = torch.from_numpy(malvar((x[0].numpy() * m).sum(0), m))[None]
    measured, state = torch.from_numpy(m)[None].bool(), start
    with torch.no_grad():
        for sigma in sigmas:
            state = torch.where(measured, x, denoise(net, state, sigma))
    return start, state


def report(net):
    lines = ["Bayer, PSNR: Malvar; sigma 0.1 to 0.015 in 8; 0.05 to 0.01 in 8"]
    for name in evaluate.WHOLE:
        x = evaluate.planar(evaluate.picture(name))
        start, first = restore(net, x, np.geomspace(0.1, 0.015, 8))
        _, second = restore(net, x, np.geomspace(0.05, 0.01, 8))
        values = [evaluate.psnr(r, x).item() for r in (start, first, second)]
        lines.append(f"{name.split('.')[0]:15s}" + "".join(f"{v:8.3f}" for v in values))
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(2)
    for model in sys.argv[1:]:
        print(model, report(evaluate.load(model)), sep="\n", flush=True)
