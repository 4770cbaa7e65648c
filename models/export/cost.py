"""What two well-known models cost per tile, from their configurations; no weights are needed.

    python cost.py
"""
import torch
from diffusers import DDPMScheduler, UNet2DModel

import diffusers_unet
import guided
from guided_net import Config, GuidedUNet
from onnx_file import multiply_accumulates

# The published configuration of google/ddpm-celebahq-256.
CELEBA = dict(
    sample_size=256, in_channels=3, out_channels=3, layers_per_block=2,
    block_out_channels=(128, 128, 256, 256, 512, 512), attention_head_dim=None,
    down_block_types=("DownBlock2D",) * 4 + ("AttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "AttnUpBlock2D") + ("UpBlock2D",) * 4,
    downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6)


def models():
    """Name, network without memory, manifest."""
    with torch.device("meta"):
        unet, adm = UNet2DModel(**CELEBA), GuidedUNet(Config())
    facts = diffusers_unet.manifest(unet.config, DDPMScheduler().config, "")
    yield "google/ddpm-celebahq-256", diffusers_unet.Plain(unet), facts
    yield "ImageNet 256x256 unconditional", adm, guided.manifest(Config(), 256, "", guided.LINEAR)


def main():
    print("| model | parameters | window | multiply-accumulates per window | per pixel of a core |")
    print("|---|---|---|---|---|")
    for name, net, manifest in models():
        parameters = sum(p.numel() for p in net.parameters())
        side = manifest.tile + 2 * manifest.halo
        macs = multiply_accumulates(net, manifest, side)
        share = macs / manifest.tile**2
        print(f"| {name} | {parameters / 1e6:.1f} M | {side}x{side} | {macs / 1e9:.0f} G | {share / 1e6:.1f} M |")


if __name__ == "__main__":
    main()
