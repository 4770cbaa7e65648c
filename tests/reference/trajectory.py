"""A draw of DDNM and one of DDNM+, step by step: the independent truth for
`src/sampler/tests/reference.rs`.

    pip install -r tests/reference/requirements.txt
    python tests/reference/trajectory.py

The prior is a Gaussian, N(0, C) with C_ij = 0.05 * 0.8^distance, so that its estimate of a scene is
a matrix; the operator, `gain:gain+sr:2`, is another. Everything is float64 and dense, in the basis
of the operator's singular vectors, after the formulas of the paper (Wang et al. 2023, sections 3.2
and 3.3) with their step of DDIM's kind, eta being the share of new noise. Random numbers are
Philox 4x32-10 and Box-Muller by address, as the program has them.

Writes into tests/reference/trajectory/: `gain.npy`; `values.bin`, float64: for each case the levels
alpha_bar, the measurement in [-1, 1], the first state and the state after each step.
"""
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent / "trajectory"
HEIGHT, WIDTH = 6, 8
START, END, STEPS = 0.5, 0.02, 6
ETA, SEED = 0.85, 77
# Standard deviations of the measurement's noise: DDNM, DDNM+, and DDNM+ so noisy that no step can
# take the measurement whole.
NOISES = (0.0, 0.03, 0.4)
WORD = 2 ** 32


def philox(counter, key):
    """Salmon et al. 2011: ten rounds, the key growing by Weyl constants between them."""
    c, k = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(c[0] * 0xD2511F53, WORD)
        high1, low1 = divmod(c[2] * 0xCD9E8D57, WORD)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) % WORD, (k[1] + 0xBB67AE85) % WORD]
    return c


def normal(draw, y, x):
    """The number at one pixel of the first channel of the first frame."""
    words = philox([x // 2, y, 0, draw << 16], [SEED % WORD, SEED // WORD])
    u = ((words[0] << 21 ^ words[1] >> 11) + 1) / 2 ** 53
    radius, angle = np.sqrt(-2 * np.log(u)), 2 * np.pi * words[2] / WORD
    return radius * (np.sin(angle) if x % 2 else np.cos(angle))


def field(draw):
    return np.array([normal(draw, y, x) for y in range(HEIGHT) for x in range(WIDTH)])


def operator(gain):
    """The mean of each 2 x 2 block of what comes through the gain."""
    a = np.zeros((HEIGHT // 2 * WIDTH // 2, HEIGHT * WIDTH))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            a[y // 2 * (WIDTH // 2) + x // 2, y * WIDTH + x] = gain[y, x] / 4
    return a


def denoiser(c, alpha_bar):
    """E[x | x_t] as a matrix."""
    n = len(c)
    return np.sqrt(alpha_bar) * c @ np.linalg.inv(alpha_bar * c + (1 - alpha_bar) * np.eye(n))


def step(x, z, y, a, c, now, after, sigma_y):
    """From one noise level to the next, both alpha_bar."""
    u, s, vt = np.linalg.svd(a)
    s = np.concatenate([s, np.zeros(a.shape[1] - len(s))])
    x0 = np.clip(denoiser(c, now) @ x, -1, 1)
    eps = (x - np.sqrt(now) * x0) / np.sqrt(1 - now)
    signal, total = np.sqrt(after), np.sqrt(1 - after)
    # One number per singular direction: share of the correction, new noise, old noise.
    share, fresh, old = (np.empty(len(s)) for _ in range(3))
    for i, value in enumerate(s):
        share[i], fresh[i], old[i] = 1, ETA * total, np.sqrt(1 - ETA ** 2) * total
        if value > 0 and sigma_y > 0:
            brought = signal * sigma_y / value
            old[i] = 0
            if total >= brought:
                fresh[i] = np.sqrt(total ** 2 - brought ** 2)
            else:
                share[i] = np.sqrt(1 - ETA ** 2) * total / brought
    correction = vt @ np.linalg.pinv(a) @ (y - a @ x0)
    projected = x0 + vt.T @ (share * correction)
    return signal * projected + vt.T @ (fresh * (vt @ z) + old * (vt @ eps))


def level(alpha_bars, sigma):
    sigmas = np.sqrt((1 - alpha_bars) / alpha_bars)
    assert sigmas[0] < sigma < sigmas[-1]
    return 1 / (1 + sigma ** 2)


def main():
    FOLDER.mkdir(exist_ok=True)
    random = np.random.default_rng(3)
    gain = 0.3 + 0.7 * random.random((HEIGHT, WIDTH))
    # The program holds gains as 16-bit shares of the largest.
    gain = np.round(gain / gain.max() * 65535) / 65535
    np.save(FOLDER / "gain.npy", gain[None])
    a = operator(gain)
    rows, columns = np.divmod(np.arange(HEIGHT * WIDTH), WIDTH)
    distance = np.hypot(rows[:, None] - rows, columns[:, None] - columns)
    c = 0.05 * 0.8 ** distance
    alpha_bars = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    levels = [level(alpha_bars, START * (END / START) ** (k / (STEPS - 1))) for k in range(STEPS)]
    scene = np.linalg.cholesky(c) @ random.standard_normal(len(c))
    values = []
    for sigma_y in NOISES:
        y = a @ scene + sigma_y * random.standard_normal(len(a))
        # The program holds measurements as float32.
        y = y.astype(np.float32).astype(float)
        x = np.sqrt(levels[0]) * np.linalg.pinv(a) @ y + np.sqrt(1 - levels[0]) * field(0)
        values += [levels, y, x]
        for k in range(STEPS):
            after = levels[k + 1] if k + 1 < STEPS else 1
            x = step(x, field(k + 1), y, a, c, levels[k], after, sigma_y)
            values.append(x)
        print(f"noise {sigma_y}: distance to the scene {np.linalg.norm(x - scene):.3f},",
              f"to the measurement {np.linalg.norm(a @ x - y):.2e}")
    np.concatenate(values).astype("<f8").tofile(FOLDER / "values.bin")


if __name__ == "__main__":
    main()
