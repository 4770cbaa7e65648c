"""A smaller network from a larger one: the channels of largest norm, their weights cut out.

    python prune.py LARGE.ckpt SMALL.ckpt --model NAME

SMALL.ckpt starts a stage (`train.py --init`). Of blocks, the first ones stay.
"""
import argparse
import tomllib
from pathlib import Path

import torch

import evaluate
from net import UNet


def largest(scores, count):
    return scores.topk(count).indices.sort().values


def norms(weights, axis):
    """Square sums of the slices of each of `weights` along its `axis`, added up."""
    return sum(w.square().transpose(0, axis).flatten(1).sum(1) for w in weights)


def cut(layer, into, outputs=None, inputs=None):
    """Copies `layer` to `into`, the chosen channels alone; a transposed layer's axes are swapped."""
    weight = layer.weight
    axes = (1, 0) if isinstance(layer, torch.nn.ConvTranspose2d) else (0, 1)
    for axis, chosen in zip(axes, (outputs, inputs)):
        weight = weight if chosen is None else weight.index_select(axis, chosen)
    into.weight.copy_(weight)
    into.bias.copy_(layer.bias if outputs is None else layer.bias[outputs])


@torch.no_grad()
def prune(large, small):
    """Fills `small` with parts of `large`: levels alike, no more channels or blocks anywhere."""
    down, levels = len(large.down), len(large.down) + 1
    blocks = lambda net, i: [*net.enc[i], *net.dec[down - 1 - i]] if i < down else [*net.mid]
    kept = []
    for i in range(levels):
        # What writes a channel of the level's trunk: blocks, and the layers that lead to the level.
        writers = [b.c2.weight for b in blocks(large, i)] + [(large.down[i - 1] if i else large.inp).weight]
        scores = norms(writers, 0)
        if i < down:
            scores = scores + norms([large.up[down - 1 - i].weight], 1)
        kept.append(largest(scores, blocks(small, i)[0].c1.in_channels))
        for a, b in zip(blocks(large, i), blocks(small, i)):
            inner = largest(norms([a.c1.weight], 0) * norms([a.c2.weight], 1), b.c1.out_channels)
            cut(a.c1, b.c1, inner, kept[i])
            cut(a.c2, b.c2, kept[i], inner)
            cut(a.e, b.e, inner)
    cut(large.inp, small.inp, kept[0])
    cut(large.out, small.out, None, kept[0])
    for i in range(down):
        cut(large.down[i], small.down[i], kept[i + 1], kept[i])
        cut(large.up[down - 1 - i], small.up[down - 1 - i], kept[i], kept[i + 1])
    cut(large.t1, small.t1)
    cut(large.t2, small.t2)


def make(large, small, shape):
    """Writes the checkpoint `small`: a network of `shape` cut out of the checkpoint `large`."""
    net = UNet(**shape)
    prune(evaluate.load(large), net)
    torch.save({"net": shape, "ema": net.state_dict()}, small)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("large", type=Path)
    parser.add_argument("small", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--recipe", type=Path, default=Path(__file__).parent / "recipe.toml")
    arguments = parser.parse_args()
    recipe = tomllib.loads(arguments.recipe.read_text())
    make(arguments.large, arguments.small, recipe["model"][arguments.model]["net"])
