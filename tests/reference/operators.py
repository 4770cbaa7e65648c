"""Every degradation as a dense matrix: the independent truth for `tests/operators.rs`.

    pip install -r tests/reference/requirements.txt
    python tests/reference/operators.py

Writes into tests/reference/operators/: `psf.npy`, `mask.npy`, `half.npy`, `gain.npy`, `defects.npy`
and `seen.npy`, the files that specs name; `cases.toml`, one entry per case; `values.bin`, float32, for each case in
turn `A x`, `A+ y` and `A+ W y`. `x` and `y` are sines of their index, `W` is `s^2 / (s^2 + 0.04)`.
All pseudo-inverses are from float64 singular value decompositions.
"""
from pathlib import Path

import numpy as np
from scipy.linalg import hadamard
from scipy.ndimage import gaussian_filter, uniform_filter
from scipy.signal import convolve2d

FOLDER = Path(__file__).resolve().parent / "operators"
HEIGHT, WIDTH = 7, 9
ETA = 0.04
# What `src/degrade` leaves to the prior: singular values of blurs below this, and those of chains
# without a closed form below this part of the product of their links' largest.
BLUR, CHAIN = 0.02, 0.03


def matrix(shape, f):
    """The matrix of a linear function of pictures [c,h,w]."""
    units = np.eye(np.prod(shape)).reshape(-1, *shape)
    return np.stack([f(u).ravel() for u in units], 1)


def composed(shape, steps):
    """The matrix of several functions in a row."""
    def run(x):
        for step in steps:
            x = step(x)
        return x
    return matrix(shape, run)


def per_channel(f):
    return lambda x: np.stack([f(plane) for plane in x])


def pool(n):
    def plane(x):
        h, w = (-(-side // n) for side in x.shape)
        blocks = [[x[i * n:(i + 1) * n, j * n:(j + 1) * n].mean() for j in range(w)] for i in range(h)]
        return np.array(blocks)
    return per_channel(plane)


def cubic_axis(size, n):
    """Rows of weights, as MATLAB's imresize computes them (1-based coordinates, a = -1/2)."""
    def kernel(x):
        x = abs(x)
        inner = 1.5 * x ** 3 - 2.5 * x ** 2 + 1
        outer = -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2
        return inner * (x <= 1) + outer * ((x > 1) & (x <= 2))
    scale, out = 1 / n, -(-size // n)
    centres = np.arange(1, out + 1) / scale + 0.5 * (1 - 1 / scale)
    width = 4 / scale
    left = np.floor(centres - width / 2)
    indices = left[:, None] + np.arange(int(np.ceil(width)) + 2)
    weights = scale * kernel(scale * (centres[:, None] - indices))
    weights /= weights.sum(1, keepdims=True)
    mirror = np.r_[np.arange(size), np.arange(size)[::-1]]
    rows = np.zeros((out, size))
    for i in range(out):
        np.add.at(rows[i], mirror[(indices[i].astype(int) - 1) % (2 * size)], weights[i])
    return rows


def cubic(n):
    return per_channel(lambda x: cubic_axis(x.shape[0], n) @ x @ cubic_axis(x.shape[1], n).T)


def philox(counter, key):
    """Philox 4x32-10 (Salmon et al. 2011)."""
    mask = 2 ** 32 - 1
    for round in range(10):
        if round:
            key = [(key[0] + 0x9E3779B9) & mask, (key[1] + 0xBB67AE85) & mask]
        a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [b >> 32 ^ counter[1] ^ key[0], b & mask, a >> 32 ^ counter[3] ^ key[1], a & mask]
    return counter


def walsh(shape, ratio, seed, block):
    """Rows of scrambled Walsh-Hadamard transforms, as src/degrade/walsh.rs draws them."""
    drawn = 0

    def shuffle(items):
        nonlocal drawn
        for i in range(len(items) - 1, 0, -1):
            words = philox([drawn, 0, 0, 0xC5], [seed, 0])
            drawn += 1
            j = ((words[0] << 32 | words[1]) * (i + 1)) >> 64
            items[i], items[j] = items[j], items[i]

    channels, height, width = shape
    pixels = np.arange(height * width).reshape(height, width)
    order, lengths = [], []
    for top in range(0, height, block or height):
        for left in range(0, width, block or width):
            part = list(pixels[top:top + (block or height), left:left + (block or width)].ravel())
            shuffle(part)
            order += part
            lengths += [1 << b for b in range(63, -1, -1) if len(part) >> b & 1]
    full, start = np.zeros((len(order), len(order))), 0
    for n in lengths:
        full[start:start + n, start:start + n] = hadamard(n) / np.sqrt(n)
        start += n
    scrambled = full @ np.eye(len(order))[order]
    parts = []
    for _ in range(channels):
        rows, start = [], 0
        for n in lengths:
            rest = [start + i for i in range(1, n)]
            shuffle(rest)
            count = min(max(int(n * ratio + 0.5), 1), n)
            rows += sorted([start] + rest[:count - 1])
            start += n
        parts.append(scrambled[rows])
    out = np.zeros((sum(map(len, parts)), channels * len(order)))
    row = 0
    for c, part in enumerate(parts):
        out[row:row + len(part), c * len(order):(c + 1) * len(order)] = part
        row += len(part)
    return out


def bayer(pattern):
    def pick(x):
        out = np.empty(x.shape[1:])
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                out[i, j] = x["rgb".index(pattern[i % 2 * 2 + j % 2]), i, j]
        return out[None]
    return pick


def main():
    FOLDER.mkdir(exist_ok=True)
    random = np.random.default_rng(7)
    codes = lambda values, peak=1.0: np.round(values / peak * 65535) / 65535 * peak
    files = {
        "psf": random.random((2, 3)),
        "mask": codes(np.choose(random.integers(0, 4, (HEIGHT, WIDTH)), [0, 0, 0.4, 1])),
        "half": codes(random.integers(0, 2, (-(-HEIGHT // 2), -(-WIDTH // 2))).astype(float)),
        "gain": codes(np.linspace(0.4, 1.6, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH), 1.6),
        "defects": (random.random((HEIGHT, WIDTH)) > 0.15).astype(float),
        # What a kernel leaves of the scene, with holes.
        "seen": (random.random((HEIGHT - 1, WIDTH - 2)) > 0.3).astype(float),
    }
    for name, values in files.items():
        np.save(FOLDER / f"{name}.npy", values[None])
    times = lambda name: lambda x: x * files[name]
    gray = lambda *w: lambda x: np.tensordot(w, x, 1)[None]
    gauss = lambda x, y: per_channel(lambda p: gaussian_filter(p, (y, x), mode="reflect"))
    box = lambda n: per_channel(lambda p: uniform_filter(p, n, mode="reflect"))
    kernel = files["psf"] / files["psf"].sum()
    psf = per_channel(lambda p: convolve2d(p, kernel, mode="valid"))
    # A kernel whose spectrum is nowhere small is undone to the end; its grid is of fast sizes.
    least_psf = 0 if abs(np.fft.fft2(kernel, (8, 9))).min() >= 0.05 else BLUR
    norm = lambda shape, *steps: np.linalg.norm(composed(shape, steps), 2)
    one, small = (1, HEIGHT, WIDTH), (1, *files["half"].shape)
    # Spec, channels, steps, the least singular value that is kept, whether the cut is smooth.
    cases = [
        ("sr:2", 1, [pool(2)], 0, False),
        ("sr:4", 1, [pool(4)], 0, False),
        ("sr:2:bicubic", 1, [cubic(2)], 0, False),
        ("sr:3:bicubic", 1, [cubic(3)], 0, False),
        ("mask:mask", 1, [times("mask")], 0, False),
        ("gain:gain", 1, [times("gain")], 0, False),
        ("gray", 3, [gray(1 / 3, 1 / 3, 1 / 3)], 0, False),
        ("gray:601", 3, [gray(0.299, 0.587, 0.114)], 0, False),
        ("gray:709", 3, [gray(0.2126, 0.7152, 0.0722)], 0, False),
        ("bayer:grbg", 3, [bayer("grbg")], 0, False),
        ("bayer:rggb", 3, [bayer("rggb")], 0, False),
        ("bayer:bggr", 3, [bayer("bggr")], 0, False),
        ("bayer:gbrg", 3, [bayer("gbrg")], 0, False),
        ("sr:2+bayer:rggb", 3, [pool(2), bayer("rggb")], 0, False),
        ("bayer:gbrg+mask:defects", 3, [bayer("gbrg"), times("defects")], 0, False),
        ("gray:601+mask:mask+sr:2", 3, [gray(0.299, 0.587, 0.114), times("mask"), pool(2)], 0, False),
        ("sr:2+mask:half", 1, [pool(2), times("half")], 0, False),
        ("blur:gauss:1.6", 1, [gauss(1.6, 1.6)], BLUR, False),
        ("blur:gauss:0.6,1.2", 1, [gauss(0.6, 1.2)], BLUR, False),
        ("blur:box:3", 1, [box(3)], BLUR, False),
        ("blur:psf", 1, [psf], least_psf, True),
        ("hadamard:0.25:3", 3, None, 0, False),
        ("blocks:0.5:0", 1, None, 0, False),
        ("sr:2:bicubic+mask:half", 1, [cubic(2), times("half")],
         CHAIN * norm(one, cubic(2)) * norm(small, times("half")), True),
        ("blur:gauss:0.6,1.2+mask:mask+sr:2", 1, [gauss(0.6, 1.2), times("mask"), pool(2)],
         CHAIN * norm(one, gauss(0.6, 1.2)) * norm(one, times("mask"), pool(2)), True),
        # Of a kernel with a sum of 1 that is the bound.
        ("blur:psf+mask:seen+sr:2", 1, [psf, times("seen"), pool(2)],
         CHAIN * norm((1, *files["seen"].shape), times("seen"), pool(2)), True),
        ("blur:psf+bayer:rggb", 3, [psf, bayer("rggb")], CHAIN, True),
    ]
    values, entries = [], []
    for spec, channels, steps, least, smooth in cases:
        shape = (channels, HEIGHT, WIDTH)
        if steps:
            a = composed(shape, steps)
        else:
            name, ratio, seed = spec.split(":")
            a = walsh(shape, float(ratio), int(seed), 32 if name == "blocks" else None)
        u, s, vt = np.linalg.svd(a, full_matrices=False)
        x, y = np.sin(0.7 * np.arange(a.shape[1])), np.sin(1.3 * np.arange(a.shape[0]) + 0.2)
        # What is not measured is 0 in a measurement.
        y *= (a ** 2).sum(1) > 0
        if smooth:
            inverse = lambda eta: s / (s ** 2 + max(eta, least ** 2))
        else:
            inverse = lambda eta: np.where(s > max(least, 1e-9), s / np.maximum(s ** 2 + eta, 1e-30), 0)
        values += [a @ x, vt.T @ (inverse(0) * (u.T @ y)), vt.T @ (inverse(ETA) * (u.T @ y))]
        kept = s[s > max(least, 1e-9)]
        entries.append(f'[[case]]\nspec = "{spec}"\nchannels = {channels}\nmeasured = {a.shape[0]}\n'
                       f'smooth = {str(smooth).lower()}\nrank = {len(kept)}\n'
                       f'smallest = {kept.min():.9g}\nlargest = {kept.max():.9g}\n')
    (FOLDER / "cases.toml").write_text("\n".join(entries))
    np.concatenate(values).astype("<f4").tofile(FOLDER / "values.bin")


if __name__ == "__main__":
    main()
