"""The steps of `faithful` as something to train through: starts, projections, schedules.

A restoration is a start, a projection onto the measurement, noise levels and momentum, as
in `src/sampler/step.rs` and `src/sampler/defaults.rs`. The starts are those of `classical.py`,
which for mosaics and missing pixels are worse than the program's, unless `starts.py` has those
ready. All pictures are [n,3,h,w] in [-1,1].

    python unroll.py MODEL...      PSNR of each on the 24 crops that are never trained on
"""
import functools
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

import classical
import evaluate
from schedule import alpha_bar, timestep

KINDS = ("noise", "bayer", "missing", "half", "quarter", "cubic", "old", "blur", "compressed")
MOMENTUM = 0.9     # where the estimate's errors are not noise and there are 8 levels
SMALLEST = 1e-6    # squared error below which nothing more is to be gained: 63 dB


def levels(first, last, count):
    return np.geomspace(first, last, count)


class Restoration:
    """A start, `project(state, sigma)`, levels, the share of the way from the start that is gone, momentum."""

    def __init__(self, start, project, sigmas, share=1.0, momentum=0.0):
        self.start, self.project, self.sigmas, self.share, self.momentum = start, project, sigmas, share, momentum

    def run(self, net):
        """The result of the steps; gradients flow back through all of them."""
        state = self.start
        for k, sigma in enumerate(self.sigmas):
            ab = float(alpha_bar(sigma))
            x_t = (state * ab ** 0.5).contiguous(memory_format=torch.channels_last)
            v = net(x_t, torch.full((len(x_t),), float(timestep(sigma))))
            found = self.project((state * ab - v * (1 - ab) ** 0.5).clamp(-1, 1), float(sigma))
            momentum = self.momentum if k + 1 < len(self.sigmas) else 0
            state = found + momentum * (found - state)
        return self.start + self.share * (state - self.start)


def levels_of_noise(start, fall):
    """From `start` down by steps of about 0.55."""
    last = min(max(start / fall, 0.01), start)
    return levels(start, last, 1 + round(math.log(last / start) / math.log(0.55)))


def noise(rng, x):
    """Gaussian noise of 10 to 60 code values, weighed by sigma^2 / (sigma^2 + sigma_y^2)."""
    sigma_y = float(np.exp(rng.uniform(np.log(10), np.log(60)))) / 127.5
    y = x + sigma_y * torch.from_numpy(rng.standard_normal(tuple(x.shape), np.float32))

    def project(s, sigma):
        return s + sigma ** 2 / (sigma ** 2 + sigma_y ** 2) * (y - s)
    return Restoration(y, project, levels_of_noise(sigma_y, 6.5))


def masked(x, m, start):
    return Restoration(start, lambda s, _: torch.where(m > 0, x, s), levels(0.03, 0.01, 4), 0.6)


def bayer(rng, x):
    m = classical.bayer_mask(*x.shape[2:], *rng.integers(2, size=2).tolist()).expand_as(x)
    return masked(x, m, classical.directional(x, m))


def missing(rng, x):
    seen = rng.random((len(x), 1, *x.shape[2:])) < 0.5
    m = torch.from_numpy(seen).float()
    return masked(x, m, classical.local_mean(x, m, 4))


def smaller(x, factor):
    measured = F.avg_pool2d(x, factor)

    def project(s, _):
        return s + F.interpolate(measured - F.avg_pool2d(s, factor), scale_factor=factor, mode="nearest")
    return Restoration(classical.enlarged(x, factor), project, levels(0.3, 0.0375, 8), momentum=MOMENTUM)


def cubic_matrix(side):
    """Half as many pixels by cubic interpolation against aliasing, [side / 2, side]."""
    rows = torch.eye(side)[None, None]
    return F.interpolate(rows, size=(side // 2, side), mode="bicubic", antialias=True)[0, 0]


def cubic(_, x):
    """Half size as most programs make it."""
    down, across = (cubic_matrix(side) for side in x.shape[2:])
    back, sideways = torch.linalg.pinv(down), torch.linalg.pinv(across)
    measured = down @ x @ across.T

    def project(s, _):
        return s + back @ (measured - down @ s @ across.T) @ sideways.T
    enlarged = F.interpolate(measured, size=x.shape[2:], mode="bicubic", antialias=True)
    return Restoration(project(enlarged, 0), project, levels(0.3, 0.0375, 8), momentum=MOMENTUM)


def walsh(v):
    """The orthonormal Walsh-Hadamard transform along the last axis: of the largest power of two of
    its values, then of the largest in the rest, and so on. Its own inverse."""
    if not v.shape[-1]:
        return v
    power = v.shape[-1].bit_length() - 1
    here, rest = v[..., :1 << power], v[..., 1 << power:]
    # Half of the levels along the rows, the other half along the columns of a matrix.
    square = here.unflatten(-1, (1 << power // 2, -1))
    turned = hadamard(power // 2) @ square @ hadamard(power - power // 2)
    return torch.cat([turned.flatten(-2), walsh(rest)], -1)


@functools.cache
def hadamard(power):
    matrix = torch.ones(1, 1)
    for _ in range(power):
        matrix = torch.kron(torch.tensor([[1.0, 1], [1, -1]]), matrix) / 2 ** 0.5
    return matrix


def compressed(rng, x):
    """A quarter of the coefficients of a scrambled transform, others in each channel."""
    count = x.shape[2] * x.shape[3]
    order = torch.from_numpy(rng.permutation(count))
    inverse = order.argsort()
    seen = torch.from_numpy(rng.random((1, 3, count)) < 0.25)
    seen[:, :, 0] = True   # the mean
    measured = walsh(x.flatten(2)[:, :, order]) * seen

    def back(coefficients):
        return walsh(coefficients)[:, :, inverse].view(x.shape)

    def project(s, _):
        return s + back(measured - walsh(s.flatten(2)[:, :, order]) * seen)
    return Restoration(back(measured), project, levels(0.4, 0.01, 16), momentum=MOMENTUM)


def old(rng, x):
    """`gray+mask:half+sr:2`: of 2x2 gray pixels the sum of those that are there."""
    m = torch.from_numpy(rng.random((len(x), 1, *x.shape[2:])) < 0.5).float()
    count = 4 * F.avg_pool2d(m, 2)

    def seen(s):
        """Mean of the gray pixels of a block that are there; 0 where none is."""
        return 4 * F.avg_pool2d(s.mean(1, keepdim=True) * m, 2) / count.clamp(min=1)

    def project(s, _):
        return s + F.interpolate(seen(x) - seen(s), scale_factor=2, mode="nearest") * m
    blocks = classical.local_mean(seen(x), (count > 0).float())
    gray = F.interpolate(blocks, scale_factor=2, mode="bicubic", antialias=True).expand_as(x)
    return Restoration(project(gray, 0), project, levels(0.1, 0.0125, 8), momentum=MOMENTUM)


def filtered(x, gain):
    """`x` by a gain per frequency, borders mirrored."""
    across = torch.cat([x, x.flip(3)], 3)
    whole = torch.cat([across, across.flip(2)], 2)
    return torch.fft.irfft2(torch.fft.rfft2(whole) * gain, s=whole.shape[2:])[:, :, :x.shape[2], :x.shape[3]]


def blur(rng, x):
    """A Gaussian blur of 0.8 to 2.5 pixels with noise of 0.3 to 8 code values."""
    width = float(rng.uniform(0.8, 2.5))
    sigma_y = float(np.exp(rng.uniform(np.log(0.3), np.log(8)))) / 127.5
    axes = torch.fft.fftfreq(2 * x.shape[2])[:, None], torch.fft.rfftfreq(2 * x.shape[3])[None]
    gain = (-2 * (math.pi * width) ** 2 * (axes[0] ** 2 + axes[1] ** 2)).exp()
    y = filtered(x, gain) + sigma_y * torch.from_numpy(rng.standard_normal(tuple(x.shape), np.float32))
    eta = (sigma_y / 0.5) ** 2
    share = (1 + eta) * (gain ** 2 / (gain ** 2 + eta)).mean().item()
    relaxation = min(share ** -0.5, 5)

    def project(s, sigma):
        strength = relaxation * sigma ** 2
        return s + filtered(y - filtered(s, gain), strength * gain / (strength * gain ** 2 + sigma_y ** 2))
    start = y + filtered(y - filtered(y, gain), gain / (gain ** 2 + (sigma_y / 0.1) ** 2))
    return Restoration(start, project, levels_of_noise(0.4, 12))


def restoration(rng, kind, x):
    if isinstance(x, tuple):
        return masked(*x)
    if kind in ("half", "quarter"):
        return smaller(x, 2 if kind == "half" else 4)
    kinds = {"noise": noise, "bayer": bayer, "missing": missing, "cubic": cubic, "old": old, "blur": blur,
             "compressed": compressed}
    return kinds[kind](rng, x)


def loss(net, kind, rng, x):
    """Mean over the pictures of log(squared error): every picture and task counts by its PSNR.

    `x` is what `Starts.batch` gives where the program's own starts are used.
    """
    scene = x[0] if isinstance(x, tuple) else x
    error = (restoration(rng, kind, x).run(net) - scene).square().flatten(1).mean(1)
    return (error + SMALLEST).log().mean()


def report(net):
    """PSNR of the starts and of the restorations, mean over the crops."""
    x = evaluate.crops()
    lines = ["", ""]
    for kind in KINDS:
        case = restoration(np.random.default_rng(5), kind, x)
        with torch.no_grad():
            for i, picture in enumerate((case.start, case.run(net))):
                lines[i] += f"{kind:>9s} {evaluate.psnr(picture, x).mean().item():7.3f}"
    return "start   " + lines[0] + "\nrestored" + lines[1]


if __name__ == "__main__":
    torch.set_num_threads(2)
    for model in sys.argv[1:]:
        print(model, report(evaluate.load(model)), sep="\n", flush=True)
