"""A shipped prior's weights as a checkpoint that a stage can go on from (`train.py --init`).

    python shipped.py NAME OUT.ckpt

The weights are those of `../NAME.onnx`; optimizer and step are not in it. What is needed to go on
with the training of `patch-s` where it stopped, later than what is shipped, is `patch-s.ckpt`.
"""
import argparse
import tomllib
from pathlib import Path

import torch

from net import UNet

HERE = Path(__file__).resolve().parent


def network(name, recipe):
    """The network of a shipped prior, with its weights."""
    import onnx
    net = UNet(**recipe["model"][name]["net"])
    graph = onnx.load(HERE.parent / f"{name}.onnx").graph
    weights = {tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    net.load_state_dict({key: weights.get(key, net.freq if key == "freq" else None) for key in net.state_dict()})
    return net


def checkpoint(name, out, recipe):
    """Writes the checkpoint `out`: averaged weights alone."""
    torch.save({"net": recipe["model"][name]["net"], "ema": network(name, recipe).state_dict()}, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    checkpoint(arguments.name, arguments.out, tomllib.loads((HERE / "recipe.toml").read_text()))
