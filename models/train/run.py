"""From nothing to the shipped files: corpus, training, evaluation, export, plot.

    python run.py OUT [--folder DIR]... [--no-packages]

Started again after an interruption, it goes on where it was.
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
import tasks

HERE = Path(__file__).parent


def main(out, folders, packages, recipe_file, pause):
    recipe = tomllib.loads(recipe_file.read_text())
    out.mkdir(parents=True, exist_ok=True)
    pictures, log = out / "corpus", out / "train.csv"
    if not (pictures / "sources.csv").exists():
        corpus.build(pictures, packages, folders)
    before = None
    for stage in recipe["stages"]:
        run, done = out / f"{stage}.ckpt", out / f"{stage}.done"
        if not done.exists():
            command = [sys.executable, HERE / "train.py", pictures, run, "--stage", stage,
                       "--recipe", recipe_file, "--log", log]
            command += ["--init", before] if before else []
            command += ["--pause", pause] if pause else []
            subprocess.run(command, check=True)
            done.touch()
        before = run
    shipped = out / f"{recipe['name']}.onnx"
    print("largest difference to PyTorch:", export.export(before, shipped))
    net = evaluate.load(shipped)
    table = f"{evaluate.report(net)}\n{tasks.report(net)}\n"
    (out / "quality.txt").write_text(table)
    subprocess.run([sys.executable, HERE / "plot.py", log, out / "train.svg"], check=True)
    print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--folder", action="append", default=[], type=Path)
    parser.add_argument("--no-packages", action="store_true", help="train on the folders alone")
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.toml")
    parser.add_argument("--pause", type=Path, help="training waits while this file exists")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    main(arguments.out, arguments.folder, () if arguments.no_packages else corpus.PACKAGES,
         arguments.recipe, arguments.pause)
