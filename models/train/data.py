"""The corpus in memory, and the batches drawn from it.

Every batch depends only on (seed, step), so that a resumed run sees exactly
the batches that an uninterrupted one would have seen.
"""
from pathlib import Path

import numpy as np
import torch
from PIL import Image

STARTS = ("bayer", "missing")    # what starts.py makes
EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp"}


def pictures(folder):
    return sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in EXTENSIONS)


def texture(picture):
    """Mean absolute vertical difference of every second pixel."""
    coarse = picture[::2, ::2].astype(np.float32).mean(2)
    return np.abs(np.diff(coarse, axis=0)).mean()


class Corpus:
    """All pictures of a folder, each also shrunk to 0.6 of its size, as uint8 arrays."""

    def __init__(self, folder):
        self.pictures = []
        for path in pictures(folder):
            image = Image.open(path).convert("RGB")
            small = image.resize((int(image.width * 0.6), int(image.height * 0.6)), Image.LANCZOS)
            self.pictures += [np.asarray(image), np.asarray(small)]
        if not self.pictures:
            raise SystemExit(f"no pictures in {folder}")
        weight = [np.sqrt(p.shape[0] * p.shape[1]) * np.clip(texture(p), 0.6, 3.0) ** 0.7
                  for p in self.pictures]
        self.cumulative = np.cumsum(weight) / np.sum(weight)

    places = 2  # that are looked at for one patch

    def patch(self, rng, side):
        """One patch: the most textured of some places, turned and flipped."""
        picture = self.pictures[np.searchsorted(self.cumulative, rng.random())]
        places = []
        for _ in range(self.places):
            y = rng.integers(picture.shape[0] - side + 1)
            x = rng.integers(picture.shape[1] - side + 1)
            place = picture[y:y + side, x:x + side]
            rows = place[::2, ::2, 1].astype(np.int16)
            places.append((np.abs(np.diff(rows, axis=0)).mean(), place))
        place = max(places, key=lambda p: p[0])[1]
        turn = rng.integers(8)
        place = place[::-1] if turn & 1 else place
        place = place[:, ::-1] if turn & 2 else place
        place = place.transpose(1, 0, 2) if turn & 4 else place
        return place[:, :, rng.permutation(3)] if rng.random() < 0.15 else place

    def batch(self, rng, count, side):
        """[count,3,side,side] in [-1,1]; one batch in ten with less contrast."""
        stack = np.stack([self.patch(rng, side) for _ in range(count)])
        x = torch.from_numpy(stack).permute(0, 3, 1, 2).float() / 127.5 - 1
        if rng.random() < 0.1:
            x = x * float(rng.uniform(0.6, 1)) + float(rng.uniform(-0.2, 0.2))
        return x


class Starts:
    """Scenes beside the program's classical starts of one kind of restoration, as starts.py made them."""

    def __init__(self, folder, kind):
        self.parts = [np.asarray(Image.open(path)) for path in sorted(Path(folder).glob(f"*.{kind}.png"))]
        if not self.parts:
            raise SystemExit(f"no starts of {kind} in {folder}")

    def batch(self, rng, count, side):
        """(scenes, masks, starts), each [count,3,side,side]; scenes and starts in [-1,1]."""
        places = []
        for _ in range(count):
            part = self.parts[rng.integers(len(self.parts))]
            height, width = part.shape[0] // 3, part.shape[1]
            y, x = rng.integers(height - side + 1), rng.integers(width - side + 1)
            place = part.reshape(3, height, width, 3)[:, y:y + side, x:x + side]
            turn = rng.integers(8)
            place = place[:, ::-1] if turn & 1 else place
            place = place[:, :, ::-1] if turn & 2 else place
            places.append(place.transpose(0, 2, 1, 3) if turn & 4 else place)
        whole = torch.from_numpy(np.stack(places, 1)).permute(0, 1, 4, 2, 3).float() / 127.5 - 1
        return whole[0], (whole[1] > 0).float(), whole[2]
