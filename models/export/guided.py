"""A checkpoint of a guided-diffusion UNet (Dhariwal and Nichol 2021) to ONNX with a manifest.

    python guided.py CHECKPOINT.pt NAME.onnx --licence MIT --half

The options describe the checkpoint and default to the unconditional 256x256 ImageNet model. The
names of the original flags are in README.md.
"""
import argparse

import torch

from guided_net import Config, GuidedUNet
from onnx_file import Manifest, tiles, write

LINEAR = {"kind": "linear", "beta_start": 1e-4, "beta_end": 0.02, "steps": 1000}
COSINE = {"kind": "cosine", "steps": 1000}


def manifest(config, side, licence, schedule):
    """What the program must know; `side` is the size of the training's pictures."""
    multiple = 2 ** (len(config.multipliers) - 1)
    tile, halo = tiles(side, multiple)
    return Manifest(
        licence=licence, prediction="epsilon", conditioning="timestep", schedule=schedule,
        multiple=multiple, tile=tile, halo=halo, channels=config.picture,
        output_channels=2 * config.picture if config.variance else None)


def load(checkpoint, config):
    """The network of a checkpoint, a state dict saved by PyTorch."""
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)
    if any(name.startswith("label_emb") for name in weights):
        raise SystemExit(f"{checkpoint}: expected an unconditional model, found one with classes")
    # On `meta`, nothing is allocated that the checkpoint's tensors would replace.
    with torch.device("meta"):
        net = GuidedUNet(config)
    try:
        net.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:
        first = "\n".join(line[:200] for line in str(error).splitlines()[1:4])
        raise SystemExit(f"{checkpoint}: the options do not describe this checkpoint:\n{first}")
    return net


def export(checkpoint, path, licence, config=Config(), side=256, schedule=LINEAR, half=False):
    """Returns the largest difference to PyTorch, relative to the largest output."""
    return write(load(checkpoint, config), path, manifest(config, side, licence, schedule), half)


def numbers(text):
    return tuple(int(part) for part in text.split(","))


def arguments():
    defaults = Config()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("onnx")
    parser.add_argument("--licence", required=True, help="licence of the weights")
    parser.add_argument("--half", action="store_true", help="store weights in half precision")
    parser.add_argument("--side", type=int, default=256, help="size of the training's pictures")
    parser.add_argument("--schedule", choices=["linear", "cosine"], default="linear")
    parser.add_argument("--channels", type=int, default=defaults.channels)
    parser.add_argument("--multipliers", type=numbers, default=defaults.multipliers)
    parser.add_argument("--blocks", type=int, default=defaults.blocks)
    parser.add_argument("--attention", type=numbers, default=defaults.attention,
                        help="downsampling factors of the levels with attention")
    parser.add_argument("--head-channels", type=int, default=defaults.head_channels)
    parser.add_argument("--qkv", choices=["heads", "kinds"], default=defaults.qkv)
    parser.add_argument("--no-variance", action="store_true", help="the output is the noise alone")
    return parser.parse_args()


def main():
    a = arguments()
    config = Config(
        channels=a.channels, multipliers=a.multipliers, blocks=a.blocks, attention=a.attention,
        head_channels=a.head_channels, qkv=a.qkv, variance=not a.no_variance)
    schedule = LINEAR if a.schedule == "linear" else COSINE
    difference = export(a.checkpoint, a.onnx, a.licence, config, a.side, schedule, a.half)
    print(f"largest difference to PyTorch, relative to the largest output: {difference:.1e}")


if __name__ == "__main__":
    main()
