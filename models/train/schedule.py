"""The linear-beta schedule (T = 1000) and the noise scale used everywhere here.

x_t = sqrt(ab) x + sqrt(1 - ab) n. Divided by sqrt(ab) this is x + sigma n with
sigma = sqrt((1 - ab) / ab), in units of the picture range [-1, 1]: noise of s
code values (0..255) is sigma = s / 127.5.
"""
import numpy as np

STEPS, BETA_START, BETA_END = 1000, 1e-4, 0.02
ALPHA_BAR = np.cumprod(1 - np.linspace(BETA_START, BETA_END, STEPS))
LOG_SIGMA = 0.5 * np.log((1 - ALPHA_BAR) / ALPHA_BAR)
SIGMA_MIN, SIGMA_MAX = float(np.exp(LOG_SIGMA[0])), float(np.exp(LOG_SIGMA[-1]))


def timestep(sigma):
    """The (fractional) timestep whose noise scale is sigma."""
    return np.interp(np.log(sigma), LOG_SIGMA, np.arange(STEPS))


def alpha_bar(sigma):
    """Signal power left at noise scale sigma."""
    return 1 / (1 + np.square(sigma))


def draw_sigmas(rng, count, focus):
    """Noise scales for a batch.

    `focus` is the share drawn log-uniformly from 0.008..0.6, where restoration
    works; the rest is log-normal around 0.33 and wide enough to reach pure noise.
    """
    narrow = rng.uniform(np.log(0.008), np.log(0.6), count)
    wide = rng.normal(-1.1, 1.5, count)
    log_sigma = np.where(rng.random(count) < focus, narrow, wide)
    return np.exp(np.clip(log_sigma, LOG_SIGMA[0], LOG_SIGMA[-1]))
