"""Classical starts of a restoration, and how far they are from the scene.

`faithful` gives the network no Gaussian noise, but a scene plus the errors of
such a start. All functions take and return [n,3,h,w]; measured values stay.
"""
import torch
import torch.nn.functional as F

# Malvar, He and Cutler's 5x5 kernels, times 16.
GREEN = [[0, 0, -2, 0, 0], [0, 0, 4, 0, 0], [-2, 4, 8, 4, -2], [0, 0, 4, 0, 0], [0, 0, -2, 0, 0]]
ROW = [[0, 0, 1, 0, 0], [0, -2, 0, -2, 0], [-2, 8, 10, 8, -2], [0, -2, 0, -2, 0], [0, 0, 1, 0, 0]]
CROSS = [[0, 0, -3, 0, 0], [0, 4, 0, 4, 0], [-3, 0, 12, 0, -3], [0, 4, 0, 4, 0], [0, 0, -3, 0, 0]]
COLUMN = [list(column) for column in zip(*ROW)]
TENT = [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
SPLINE = [[a * b for a in (1, 6, 15, 20, 15, 6, 1)] for b in (1, 6, 15, 20, 15, 6, 1)]


def filtered(x, kernel):
    """Every channel of x with one kernel, borders mirrored."""
    weight = torch.tensor(kernel, dtype=x.dtype)[None, None]
    pad = (weight.shape[3] // 2,) * 2 + (weight.shape[2] // 2,) * 2
    planes = F.pad(x, pad, mode="reflect").flatten(0, 1)[:, None]
    return F.conv2d(planes, weight).view(x.shape)


def bayer_mask(height, width, y=0, x=0):
    """RGGB, moved by (y, x): which channel each pixel measures, [1,3,h,w] of 0 and 1."""
    m = torch.zeros(1, 3, 2, 2)
    m[0, 0, 0, 0] = m[0, 1, 0, 1] = m[0, 1, 1, 0] = m[0, 2, 1, 1] = 1
    return m.roll((y, x), (2, 3)).tile(height // 2 + 1, width // 2 + 1)[:, :, :height, :width]


def fill(x, m, kernel):
    """What is missing (m = 0) becomes the weighted mean of what is measured around it."""
    mean = filtered(x * m, kernel) / filtered(m, kernel).clamp(min=1e-6)
    return torch.where(m > 0, x, mean)


def bilinear(x, m):
    return fill(x, m, TENT)


def malvar(x, m):
    mosaic = (x * m).sum(1, keepdim=True)
    green, row, column, cross = (filtered(mosaic, k) / 16 for k in (GREEN, ROW, COLUMN, CROSS))
    at_red, at_green, at_blue = (m[:, c:c + 1] > 0 for c in range(3))
    red_rows = at_red.any(3, keepdim=True)
    between = lambda own, other, rows: torch.where(
        own, mosaic, torch.where(other, cross, torch.where(rows, row, column)))
    return torch.cat([between(at_red, at_blue, red_rows), torch.where(at_green, mosaic, green),
                      between(at_blue, at_red, ~red_rows)], 1)


def directional(x, m):
    """Green along the direction in which the mosaic changes less (Hamilton and Adams), then
    red and blue by their differences to green."""
    mosaic, at_green = (x * m).sum(1, keepdim=True), m[:, 1:2] > 0
    greens, changes = [], []
    for turn in (lambda k: [k], lambda k: [[v] for v in k]):
        greens.append(filtered(mosaic, turn([-0.25, 0.5, 0.5, 0.5, -0.25])))
        change = filtered(mosaic, turn([0, -1, 0, 1, 0])).abs() + filtered(mosaic, turn([-1, 0, 2, 0, -1])).abs()
        changes.append(filtered(change, [[1] * 5] * 5))
    green = torch.where(at_green, mosaic, torch.where(changes[0] < changes[1], *greens))
    return green + bilinear(x - green, m) * torch.tensor([1.0, 0, 1]).view(1, 3, 1, 1)


def local_mean(x, m, rounds=0):
    """m [n,1,h,w] or [n,3,h,w]: 1 where a pixel was measured. Each round replaces what is
    missing by the mean of its four neighbours, which makes edges smoother."""
    out = fill(x, m.expand_as(x), SPLINE)
    for _ in range(rounds):
        out = torch.where(m > 0, x, filtered(out, [[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]]))
    return out


def enlarged(x, factor):
    """Means of factor x factor pixels, enlarged again, each mean put right afterwards."""
    small = F.avg_pool2d(x, factor)
    large = F.interpolate(small, scale_factor=factor, mode="bicubic", antialias=True)
    return large + F.interpolate(small - F.avg_pool2d(large, factor), scale_factor=factor, mode="nearest")


def error(rng, x):
    """A random start's difference to the scene x [n,3,h,w]; half are demosaicked."""
    kind = rng.choice(["bilinear", "malvar", "directional", "missing", "enlarged"], p=[0.1, 0.15, 0.25, 0.25, 0.25])
    if kind == "missing":
        seen = rng.random((len(x), 1, *x.shape[2:])) < rng.uniform(0.3, 0.8)
        return local_mean(x, torch.from_numpy(seen).float(), int(rng.integers(5))) - x
    if kind == "enlarged":
        return enlarged(x, int(rng.choice([2, 4], p=[0.8, 0.2]))) - x
    m = bayer_mask(*x.shape[2:], *rng.integers(2, size=2).tolist()).expand_as(x)
    return {"bilinear": bilinear, "malvar": malvar, "directional": directional}[kind](x, m) - x
