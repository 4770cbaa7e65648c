"""Trains one stage: a number of steps with one patch size and one learning-rate curve.

    python train.py CORPUS RUN.ckpt --model NAME --stage NAME [--init OTHER.ckpt] [--teacher LARGER.ckpt]

Goes on from RUN.ckpt where that exists; otherwise from the averaged weights of
OTHER.ckpt, or from nothing. RUN.ckpt holds everything: averaged and raw
weights, optimizer, step. Batches depend on (seed, step) alone.
"""
import argparse
import copy
import csv
import math
import os
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch

import classical
import evaluate
import schedule
import unroll
from data import STARTS, Corpus, Starts
from net import UNet
from optimizer import Muon


PIECE = 4    # pictures; batches are multiples of it
FLAT = 0.003 # squared error of v below which a picture counts less and less in the relative loss


def save(path, state):
    """Replaces `path` in one go: a reader never sees half a file."""
    part = Path(f"{path}.part")
    with open(part, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def learning_rate(stage, step):
    """Linear warm-up, then constant, then falling linearly to nothing."""
    return stage["lr"] * min(1, (step + 1) / stage["warmup"], (1 - step / stage["steps"]) / stage["decay"])


def classical_error(rng, x, noise):
    """A noise scale, and in place of `noise` the error of a classical start in its unit.

    The scale is 0.5 to 4 times the error's own; half of the time noise makes
    up for what the error lacks, as in states between a start and a draw.
    """
    error = classical.error(rng, x[None])[0] * float(rng.uniform(0.5, 1))
    size = error.square().mean().sqrt().item()
    sigma = np.clip(size * np.exp(rng.uniform(np.log(0.5), np.log(4))), schedule.SIGMA_MIN, 0.6)
    rest = rng.integers(2) * max(0, sigma ** 2 - size ** 2) ** 0.5
    return sigma, (error + float(rest) * noise) / float(sigma)


def examples(corpus, stage, step, seed):
    """x_t, t, v and a weight for each picture of the batch."""
    if "late" in stage and step >= stage["late"]["from"] * stage["steps"]:
        stage = stage | stage["late"]
    rng = np.random.default_rng([seed, stage["seed"], step])
    x = corpus.batch(rng, stage["batch"], stage["patch"])
    sigma = schedule.draw_sigmas(rng, len(x), stage["focus"])
    noise = torch.from_numpy(rng.standard_normal(tuple(x.shape), np.float32))
    if stage["errors"]:
        for i in np.flatnonzero(rng.random(len(x)) < stage["errors"]):
            sigma[i], noise[i] = classical_error(rng, x[i], noise[i])
    t = np.round(schedule.timestep(sigma))
    ab = torch.from_numpy(schedule.ALPHA_BAR[t.astype(int)]).float()[:, None, None, None]
    x_t = (ab.sqrt() * x + (1 - ab).sqrt() * noise).contiguous(memory_format=torch.channels_last)
    return x_t, torch.from_numpy(t).float(), ab.sqrt() * noise - (1 - ab).sqrt() * x, (1 - ab) ** stage["power"]


@contextmanager
def narrowed(net):
    """The convolutions' weights rounded to 8 bits with a scale per output channel, as `ddnm pack
    --weights int8` does; the gradients found then are those of the weights as they were."""
    layers = [m for m in net.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.ConvTranspose2d))]
    wide = [m.weight.detach().clone() for m in layers]
    with torch.no_grad():
        for layer in layers:
            outputs = 1 if isinstance(layer, torch.nn.ConvTranspose2d) else 0
            others = [d for d in range(4) if d != outputs]
            scale = layer.weight.abs().amax(others, keepdim=True).clamp(min=1e-12) / 127
            layer.weight.copy_((layer.weight / scale).round() * scale)
    yield
    with torch.no_grad():
        for layer, weight in zip(layers, wide):
            layer.weight.copy_(weight)


def restorations(corpus, starts, stage, step, seed):
    """(kind, generator, scenes) of the pieces that are trained through a whole restoration."""
    rng = np.random.default_rng([seed, stage["seed"], step, 1])
    kinds = rng.choice(stage["kinds"], stage["unroll"])
    return [(kind, rng.spawn(1)[0], starts.get(kind, corpus).batch(rng, PIECE, stage["patch"])) for kind in kinds]


def set_gradients(net, pool, batch, stage, teacher=None, whole=()):
    """Puts the batch's gradients into `net`; returns its loss.

    Where a teacher is given, its answers are the share `teach` of what is to be
    learned: they vary less than the noise that was drawn. `whole` are restorations, whose loss
    is added. Each thread takes PIECE pictures at a time: threads meet once a step, not once a
    layer, and one that other work holds up leaves more to the other.
    """
    parameters = list(net.parameters())

    def evaluation(x_t, t, network=net):
        # The network alone: projections stay in single precision.
        with torch.autocast("cpu", torch.bfloat16, enabled=stage["bfloat16"]):
            return network(x_t, t).float()

    def piece(x_t, t, v, weight):
        if teacher:
            with torch.no_grad():
                v = v.lerp(evaluation(x_t, t, teacher), stage["teach"])
        error = (evaluation(x_t, t) - v).square()
        loss = (error.mean((1, 2, 3)) + FLAT).log().mean() if stage["relative"] else (error * weight).mean()
        return loss.item(), torch.autograd.grad(loss, parameters)

    def through(kind, rng, x):
        loss = unroll.loss(evaluation, kind, rng, x)
        return torch.autograd.grad(loss * stage["unroll_weight"], parameters)

    # The longest first.
    waiting = [pool.submit(through, *part) for part in whole]
    losses, gradients = zip(*pool.map(piece, *(part.split(PIECE) for part in batch)))
    for parameter, parts in zip(parameters, zip(*gradients)):
        parameter.grad = sum(parts) / len(parts)
    for part in waiting:
        for parameter, gradient in zip(parameters, part.result()):
            parameter.grad += gradient / len(waiting)
    return sum(losses) / len(losses)


def train(args):
    recipe = tomllib.loads(Path(args.recipe).read_text())
    stage = recipe["defaults"] | recipe["stage"][args.stage]
    torch.manual_seed(recipe["seed"])
    net = UNet(**recipe["model"][args.model]["net"])
    teacher = evaluate.load(args.teacher) if stage["teach"] else None
    start = 0
    source = args.run if args.run.exists() else args.init
    state = torch.load(source, map_location="cpu") if source else None
    if state:
        net.load_state_dict(state["raw" if source == args.run else "ema"])
    net = net.to(memory_format=torch.channels_last)
    ema = copy.deepcopy(net)
    optimizer = Muon(net, stage["lr"], stage["muon"])
    if source and source == args.run:
        if state["stage"] != args.stage:
            raise SystemExit(f"{args.run} belongs to stage {state['stage']}")
        ema.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
    pool = ThreadPoolExecutor(args.threads)
    corpus, crops = Corpus(args.corpus), evaluate.crops()
    starts = {kind: Starts(args.starts, kind) for kind in STARTS if args.starts and kind in stage["kinds"]}

    def checkpoint(step):
        save(args.run, {"net": recipe["model"][args.model]["net"], "stage": args.stage, "step": step, "ema": ema.state_dict(),
                        "raw": net.state_dict(), "optimizer": optimizer.state_dict()})

    loss_sum = loss_count = 0
    began, last_saved = time.process_time(), time.monotonic()
    end = stage.get("stop", stage["steps"])
    for step in range(start, end):
        while step % 20 == 0 and args.pause and args.pause.exists():
            time.sleep(1)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(stage, step)
        batch = examples(corpus, stage, step, recipe["seed"])
        whole = restorations(corpus, starts, stage, step, recipe["seed"])
        with narrowed(net) if stage["narrow"] else nullcontext():
            loss = set_gradients(net, pool, batch, stage, teacher, whole)
        torch.nn.utils.clip_grad_norm_(net.parameters(), stage["clip"])
        optimizer.step()
        keep = min(stage["ema"], (step + 1) / (step + 10))
        with torch.no_grad():
            for average, raw in zip(ema.parameters(), net.parameters()):
                average.lerp_(raw, 1 - keep)
        loss_sum, loss_count, done = loss_sum + loss, loss_count + 1, step + 1
        if done % args.evaluate_every == 0 or done == end:
            with narrowed(ema) if stage["narrow"] else nullcontext():
                quality = evaluate.denoising(ema, crops)
            row = [args.stage, done, f"{time.process_time() - began:.0f}", f"{learning_rate(stage, step):.2e}",
                   f"{loss_sum / loss_count:.5f}", *(f"{p:.3f}" for p in quality)]
            loss_sum = loss_count = 0
            new = not args.log.exists()
            with open(args.log, "a", newline="") as file:
                writer = csv.writer(file)
                if new:
                    writer.writerow(["stage", "step", "processor seconds", "lr", "loss"] + [f"psnr{n}" for n in evaluate.NOISES])
                writer.writerow(row)
            print(*row, flush=True)
        if time.monotonic() - last_saved > args.save_every or done == end:
            checkpoint(done)
            last_saved = time.monotonic()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--stage", required=True)
    parser.add_argument("--recipe", type=Path, default=Path(__file__).parent / "recipe.toml")
    parser.add_argument("--init", type=Path)
    parser.add_argument("--teacher", type=Path, help="checkpoint of a larger network; used where the stage's `teach` is not 0")
    parser.add_argument("--starts", type=Path, help="what starts.py made; used where the stage trains through restorations")
    parser.add_argument("--log", type=Path, default=Path("train.csv"))
    parser.add_argument("--pause", type=Path, help="wait while this file exists")
    parser.add_argument("--save-every", type=float, default=120, help="seconds between checkpoints")
    parser.add_argument("--evaluate-every", type=int, default=500, help="steps between evaluations")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)    # of one thread's arithmetic
    train(arguments)
