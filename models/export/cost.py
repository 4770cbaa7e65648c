"""What two well-known models cost per tile, from their configurations; no weights are needed.

    python cost.py                      prints a table
    python cost.py celeba NAME.onnx     writes the model with random weights, to try its speed
    python cost.py imagenet NAME.onnx   (weights in half precision)
"""
import sys

import torch
from diffusers import DDPMScheduler, UNet2DModel

import diffusers_unet
import guided
from guided_net import Config, GuidedUNet
from onnx_file import multiply_accumulates, write

# The published configuration of google/ddpm-celebahq-256.
CELEBA = dict(
    sample_size=256, in_channels=3, out_channels=3, layers_per_block=2,
    block_out_channels=(128, 128, 256, 256, 512, 512), attention_head_dim=None,
    down_block_types=("DownBlock2D",) * 4 + ("AttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "AttnUpBlock2D") + ("UpBlock2D",) * 4,
    downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6)


def celeba():
    """google/ddpm-celebahq-256 and its manifest."""
    unet = UNet2DModel(**CELEBA)
    return diffusers_unet.Plain(unet), diffusers_unet.manifest(unet.config, DDPMScheduler().config, "none")


def imagenet():
    """The unconditional 256x256 model of guided-diffusion and its manifest."""
    return GuidedUNet(Config()), guided.manifest(Config(), 256, "none", guided.LINEAR)


MODELS = {"celeba": celeba, "imagenet": imagenet}


def table():
    print("| model | parameters | window | multiply-accumulates per window | per pixel of a core |")
    print("|---|---|---|---|---|")
    for name, make in MODELS.items():
        with torch.device("meta"):
            net, manifest = make()
        parameters = sum(p.numel() for p in net.parameters())
        side = manifest.tile + 2 * manifest.halo
        macs = multiply_accumulates(net, manifest, side)
        share = macs / manifest.tile**2
        print(f"| {name} | {parameters / 1e6:.1f} M | {side}x{side} | {macs / 1e9:.0f} G | {share / 1e6:.1f} M |")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        table()
    elif len(sys.argv) == 3 and sys.argv[1] in MODELS:
        net, manifest = MODELS[sys.argv[1]]()
        write(net, sys.argv[2], manifest, half=sys.argv[1] == "imagenet")
    else:
        raise SystemExit(__doc__)
