"""Short runs of equal processor time that differ in one thing each, as a table.

    python variants.py CORPUS [--seconds 75] [--only NAME]...

Every run starts from nothing and has one thread; its rate falls to nothing over
the last 70 % of its time. The networks have at most the arithmetic of the first.
A row is printed when its run is done: PSNR of the averaged weights, as in `evaluate.py`.
"""
import argparse
import copy
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

import evaluate
import train
from data import Corpus
from net import Block, UNet, macs_per_pixel, per_noise
from optimizer import Muon


def separable(channels, outputs):
    """A 3x3 convolution of each channel alone, then a 1x1 one of all."""
    return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, groups=channels), nn.Conv2d(channels, outputs, 1))


class Smooth(Block):
    """SiLU in place of ReLU."""

    def forward(self, x, t):
        return x + self.c2(F.silu(self.c1(x) + self.e(t)[:, :, None, None]))


class Separable(Block):
    """Depthwise-separable convolutions in place of full ones."""

    def __init__(self, channels, embedding):
        super().__init__(channels, embedding)
        self.c1, self.c2 = separable(channels, channels), separable(channels, channels)
        self.c2[1].weight.data.mul_(0.1)


class Gate(Block):
    """One half of the channels times the other in place of ReLU."""

    def __init__(self, channels, embedding):
        super().__init__(channels, embedding)
        self.c2 = nn.Conv2d(channels // 2, channels, 3, padding=1)
        self.c2.weight.data.mul_(0.1)

    def forward(self, x, t):
        a, b = (self.c1(x) + self.e(t)[:, :, None, None]).chunk(2, 1)
        return x + self.c2(a * b)


class Blind(Block):
    """Not told the noise level: the input's scale has to do."""

    def forward(self, x, t):
        # What has no part in the answer would have no gradient.
        return x + self.c2(F.relu(self.c1(x) + 0 * self.e(t)[:, :, None, None]))


class NoiseMap(UNet):
    """Told the noise level by a further channel of the input, not by biases."""

    def __init__(self, channels, blocks):
        super().__init__(channels, blocks, block=Blind)
        inner = self.inp
        self.inp = nn.Conv2d(13, channels[0], 3, padding=1)
        self.inp.weight.data[:, :12] = inner.weight.data

    def entrance(self, x, t):
        seen = super().entrance(x, t)
        # The logarithm of the noise's share, log(1 - alpha_bar) / 2.
        level = -per_noise(t).log()[:, None, None, None]
        return torch.cat([seen, level.to(seen.dtype).expand(-1, 1, *seen.shape[2:])], 1)


class Anywhere(Corpus):
    """Every place of every picture alike, textured or not."""

    places = 1

    def __init__(self, folder):
        super().__init__(folder)
        area = torch.tensor([float(p.shape[0] * p.shape[1]) for p in self.pictures])
        self.cumulative = (area.cumsum(0) / area.sum()).numpy()


def unet(channels, blocks, block=Block):
    return lambda: UNet(channels, blocks, block=block)


SMALL = unet((32, 32, 48), (1, 1, 1))
STAGE = {"batch": 16, "patch": 64, "lr": 2e-3, "decay": 0.7, "ema": 0.99, "bfloat16": True}
# name: network, what else of the stage differs, corpus
VARIANTS = {
    "as `patch-xs`": (SMALL, {}, Corpus),
    "the same, other weights at first": (SMALL, {"start": 1}, Corpus),
    "SiLU": (unet((32, 32, 48), (1, 1, 1), Smooth), {}, Corpus),
    "gates": (unet((32, 48, 64), (1, 1, 1), Gate), {}, Corpus),
    "depthwise-separable, wide": (unet((64, 64, 96), (1, 1, 1), Separable), {}, Corpus),
    "depthwise-separable, deep": (unet((48, 48, 64), (2, 2, 2), Separable), {}, Corpus),
    "noise map": (lambda: NoiseMap((32, 32, 48), (1, 1, 1)), {}, Corpus),
    "average over 10 steps": (SMALL, {"ema": 0.9}, Corpus),
    "average over 1,000 steps": (SMALL, {"ema": 0.999}, Corpus),
    "28 patches of 48": (SMALL, {"batch": 28, "patch": 48}, Corpus),
    "8 patches of 96": (SMALL, {"batch": 8, "patch": 96}, Corpus),
    "4 patches of 128": (SMALL, {"batch": 4, "patch": 128}, Corpus),
    "8 patches of 64": (SMALL, {"batch": 8}, Corpus),
    "patches from anywhere": (SMALL, {}, Anywhere),
    "loss not weighted": (SMALL, {"power": 0}, Corpus),
    "loss weighted by 1 - alpha_bar": (SMALL, {"power": 1}, Corpus),
    "relative loss": (SMALL, {"relative": True}, Corpus),
    "all noise scales alike": (SMALL, {"focus": 0}, Corpus),
    "Adam": (SMALL, {"muon": False}, Corpus),
}


def run(make, stage, corpus, seconds):
    """Trains one network; returns it, averaged, and the number of steps."""
    torch.manual_seed(stage.get("start", 0))
    net = make().to(memory_format=torch.channels_last)
    average = copy.deepcopy(net)
    optimizer = Muon(net, stage["lr"], stage["muon"])
    pool = ThreadPoolExecutor(1)
    step, began = 0, time.process_time()
    while (spent := (time.process_time() - began) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = stage["lr"] * min(1, (step + 1) / 50, (1 - spent) / stage["decay"])
        train.set_gradients(net, pool, train.examples(corpus, stage, step, 0), stage)
        torch.nn.utils.clip_grad_norm_(net.parameters(), stage["clip"])
        optimizer.step()
        keep = min(stage["ema"], (step + 1) / (step + 10))
        with torch.no_grad():
            for mean, raw in zip(average.parameters(), net.parameters()):
                mean.lerp_(raw, 1 - keep)
        step += 1
    return average, step


def main(args):
    recipe = tomllib.loads((Path(__file__).parent / "recipe.toml").read_text())
    crops, corpora = evaluate.crops(), {}
    print("| variant | kMAC | steps | 5 | 15 | 25 | 50 |\n|---|---|---|---|---|---|---|", flush=True)
    for name, (make, differs, corpus) in VARIANTS.items():
        if args.only and name not in args.only:
            continue
        if corpus not in corpora:
            corpora[corpus] = corpus(args.corpus)
        net, steps = run(make, recipe["defaults"] | STAGE | differs, corpora[corpus], args.seconds)
        psnr = " | ".join(f"{p:.2f}" for p in evaluate.denoising(net, crops))
        print(f"| {name} | {macs_per_pixel(net) / 1e3:.1f} | {steps} | {psnr} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--seconds", type=float, default=75, help="of processor time per run")
    parser.add_argument("--only", action="append", help="of the variants")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    main(arguments)
