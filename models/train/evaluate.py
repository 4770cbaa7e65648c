"""Denoising PSNR on pictures that are never trained on.

    python evaluate.py MODEL...      checkpoints (.ckpt, .pt) or exported networks (.onnx)

The rows "coarse" compare means over 16x16 pixels: what of the error is of low frequency.
"""
import sys
from pathlib import Path

import numpy as np
import skimage
import torch
import torch.nn.functional as F
from PIL import Image

from net import UNet, denoise

WHOLE = ("astronaut.png", "coffee.png", "chelsea.png")
CROPS = {"astronaut.png": 5, "coffee.png": 5, "chelsea.png": 4, "rocket.jpg": 4, "motorcycle_left.png": 6}
NOISES = (5, 15, 25, 50)


def picture(name):
    path = Path(skimage.__file__).parent / "data" / name
    return np.asarray(Image.open(path).convert("RGB"))


def planar(array):
    return torch.from_numpy(array.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def crops(side=128):
    """The 24 fixed crops, [24,3,128,128]."""
    rng = np.random.default_rng(24)
    out = []
    for name, count in CROPS.items():
        p = picture(name)
        for _ in range(count):
            y, x = rng.integers(p.shape[0] - side + 1), rng.integers(p.shape[1] - side + 1)
            out.append(planar(p[y:y + side, x:x + side]))
    return torch.cat(out)


def psnr(a, b):
    """Per picture, in dB, for pictures in [-1,1]; `a` is clipped first."""
    error = (a.clamp(-1, 1) - b).square().flatten(1).mean(1)
    return 10 * torch.log10(4 / error)


def noisy(x, code_values, seed=7):
    noise = np.random.default_rng([seed, code_values]).standard_normal(tuple(x.shape), np.float32)
    return x + torch.from_numpy(noise) * (code_values / 127.5)


def denoising(net, x, block=1):
    """Mean PSNR over the pictures of x, for each of NOISES; of means over `block` x `block` pixels."""
    def quality(code_values):
        found = denoise(net, noisy(x, code_values), code_values / 127.5)
        return psnr(*(F.avg_pool2d(p.clamp(-1, 1), block) for p in (found, x))).mean().item()
    with torch.no_grad():
        return [quality(s) for s in NOISES]


class Onnx:
    """An exported network, callable like the PyTorch one."""

    def __init__(self, path):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(str(path), options)
        self.down = (None, None)

    def __call__(self, x, t):
        return torch.from_numpy(self.session.run(["v"], {"sample": x.numpy(), "timestep": t.numpy()})[0])


def load(path):
    """The averaged network of a checkpoint, or an exported one."""
    if str(path).endswith(".onnx"):
        return Onnx(path)
    state = torch.load(path, map_location="cpu")
    net = UNet(**state["net"])
    net.load_state_dict(state["ema"])
    return net.eval().to(memory_format=torch.channels_last)


def report(net):
    """Text table: crops, then the whole pictures."""
    lines = ["noise          " + "".join(f"{s:8d}" for s in NOISES)]
    sets = {"24 crops": crops()} | {n.split(".")[0]: planar(picture(n)) for n in WHOLE}
    for name, x in sets.items():
        for label, block in ((name, 1), ("  coarse", 16)):
            lines.append(f"{label:15s}" + "".join(f"{v:8.3f}" for v in denoising(net, x, block)))
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(2)
    for model in sys.argv[1:]:
        print(model, report(load(model)), sep="\n", flush=True)
