"""Builds the corpus: photographs from Debian packages and from folders.

    python corpus.py OUT [--package NAME]... [--folder DIR]... [--no-packages]

Packages are fetched with `apt-get download` and unpacked without installing
them. Every picture is shrunk with Lanczos to at most 1.6 megapixels, which
also removes most compression artefacts, and written once: smaller copies of
the same picture, smooth artwork and pictures used for evaluation are left
out. OUT/sources.csv says where each came from and under which licence: what a
package's copyright file says, and for a folder the table in its SOURCES.md
(columns file, source, licence).
"""
import argparse
import csv
import fnmatch
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import evaluate
from data import EXTENSIONS, texture

PACKAGES = ("lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04", "ukui-wallpapers", "mate-backgrounds",
            "plasma-workspace-wallpapers")
MOST_PIXELS, LEAST_PIXELS, LEAST_TEXTURE = 1.6e6, 0.5e6, 0.75
Image.MAX_IMAGE_PIXELS = None


def thumbnail(image):
    """24x24 gray values without mean, of unit length: a dot product compares two pictures."""
    gray = np.asarray(image.convert("L").resize((24, 24), Image.BOX), np.float64).ravel()
    gray -= gray.mean()
    return gray / (np.linalg.norm(gray) + 1e-9)


def shrink(image):
    scale = (MOST_PIXELS / (image.width * image.height)) ** 0.5
    if scale >= 1:
        return image
    return image.resize((int(image.width * scale), int(image.height * scale)), Image.LANCZOS)


def candidates(folder):
    """Pictures anywhere under `folder`, largest files first, so that a smaller copy is the one left out."""
    files = [p for p in Path(folder).rglob("*")
             if p.suffix.lower() in EXTENSIONS and p.is_file() and not p.is_symlink()]
    return sorted(files, key=lambda p: (-p.stat().st_size, str(p)))


def copyright_of(text, name):
    """The licence that a Debian copyright file states for a file of that name: that of the last
    `Files` that match it."""
    found = "see its copyright file"
    for paragraph in text.split("\n\n"):
        fields = re.split(r"^(\S+):", paragraph, flags=re.MULTILINE)
        fields = dict(zip(fields[1::2], fields[2::2]))
        patterns = fields.get("Files", "").split()
        patterns = [Path(pattern).name for pattern in patterns if not pattern.startswith("debian/")]
        if "License" in fields and any(fnmatch.fnmatch(name.lower(), p.lower()) for p in patterns):
            found = fields["License"].split("\n")[0].strip()
    return found


def stated(folder):
    """(source, licence) by file name, from the table of a folder's SOURCES.md, if it has one."""
    path, rows, columns = Path(folder) / "SOURCES.md", {}, None
    for line in path.read_text().splitlines() if path.exists() else ():
        if not line.startswith("|"):
            columns = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        columns = columns or cells
        row = dict(zip(columns, cells))
        if {"file", "source", "licence"} <= row.keys():
            rows[row["file"]] = row["source"], row["licence"]
    return rows


class Builder:
    def __init__(self, out):
        self.out, self.rows = out, []
        self.seen = [thumbnail(Image.fromarray(evaluate.picture(n))) for n in evaluate.CROPS]

    def add(self, path, source, licence):
        try:
            image = Image.open(path)
            if image.width * image.height < LEAST_PIXELS:
                return
            image = shrink(ImageOps.exif_transpose(image).convert("RGB"))
        except OSError as error:
            print(f"left out {path}: {error}")
            return
        mark, rough = thumbnail(image), texture(np.asarray(image))
        if rough < LEAST_TEXTURE or any(mark @ other > 0.98 for other in self.seen):
            return
        self.seen.append(mark)
        stem = self.stem(path)
        name = f"{len(self.rows):04d}-{''.join(c if c.isalnum() else '_' for c in stem.lower())}.jpg"
        image.save(self.out / name, quality=95, subsampling=0)
        self.rows.append([name, image.width, image.height, f"{rough:.1f}", source, licence])

    @staticmethod
    def stem(path):
        """The name of a picture, which in some packages is that of its folder."""
        return path.parents[2].name if path.parent.name.startswith("images") else path.stem

    def package(self, name):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["apt-get", "download", name], cwd=folder, check=True)
            archive, = Path(folder).glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", archive, "files"], cwd=folder, check=True)
            files = Path(folder) / "files"
            copyright_file = files / "usr/share/doc" / name / "copyright"
            text = copyright_file.read_text(errors="replace") if copyright_file.exists() else ""
            (self.out / f"{name}.copyright").write_text(text)
            version = archive.name.split("_")[1].replace("%3a", ":")
            for path in candidates(files):
                self.add(path, f"Debian {name} {version}", copyright_of(text, path.name))

    def folder(self, folder):
        known = stated(folder)
        for path in candidates(folder):
            self.add(path, *known.get(path.name, (f"folder {Path(folder).name}", "none stated")))

    def finish(self):
        with open(self.out / "sources.csv", "w", newline="") as file:
            csv.writer(file).writerows([["file", "width", "height", "texture", "source", "licence"], *self.rows])
        print(f"{len(self.rows)} pictures in {self.out}")


def build(out, packages=PACKAGES, folders=()):
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.jpg"):
        old.unlink()
    builder = Builder(out)
    for name in packages:
        builder.package(name)
    for folder in folders:
        builder.folder(folder)
    builder.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--package", action="append", default=[], help="in place of the default ones")
    parser.add_argument("--folder", action="append", default=[], type=Path)
    parser.add_argument("--no-packages", action="store_true")
    arguments = parser.parse_args()
    names = () if arguments.no_packages else arguments.package or PACKAGES
    build(arguments.out, names, arguments.folder)
