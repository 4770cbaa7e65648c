"""A diffusers `UNet2DModel`, alone or in a pipeline such as `DDPMPipeline`, to ONNX with a manifest.

    python diffusers_unet.py FOLDER_OR_HUB_NAME NAME.onnx --licence apache-2.0

The manifest's schedule is that of the scheduler beside the network.
"""
import argparse

import torch
from diffusers import DDPMScheduler, UNet2DModel

from onnx_file import Manifest, tiles, write

PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v", "sample": "sample"}


class Plain(torch.nn.Module):
    """The network with tensors in and a tensor out."""

    def __init__(self, unet):
        super().__init__()
        self.unet = unet

    def forward(self, x, t):
        return self.unet(x, t, return_dict=False)[0]


def first_config(loader, source, folders):
    """The first configuration among the sub-folders of `source`, and its sub-folder."""
    for folder in folders:
        try:
            return loader.load_config(source, subfolder=folder), folder
        except OSError:
            continue
    return None, None


def refuse(source, expected, found):
    raise SystemExit(f"{source}: expected {expected}, found {found}")


def schedule(scheduler, source):
    """Noise schedule and prediction for the manifest, from a scheduler's configuration."""
    steps = scheduler["num_train_timesteps"]
    kind = scheduler["beta_schedule"]
    betas = {"beta_start": scheduler["beta_start"], "beta_end": scheduler["beta_end"]}
    kinds = {
        "linear": {"kind": "linear", **betas, "steps": steps},
        "scaled_linear": {"kind": "scaled-linear", **betas, "steps": steps},
        "squaredcos_cap_v2": {"kind": "cosine", "steps": steps},
    }
    if kind not in kinds or scheduler.get("trained_betas") is not None:
        refuse(source, f"beta_schedule among {', '.join(kinds)}", kind)
    if scheduler.get("rescale_betas_zero_snr"):
        refuse(source, "betas as trained", "rescale_betas_zero_snr")
    prediction = scheduler.get("prediction_type", "epsilon")
    if prediction not in PREDICTIONS:
        refuse(source, f"prediction_type among {', '.join(PREDICTIONS)}", prediction)
    return kinds[kind], PREDICTIONS[prediction]


def manifest(config, scheduler, licence, source="UNet2DModel"):
    """What the program must know, from the configurations of network and scheduler."""
    channels, outputs = config["in_channels"], config["out_channels"]
    if config.get("time_embedding_type", "positional") != "positional":
        refuse(source, "a network told the timestep", config["time_embedding_type"])
    if config.get("class_embed_type") or config.get("num_class_embeds"):
        refuse(source, "an unconditional network", "one with classes")
    if channels not in (1, 3) or outputs not in (channels, 2 * channels):
        refuse(source, "1 or 3 channels, and at the output as many or twice", f"{channels} and {outputs}")
    noise, prediction = schedule(scheduler, source)
    multiple = 2 ** (len(config["block_out_channels"]) - 1)
    side = config.get("sample_size") or 256
    tile, halo = tiles(side if isinstance(side, int) else min(side), multiple)
    return Manifest(
        licence=licence, prediction=prediction, conditioning="timestep", schedule=noise,
        multiple=multiple, tile=tile, halo=halo, channels=channels,
        output_channels=outputs if outputs != channels else None)


def export(source, path, licence, half=False):
    """Returns the largest difference to PyTorch, relative to the largest output."""
    config, folder = first_config(UNet2DModel, source, ["unet", None])
    if config is None or config.get("_class_name") != "UNet2DModel":
        refuse(source, "a UNet2DModel", config["_class_name"] if config else "no configuration")
    scheduler, _ = first_config(DDPMScheduler, source, ["scheduler", None])
    if scheduler is None:
        print("no scheduler beside the network: taken to be that of DDPM (linear, epsilon)")
    # Fills in what an older version did not write down.
    scheduler = DDPMScheduler.from_config(scheduler or {}).config
    facts = manifest(config, scheduler, licence, source)
    unet = UNet2DModel.from_pretrained(
        source, subfolder=folder, torch_dtype=torch.float32, low_cpu_mem_usage=False)
    return write(Plain(unet), path, facts, half)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="folder or name on the hub")
    parser.add_argument("onnx")
    parser.add_argument("--licence", required=True, help="licence of the weights")
    parser.add_argument("--half", action="store_true", help="store weights in half precision")
    a = parser.parse_args()
    difference = export(a.source, a.onnx, a.licence, a.half)
    print(f"largest difference to PyTorch, relative to the largest output: {difference:.1e}")


if __name__ == "__main__":
    main()
