"""Makes the models and the values that `tests/reference.rs` holds the program to.

    pip install -r requirements.txt
    python make.py

Three small networks with random weights go through the exporters of `models/export`, and ONNX
Runtime evaluates them and the project's priors on a few windows. Every run writes the same files:

    NAME.onnx, NAME.toml   a model and its manifest
    windows.toml           size and noise level of every window
    windows.bin            the noisy states x_t of all windows, one after the other
    NAME.bin               the x0 that belong to them

Values are float32, little endian, channel by channel, row by row.
"""
import math
import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np
import onnx
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from onnx import numpy_helper
from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "models/export"))

import diffusers_unet  # noqa: E402
import guided  # noqa: E402
import onnx_file  # noqa: E402
from guided_net import Config, GuidedUNet  # noqa: E402
from noisemap import NoiseMap  # noqa: E402

LICENCE = "MIT OR Apache-2.0"
# Height, width, timestep: whole and between two.
WINDOWS = [(32, 32, 40.0), (32, 48, 611.5), (24, 16, 199.25)]


def randomize(net):
    """Random weights that keep the scale of what goes through, and no layer without effect."""
    for module in net.modules():
        for name, p in module.named_parameters(recurse=False):
            if p.dim() == 1:
                centre = 1.0 if name == "weight" else 0.0
                p.data = centre + 0.3 * torch.randn_like(p)
                continue
            inputs = p[0].numel()
            if isinstance(module, torch.nn.ConvTranspose2d):
                inputs = p[:, 0].numel() / math.prod(module.stride)
            p.data = torch.randn_like(p) / math.sqrt(inputs)
    return net


def make_diffusers(folder):
    """The kinds of layers of google/ddpm-celebahq-256, through a pipeline's folder; weights
    in half precision."""
    unet = UNet2DModel(
        sample_size=32, block_out_channels=(8, 16), norm_num_groups=4, layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=8,
        downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6)
    DDPMPipeline(randomize(unet), DDPMScheduler()).save_pretrained(folder / "pipeline")
    diffusers_unet.export(folder / "pipeline", HERE / "diffusers.onnx", LICENCE, half=True)


def make_guided(folder):
    """The kinds of layers of the ImageNet model, through a checkpoint; weights in half precision."""
    config = Config(channels=8, multipliers=(1, 2), blocks=1, attention=(2,), head_channels=8, groups=4)
    torch.save(randomize(GuidedUNet(config)).state_dict(), folder / "guided.pt")
    guided.export(folder / "guided.pt", HERE / "guided.onnx", LICENCE, config, side=32, half=True)


def make_noisemap():
    manifest = onnx_file.Manifest(
        licence=LICENCE, prediction="sample", conditioning="noise-map", schedule=guided.LINEAR,
        multiple=4, tile=32, halo=8, range=(0.0, 1.0))
    onnx_file.write(randomize(NoiseMap()), HERE / "noisemap.onnx", manifest)


def alpha_bar(t):
    """Of the linear schedule of DDPM; between timesteps, the logarithm of sigma is linear."""
    whole = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    log_sigma = 0.5 * np.log((1 - whole) / whole)
    sigma = np.exp(np.interp(t, np.arange(1000), log_sigma))
    return float(1 / (1 + sigma**2))


def states(rng):
    """The noisy states: parts of a photograph, with noise."""
    photo = np.asarray(Image.open(ROOT / "tests/assets/astronaut.png").convert("RGB"), np.float64)
    for height, width, t in WINDOWS:
        y, x = rng.integers(0, 512 - height), rng.integers(0, 512 - width)
        part = photo[y:y + height, x:x + width].transpose(2, 0, 1) / 127.5 - 1
        a = alpha_bar(t)
        noisy = math.sqrt(a) * part + math.sqrt(1 - a) * rng.standard_normal(part.shape)
        yield noisy.astype("<f4"), t, a


def evaluate(path, x_t, t, a):
    """The scene x0 that a model makes of a state, in float64 but for the network itself."""
    manifest = tomllib.loads(path.with_suffix(".toml").read_text())
    black, white = manifest.get("range", (-1.0, 1.0))
    half, signal, noise = (white - black) / 2, math.sqrt(a), math.sqrt(1 - a)
    is_timestep = manifest["conditioning"] == "timestep"
    x = x_t.astype(np.float64)
    seen = x if is_timestep else x / signal * half + black + half
    sigma = noise / signal * half
    second = {"timestep": np.full(1, t), "sigma": np.full(1, sigma),
              "noise-map": np.full((1, 1, *x.shape[1:]), sigma)}[manifest["conditioning"]]
    session = onnx_file.onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = {manifest["input"]: seen, manifest["conditioning_input"]: second}
    inputs = {name: value.astype(np.float32) for name, value in inputs.items()}
    inputs[manifest["input"]] = inputs[manifest["input"]][None]
    output = session.run([manifest["output"]], inputs)[0][0, :len(x)].astype(np.float64)
    if manifest["prediction"] == "epsilon":
        return (x - noise * output) / signal
    if manifest["prediction"] == "v":
        return signal * x - noise * output
    return output if is_timestep else (output - black) / half - 1


def check_every_weight_counts(path, window):
    """A weight that changes nothing would let a wrong operator pass: without any of them, x0 must
    change by ten times what `tests/reference.rs` allows. Returns the smallest change."""
    model, whole = onnx.load(path), evaluate(path, *window)
    changes = {}
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / path.name
        part.with_suffix(".toml").write_text(path.with_suffix(".toml").read_text())
        for tensor in model.graph.initializer:
            values = numpy_helper.to_array(tensor)
            # A key's bias adds the same to every score of a query, and the softmax drops it.
            if values.dtype.kind != "f" or "to_k.bias" in tensor.name:
                continue
            kept = tensor.SerializeToString()
            tensor.CopyFrom(numpy_helper.from_array(np.zeros_like(values), tensor.name))
            onnx.save(model, part)
            changes[tensor.name] = np.abs(evaluate(part, *window) - whole).max() / rms(whole)
            tensor.ParseFromString(kept)
    name = min(changes, key=changes.get)
    if changes[name] < 1e-3:
        raise SystemExit(f"{path.name}: without `{name}`, x0 changes by {changes[name]:.1e} only")
    return changes[name]


def rms(values):
    return float(np.sqrt(np.mean(values**2)))


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        make_diffusers(Path(folder))
        make_guided(Path(folder))
    make_noisemap()
    windows = list(states(np.random.default_rng(0)))
    text = "# Written by make.py.\n"
    for x_t, t, a in windows:
        text += f"\n[[window]]\nheight = {x_t.shape[1]}\nwidth = {x_t.shape[2]}\nt = {t}\nalpha_bar = {a}\n"
    (HERE / "windows.toml").write_text(text)
    (HERE / "windows.bin").write_bytes(b"".join(x_t.tobytes() for x_t, _, _ in windows))
    for name in ["diffusers", "guided", "noisemap", "patch-s", "patch-xs"]:
        path = (ROOT / "models" if name.startswith("patch") else HERE) / f"{name}.onnx"
        scenes = [evaluate(path, *window) for window in windows]
        print(f"{name}: {path.stat().st_size} bytes, RMS of x0 {[round(rms(s), 3) for s in scenes]}")
        if path.parent == HERE:
            print(f"    without its least weight: {check_every_weight_counts(path, windows[1]):.1e}")
        (HERE / f"{name}.bin").write_bytes(b"".join(s.astype("<f4").tobytes() for s in scenes))


if __name__ == "__main__":
    main()
