"""From nothing to the shipped files: corpus, training, evaluation, export, plot.

    python run.py OUT [--model NAME]... [--folder DIR]... [--no-packages] [--program DDNM]

Builds every model of the recipe, or the named ones. Started again after an interruption, it goes on where it was.
"""
import argparse
import subprocess
import sys
import tomllib
from pathlib import Path

import torch

import corpus
import evaluate
import export
import prune
import shipped
import tasks

HERE = Path(__file__).parent


def build(name, recipe, out, pictures, program, options):
    """Trains, exports and evaluates one model; its stages go on from one another."""
    model, log = recipe["model"][name], out / f"{name}.csv"
    before = None
    if "larger" in model:
        larger, before = last(out, recipe, model["larger"]), out / f"{name}-cut.ckpt"
        prune.make(larger, before, model["net"])
        options = [*options, "--teacher", larger]
    for stage in model["stages"]:
        run, done = out / f"{stage}.ckpt", out / f"{stage}.done"
        if not done.exists():
            command = [sys.executable, HERE / "train.py", pictures, run, "--model", name, "--stage", stage,
                       "--log", log, *options]
            command += ["--init", before] if before else []
            if recipe["stage"][stage].get("unroll"):
                command += ["--starts", starts(out, pictures, program)]
            subprocess.run(command, check=True)
            done.touch()
        before = run
    exported = out / f"{name}.onnx"
    print("largest difference to PyTorch:", export.export(before, exported))
    net = evaluate.load(exported)
    table = f"{name}\n{evaluate.report(net)}\n{tasks.report(net)}\n"
    (out / f"{name}.txt").write_text(table)
    subprocess.run([sys.executable, HERE / "plot.py", log, out / f"{name}.svg"], check=True)
    print(table)


def starts(out, pictures, program):
    """The program's own classical starts, for stages that go through restorations."""
    folder, done = out / "starts", out / "starts.done"
    if not done.exists():
        subprocess.run([sys.executable, HERE / "starts.py", pictures, folder, "--program", program], check=True)
        done.touch()
    return folder


def last(out, recipe, name):
    """The checkpoint of a model's last stage: trained here, or the weights that are shipped."""
    trained = out / f"{recipe['model'][name]['stages'][-1]}.ckpt"
    if trained.exists():
        return trained
    weights = out / f"{name}-shipped.ckpt"
    shipped.checkpoint(name, weights, recipe)
    return weights


def main(args):
    recipe = tomllib.loads(args.recipe.read_text())
    pictures = args.out / "corpus"
    pictures.mkdir(parents=True, exist_ok=True)
    if not (pictures / "sources.csv").exists():
        corpus.build(pictures, () if args.no_packages else corpus.PACKAGES, args.folder)
    options = ["--recipe", args.recipe] + (["--pause", args.pause] if args.pause else [])
    for name in args.model or recipe["model"]:
        build(name, recipe, args.out, pictures, args.program, options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", action="append", help="of the recipe; all, unless named")
    parser.add_argument("--folder", action="append", default=[], type=Path)
    parser.add_argument("--no-packages", action="store_true", help="train on the folders alone")
    parser.add_argument("--program", type=Path, default=HERE.parents[1] / "target/release/ddnm",
                        help="its classical estimates are what restorations start from in training")
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.toml")
    parser.add_argument("--pause", type=Path, help="training waits while this file exists")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    main(arguments)
