"""Proxies for the real tasks: a classical start, then a few evaluations of the
prior with the measurement put back after each, as `faithful` does.

    python tasks.py MODEL...
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F

import classical
import evaluate
from net import denoise


def run(net, start, project, sigmas):
    state = start
    with torch.no_grad():
        for sigma in sigmas:
            state = project(denoise(net, state, sigma).clamp(-1, 1))
    return state


def bayer(x, demosaic):
    m = classical.bayer_mask(*x.shape[2:]).expand_as(x)
    return demosaic(x, m), lambda s: torch.where(m > 0, x, s)


def missing(x):
    """Half of the pixels, at random."""
    seen = np.random.default_rng(3).random((1, 1, *x.shape[2:])) < 0.5
    m = torch.from_numpy(seen).float()
    return classical.local_mean(x, m, 4), lambda s: torch.where(m > 0, x, s)


def small(x, factor):
    measured = F.avg_pool2d(x, factor)
    back = lambda s: s + F.interpolate(measured - F.avg_pool2d(s, factor), scale_factor=factor, mode="nearest")
    return classical.enlarged(x, factor), back


TASKS = {"bayer, Malvar": (lambda x: bayer(x, classical.malvar), ((0.1, 0.015, 8), (0.05, 0.01, 8))),
         "bayer, directional": (lambda x: bayer(x, classical.directional), ((0.03, 0.01, 4), (0.05, 0.01, 4))),
         "missing": (missing, ((0.03, 0.01, 4), (0.1, 0.015, 8))),
         "half size": (lambda x: small(x, 2), ((0.3, 0.0375, 8), (0.1, 0.02, 4)))}


def report(net):
    names = [n.split(".")[0] for n in evaluate.WHOLE]
    lines = [f"{'PSNR':20s}{'sigma':>18s}" + "".join(f"{n:>11s}" for n in names)]
    pictures = [evaluate.planar(evaluate.picture(n)) for n in evaluate.WHOLE]
    pictures = [p[:, :, :p.shape[2] // 8 * 8, :p.shape[3] // 8 * 8] for p in pictures]
    for task, (degrade, schedules) in TASKS.items():
        cases = [degrade(x) for x in pictures]
        row = lambda label, results: lines.append(f"{task:20s}{label:>18s}" + "".join(
            f"{evaluate.psnr(r, x).item():11.3f}" for r, x in zip(results, pictures)))
        row("start", [start for start, _ in cases])
        for first, last, count in schedules:
            sigmas = np.geomspace(first, last, count)
            row(f"{first} to {last} in {count}", [run(net, start, project, sigmas) for start, project in cases])
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(2)
    for model in sys.argv[1:]:
        print(model, report(evaluate.load(model)), sep="\n", flush=True)
