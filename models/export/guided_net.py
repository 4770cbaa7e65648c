"""The UNet of Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis" (2021).

Written from the paper's description; modules are named as in the published checkpoints, so that
their state dicts load. Unconditional models only. Not loaded, and not needed to evaluate: dropout.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass(frozen=True)
class Config:
    """The defaults are those of the unconditional 256x256 ImageNet model."""
    channels: int = 256
    multipliers: tuple = (1, 1, 2, 2, 4, 4)  # of `channels`, per level
    blocks: int = 2  # residual blocks per level
    attention: tuple = (8, 16, 32)  # downsampling factors of the levels with attention
    head_channels: int = 64
    qkv: str = "heads"  # order of the attention's channels: "heads" first or "kinds" first
    groups: int = 32  # of every normalization
    picture: int = 3
    variance: bool = True  # whether the output has as many channels again


def conv(inputs, outputs, side=3):
    return nn.Conv2d(inputs, outputs, side, padding=side // 2)


class ResBlock(nn.Module):
    """Two convolutions around a shortcut; the embedding scales and shifts what lies between.
    `resize` is 2 to double the resolution, 0.5 to halve it."""

    def __init__(self, inputs, outputs, embedding, groups, resize=1):
        super().__init__()
        self.resize = resize
        self.in_layers = nn.Sequential(nn.GroupNorm(groups, inputs), nn.SiLU(), conv(inputs, outputs))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * outputs))
        # The third layer stands where the training has its dropout.
        self.out_layers = nn.Sequential(
            nn.GroupNorm(groups, outputs), nn.SiLU(), nn.Identity(), conv(outputs, outputs))
        self.skip_connection = nn.Identity() if inputs == outputs else conv(inputs, outputs, 1)

    def resized(self, x):
        if self.resize == 2:
            return F.interpolate(x, scale_factor=2.0, mode="nearest")
        return F.avg_pool2d(x, 2) if self.resize == 0.5 else x

    def forward(self, x, embedding):
        norm, silu, first = self.in_layers
        h = first(self.resized(silu(norm(x))))
        norm, *rest = self.out_layers
        scale, shift = self.emb_layers(embedding)[:, :, None, None].split(norm.num_channels, dim=1)
        h = norm(h) * (1 + scale) + shift
        for layer in rest:
            h = layer(h)
        return self.skip_connection(self.resized(x)) + h


class Attention(nn.Module):
    """Every pixel attends to every other, in several heads."""

    def __init__(self, channels, config):
        super().__init__()
        self.heads, self.qkv_order = channels // config.head_channels, config.qkv
        self.norm = nn.GroupNorm(config.groups, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x):
        n, depth = x.shape[0], self.norm.num_channels // self.heads
        mixed = self.qkv(self.norm(x.flatten(2)))
        if self.qkv_order == "heads":
            q, k, v = mixed.reshape(n, self.heads, 3, depth, -1).unbind(2)
        else:
            q, k, v = mixed.reshape(n, 3, self.heads, depth, -1).unbind(1)
        weights = torch.softmax(q.transpose(-1, -2) @ k * depth**-0.5, dim=-1)
        seen = (v @ weights.transpose(-1, -2)).flatten(1, 2)
        return x + self.proj_out(seen).reshape(x.shape)


class GuidedUNet(nn.Module):
    """`net(x [n,3,h,w], t [n])`: the noise in `x`, and with `variance` as many channels of it."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        embedding = 4 * config.channels
        self.time_embed = nn.Sequential(
            nn.Linear(config.channels, embedding), nn.SiLU(), nn.Linear(embedding, embedding))

        def res(inputs, outputs, resize=1):
            return ResBlock(inputs, outputs, embedding, config.groups, resize)

        def attend(level, channels):
            return [Attention(channels, config)] if 2**level in config.attention else []

        widths = [m * config.channels for m in config.multipliers]
        now = widths[0]
        self.input_blocks = nn.ModuleList([nn.ModuleList([conv(config.picture, now)])])
        skips = [now]
        for level, width in enumerate(widths):
            for _ in range(config.blocks):
                self.input_blocks.append(nn.ModuleList([res(now, width), *attend(level, width)]))
                now = width
                skips.append(now)
            if level + 1 < len(widths):
                self.input_blocks.append(nn.ModuleList([res(now, now, 0.5)]))
                skips.append(now)
        self.middle_block = nn.ModuleList([res(now, now), Attention(now, config), res(now, now)])
        self.output_blocks = nn.ModuleList()
        for level, width in reversed(list(enumerate(widths))):
            for block in range(config.blocks + 1):
                stage = [res(now + skips.pop(), width), *attend(level, width)]
                now = width
                if level > 0 and block == config.blocks:
                    stage.append(res(now, now, 2))
                self.output_blocks.append(nn.ModuleList(stage))
        outputs = config.picture * (2 if config.variance else 1)
        self.out = nn.Sequential(nn.GroupNorm(config.groups, now), nn.SiLU(), conv(now, outputs))

    def embed(self, t):
        """Cosines, then sines, of `t` at geometrically falling frequencies; two layers."""
        half = self.config.channels // 2
        frequencies = torch.exp(-math.log(10000) / half * torch.arange(half, device=t.device))
        angles = t[:, None].float() * frequencies
        return self.time_embed(torch.cat([angles.cos(), angles.sin()], dim=1))

    def forward(self, x, t):
        embedding = self.embed(t)

        def through(stage, h):
            for layer in stage:
                h = layer(h, embedding) if isinstance(layer, ResBlock) else layer(h)
            return h

        skips, h = [], x
        for stage in self.input_blocks:
            h = through(stage, h)
            skips.append(h)
        h = through(self.middle_block, h)
        for stage in self.output_blocks:
            h = through(stage, torch.cat([h, skips.pop()], dim=1))
        return self.out(h)
