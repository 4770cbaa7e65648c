"""Writes a network as an ONNX file, with the manifest that `ddnm` asks for beside it.

Every exporter ends in `write`. The network is called as `net(picture, told)`; the file has the
inputs `sample` [1,c,h,w] and `timestep` [1], `sigma` [1] or `noise_map` [1,1,h,w], and the output
`prediction`; opset 17; sides are any multiples of `multiple`.
"""
import hashlib
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.utils.flop_counter import FlopCounterMode

INPUTS = {"timestep": "timestep", "sigma": "sigma", "noise-map": "noise_map"}
LARGEST = 2**31 - 1  # bytes of a protocol buffer, and so of an ONNX file


@dataclass
class Manifest:
    """What must be said of a model; the fields are those of `src/prior/manifest.rs`."""
    licence: str
    prediction: str
    conditioning: str
    schedule: dict
    multiple: int
    tile: int
    halo: int
    channels: int = 3
    output_channels: int | None = None
    range: tuple = (-1.0, 1.0)

    def text(self, name, sha256, note):
        """The TOML file."""
        schedule = ", ".join(f"{key} = {quote(value)}" for key, value in self.schedule.items())
        lines = [
            f"name = {quote(name)}",
            f"file = {quote(name + '.onnx')}",
            f"sha256 = {quote(sha256)}",
            f"licence = {quote(self.licence)}",
            f"channels = {self.channels}",
            f"range = [{float(self.range[0])}, {float(self.range[1])}]",
            'input = "sample"',
            'output = "prediction"',
            f"prediction = {quote(self.prediction)}",
            f"conditioning = {quote(self.conditioning)}",
            f"conditioning_input = {quote(INPUTS[self.conditioning])}",
            f"schedule = {{ {schedule} }}",
            f"multiple = {self.multiple}",
            f"tile = {self.tile}",
            "# Not measured: `cargo bench --bench halo -- model MANIFEST` shows what a halo is worth.",
            f"halo = [{{ sigma = 1e3, pixels = {self.halo} }}]",
            f"# {note}",
        ]
        if self.output_channels is not None:
            lines.insert(6, f"output_channels = {self.output_channels}")
        return "\n".join(lines) + "\n"


def quote(value):
    """A string or number as TOML writes it."""
    if not isinstance(value, str):
        return repr(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def tiles(side, multiple):
    """Core and halo whose windows are `side` pixels wide, for networks that see a whole window
    at once (normalization, attention) and know windows of this size from their training."""
    halo = max(side // 8 // multiple, 1) * multiple
    return side - 2 * halo, halo


def told(manifest, height, width):
    """An example of the second input."""
    if manifest.conditioning == "timestep":
        return torch.tensor([421.5])
    if manifest.conditioning == "sigma":
        return torch.tensor([0.2])
    return torch.full((1, 1, height, width), 0.2)


def multiply_accumulates(net, manifest, side):
    """Multiply-accumulates of one evaluation of a window of `side x side`; nothing is computed
    if the parameters are on the `meta` device."""
    device = next(net.parameters()).device
    x = torch.zeros(1, manifest.channels, side, side, device=device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(x, told(manifest, side, side).to(device))
    return counter.get_total_flops() // 2


def write(net, path, manifest, half=False):
    """Writes `path` and the manifest beside it; returns the largest difference between ONNX
    Runtime and PyTorch, relative to the largest output.

    With `half`, weights are rounded to half precision in `net` and stored so; arithmetic stays
    in single precision.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise SystemExit(f"{path}: expected a name that ends in .onnx")
    net = net.float().eval()
    if half:
        for parameter in net.parameters():
            parameter.data = parameter.data.half().float()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / path.name
        trace(net, part, manifest)
        model = onnx.load(part)  # with what the exporter put beside it, if it is large
        if half:
            halve(model.graph)
        if model.ByteSize() > LARGEST:
            raise SystemExit(f"{path}: larger than an ONNX file can be; --half stores half of it")
        onnx.save(model, part)
        del model
        difference = compare(net, part, manifest)
        if not difference < 1e-4:
            raise SystemExit(f"{path}: differs from PyTorch by {difference:.1e} of its output")
        sha256 = hashlib.sha256(part.read_bytes()).hexdigest()
        parameters = sum(p.numel() for p in net.parameters())
        side = manifest.tile + 2 * manifest.halo
        macs = multiply_accumulates(net, manifest, side)
        note = f"{parameters} parameters, {macs} multiply-accumulates for {side}x{side} pixels"
        path.with_suffix(".toml").write_text(manifest.text(path.stem, sha256, note))
        os.replace(part, path)
    return difference


def trace(net, path, manifest):
    """Exports with PyTorch."""
    side = 2 * max(manifest.multiple, 16)
    name = INPUTS[manifest.conditioning]
    # The program evaluates one window at a time, and a fixed batch makes a smaller graph.
    sizes = {2: "h", 3: "w"}
    axes = {"sample": sizes, "prediction": sizes}
    if name == "noise_map":
        axes[name] = sizes
    with warnings.catch_warnings():
        # That sizes could be frozen into the graph: `compare` runs another size.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, (torch.randn(1, manifest.channels, side, side), told(manifest, side, side)),
            str(path), input_names=["sample", name], output_names=["prediction"],
            opset_version=17, dynamo=False, dynamic_axes=axes)


def compare(net, path, manifest):
    """The largest difference of ONNX Runtime to PyTorch, relative to the largest output."""
    height, width = 3 * max(manifest.multiple, 8), 2 * max(manifest.multiple, 8)
    x, second = torch.randn(1, manifest.channels, height, width), told(manifest, height, width)
    with torch.no_grad():
        expected = net(x, second).numpy()
    found = run(path, manifest, x.numpy(), second.numpy())
    channels = manifest.output_channels or manifest.channels
    if found.shape != (1, channels, height, width):
        raise SystemExit(f"{path.name}: expected {channels} channels of {width}x{height}, found {found.shape}")
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def run(path, manifest, x, second):
    """The output of ONNX Runtime, float32."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"sample": x, INPUTS[manifest.conditioning]: second})[0]


def halve(graph):
    """Stores every weight that half precision holds without loss so, with a cast behind it."""
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float16)
        if not np.array_equal(narrow.astype(np.float32), values):
            continue
        wide = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(narrow, wide + ".half"))
        casts.append(helper.make_node("Cast", [wide + ".half"], [wide], to=TensorProto.FLOAT))
    nodes = casts + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
