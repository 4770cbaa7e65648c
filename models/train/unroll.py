"""The steps of `faithful` as something to train through: starts, projections, schedules.

A restoration is a start, a projection onto the measurement and noise levels, as
in `src/sampler/step.rs` and `src/sampler/defaults.rs`; the starts are those of
`classical.py`, which for mosaics and missing pixels are worse than the program's.
All pictures are [n,3,h,w] in [-1,1].

    python unroll.py MODEL...      PSNR of each on the 24 crops that are never trained on
"""
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

import classical
import evaluate
from schedule import alpha_bar, timestep

KINDS = ("noise", "bayer", "missing", "half", "quarter")
SMALLEST = 1e-6    # squared error below which nothing more is to be gained: 63 dB


def levels(first, last, count):
    return np.geomspace(first, last, count)


def noise(rng, x):
    """Gaussian noise of 10 to 60 code values, weighed by sigma^2 / (sigma^2 + sigma_y^2)."""
    sigma_y = float(np.exp(rng.uniform(np.log(10), np.log(60)))) / 127.5
    y = x + sigma_y * torch.from_numpy(rng.standard_normal(tuple(x.shape), np.float32))
    last = min(max(sigma_y / 6.5, 0.02), sigma_y)
    count = 1 + round(math.log(last / sigma_y) / math.log(0.55))

    def project(s, sigma):
        return s + sigma ** 2 / (sigma ** 2 + sigma_y ** 2) * (y - s)
    return y, project, levels(sigma_y, last, count), 1.0


def bayer(rng, x):
    m = classical.bayer_mask(*x.shape[2:], *rng.integers(2, size=2).tolist()).expand_as(x)
    return classical.directional(x, m), lambda s, _: torch.where(m > 0, x, s), levels(0.03, 0.01, 4), 0.6


def missing(rng, x):
    seen = rng.random((len(x), 1, *x.shape[2:])) < 0.5
    m = torch.from_numpy(seen).float()
    return classical.local_mean(x, m, 4), lambda s, _: torch.where(m > 0, x, s), levels(0.03, 0.01, 4), 0.6


def smaller(x, factor):
    measured = F.avg_pool2d(x, factor)

    def project(s, _):
        return s + F.interpolate(measured - F.avg_pool2d(s, factor), scale_factor=factor, mode="nearest")
    return classical.enlarged(x, factor), project, levels(0.3, 0.0375, 8), 1.0


def restoration(rng, kind, x):
    """(start, project(state, sigma), levels, share of the way from the start that is gone)."""
    if kind in ("half", "quarter"):
        return smaller(x, 2 if kind == "half" else 4)
    return {"noise": noise, "bayer": bayer, "missing": missing}[kind](rng, x)


def restored(net, start, project, sigmas, share):
    """The result of the steps; gradients flow back through all of them."""
    state = start
    for sigma in sigmas:
        ab = float(alpha_bar(sigma))
        x_t = (state * ab ** 0.5).contiguous(memory_format=torch.channels_last)
        v = net(x_t, torch.full((len(x_t),), float(timestep(sigma)))).float()
        state = project((state * ab - v * (1 - ab) ** 0.5).clamp(-1, 1), float(sigma))
    return start + share * (state - start)


def loss(net, kind, rng, x):
    """Mean over the pictures of log(squared error): every picture and task counts by its PSNR."""
    result = restored(net, *restoration(rng, kind, x))
    error = (result - x).square().flatten(1).mean(1)
    return (error + SMALLEST).log().mean()


def report(net):
    """PSNR of the starts and of the restorations, mean over the crops."""
    x = evaluate.crops()
    lines = ["", ""]
    for kind in KINDS:
        case = restoration(np.random.default_rng(5), kind, x)
        with torch.no_grad():
            for i, picture in enumerate((case[0], restored(net, *case))):
                lines[i] += f"{kind:>9s} {evaluate.psnr(picture, x).mean().item():7.3f}"
    return "start   " + lines[0] + "\nrestored" + lines[1]


if __name__ == "__main__":
    torch.set_num_threads(2)
    for model in sys.argv[1:]:
        print(model, report(evaluate.load(model)), sep="\n", flush=True)
