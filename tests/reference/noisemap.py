"""A small denoiser in the manner of DRUNet (Zhang et al. 2021): told the noise as a picture,
residual blocks, strided and transposed convolutions, and the uneven numbers of channels that
structured pruning leaves. Pictures from 0 to 1."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def conv(inputs, outputs, bias=True):
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)


class Block(nn.Module):
    def __init__(self, channels, inner, slope):
        super().__init__()
        self.first, self.second = conv(channels, inner), conv(inner, channels)
        self.slope = slope

    def forward(self, x):
        h = self.first(x)
        h = F.leaky_relu(h, self.slope) if self.slope else F.relu(h)
        return x + self.second(h)


class NoiseMap(nn.Module):
    """`net(x [n,3,h,w], sigma [n,1,h,w])`: the scene; sides multiples of 4."""

    def __init__(self):
        super().__init__()
        self.head = conv(4, 20, bias=False)
        self.enter = Block(20, 7, 0)
        self.down1 = nn.Conv2d(20, 36, 2, stride=2, bias=False)
        self.middle = Block(36, 11, 0.2)
        self.down2 = nn.Conv2d(36, 10, 3, stride=2, padding=1)
        self.deep = Block(10, 9, 0.2)
        self.up2 = nn.ConvTranspose2d(10, 36, 4, stride=2, padding=1)
        self.back = Block(36, 5, 0.2)
        self.up1 = nn.ConvTranspose2d(36, 20, 2, stride=2, bias=False)
        self.leave = Block(40, 5, 0)
        self.tail = conv(40, 3, bias=False)

    def forward(self, x, sigma):
        full = self.enter(self.head(torch.cat([x, sigma], dim=1)))
        half = self.middle(self.down1(full))
        h = self.deep(self.down2(half))
        h = self.back(self.up2(h) + half)
        h = self.leave(torch.cat([self.up1(h), full], dim=1))
        return self.tail(h)
