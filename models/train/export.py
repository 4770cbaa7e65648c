"""Exports a checkpoint's averaged weights to ONNX, with a manifest beside it.

    python export.py RUN.ckpt NAME.onnx

Opset 17; inputs `sample` [n,3,h,w] and `timestep` [n], output `v`; any batch
size, sides multiples of 8. The export is compared with PyTorch before it gets
its name.
"""
import hashlib
import os
import sys
from pathlib import Path

import torch

import evaluate
import schedule
from net import macs_per_pixel

MANIFEST = """\
name = "{name}"
file = "{name}.onnx"
sha256 = "{sha}"
licence = "{licence}"
channels = 3
input = "sample"
output = "v"
prediction = "v"
conditioning = "timestep"
conditioning_input = "timestep"
schedule = {{ kind = "linear", beta_start = {start}, beta_end = {end}, steps = {steps} }}
multiple = {multiple}
tile = 160
# To be measured for every new network: `cargo bench --bench halo -- model {name}.toml`.
halo = [
    {{ sigma = 0.3, pixels = 16 }},
    {{ sigma = 0.8, pixels = 24 }},
    {{ sigma = 160.0, pixels = 32 }},
]
# {parameters} parameters, {macs} multiply-accumulates per pixel
"""


def export(checkpoint, path, licence="MIT OR Apache-2.0"):
    """Writes `path` and its manifest; returns the largest difference to PyTorch."""
    path = Path(path)
    net = evaluate.load(checkpoint).to(memory_format=torch.contiguous_format)
    part = path.with_suffix(".part.onnx")
    sizes = {0: "n", 2: "h", 3: "w"}
    torch.onnx.export(net, (torch.randn(1, 3, 64, 64), torch.full((1,), 500.0)), str(part),
                      input_names=["sample", "timestep"], output_names=["v"], opset_version=17, dynamo=False,
                      dynamic_axes={"sample": sizes, "timestep": {0: "n"}, "v": sizes})
    x, t = torch.randn(2, 3, 72, 104), torch.tensor([3.5, 700.0])
    with torch.no_grad():
        difference = (evaluate.Onnx(part)(x, t) - net(x, t)).abs().max().item()
    if difference > 1e-3:
        raise SystemExit(f"{part}: differs from PyTorch by {difference}")
    manifest = MANIFEST.format(
        name=path.stem, start=schedule.BETA_START, end=schedule.BETA_END,
        steps=schedule.STEPS, multiple=2 ** (len(net.down) + 1),
        parameters=sum(p.numel() for p in net.parameters()), macs=round(macs_per_pixel(net)),
        licence=licence, sha=hashlib.sha256(part.read_bytes()).hexdigest())
    path.with_suffix(".toml").write_text(manifest)
    os.replace(part, path)
    return difference


if __name__ == "__main__":
    print("largest difference to PyTorch:", export(sys.argv[1], sys.argv[2]))
