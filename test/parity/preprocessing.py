"""Image preprocessing: frames of several sizes through CLIP's image processor in several configurations."""
from __future__ import annotations

import gzip
import json
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPImageProcessor

from frames import clip

CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
HALF = [0.5, 0.5, 0.5]
SAMPLES = Path(__file__).parents[2] / "samples"


def pattern(height: int, width: int) -> np.ndarray:
    """A large picture that needs no file: reckoned from its coordinates, here and in the reader."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    return (((x * 7 + y * 13 + c * 31) ^ ((x * y) >> 3)) & 255).astype(np.uint8)


def sample_frame(name: str, index: int, rows: slice, columns: slice) -> np.ndarray:
    """A piece of a decoded frame of a sample clip."""
    with av.open(str(SAMPLES / name)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i == index:
                return np.ascontiguousarray(frame.to_ndarray(format="rgb24")[rows, columns])
    raise ValueError(f"{name} has no frame {index}")


SOURCES = {
    "landscape": lambda: clip(31, 1, 97, 131)[0],
    "portrait": lambda: clip(32, 1, 120, 68)[0],
    "tiny": lambda: clip(33, 1, 20, 33)[0],
    "sample": lambda: sample_frame("moving-direction-1.mp4", 12, slice(40, 200), slice(None)),
}
PATTERNS = {"pattern-720p": (720, 1280), "pattern-1080p": (1080, 1920), "pattern-tall": (301, 170)}

# name: source, size, crop, further keys of preprocessor_config.json, every n-th row kept
CASES = {
    "landscape-to-56": ("landscape", {"shortest_edge": 56}, {"height": 56, "width": 56}, {}, 1),
    "portrait-to-56-bare-numbers": ("portrait", 56, 56, {}, 1),
    "landscape-larger-than-crop": ("landscape", {"shortest_edge": 64}, {"height": 48, "width": 60}, {}, 1),
    "portrait-smaller-than-crop": ("portrait", {"shortest_edge": 30}, {"height": 48, "width": 41}, {}, 1),
    "landscape-to-exact-size": ("landscape", {"height": 40, "width": 52}, {"height": 40, "width": 40}, {}, 1),
    "landscape-no-crop": ("landscape", {"height": 48, "width": 48}, {"height": 30, "width": 30},
                          {"do_center_crop": False}, 1),
    "landscape-no-resize": ("landscape", {"shortest_edge": 56}, {"height": 50, "width": 51}, {"do_resize": False}, 1),
    "portrait-bilinear": ("portrait", {"shortest_edge": 45}, {"height": 45, "width": 45}, {"resample": 2}, 1),
    "tiny-to-336": ("tiny", {"shortest_edge": 336}, {"height": 336, "width": 336}, {}, 24),
    "tiny-to-64-other-mean": ("tiny", {"shortest_edge": 64}, {"height": 64, "width": 64},
                              {"image_mean": HALF, "image_std": HALF}, 1),
    "sample-to-64": ("sample", {"shortest_edge": 64}, {"height": 64, "width": 64}, {}, 1),
    "sample-to-336": ("sample", {"shortest_edge": 336}, {"height": 336, "width": 336}, {}, 24),
    "pattern-720p-to-56": ("pattern-720p", {"shortest_edge": 56}, {"height": 56, "width": 56}, {}, 1),
    "pattern-1080p-to-336": ("pattern-1080p", {"shortest_edge": 336}, {"height": 336, "width": 336}, {}, 24),
    "pattern-tall-to-70": ("pattern-tall", {"shortest_edge": 70}, {"height": 70, "width": 70}, {}, 1),
}


def make_preprocessing(folder: Path) -> None:
    folder.mkdir(parents=True)
    pictures, sources = {}, {}
    for name, make in SOURCES.items():
        pictures[name] = make()
        (folder / f"{name}.rgb.gz").write_bytes(gzip.compress(pictures[name].tobytes(), 9, mtime=0))
        sources[name] = {"height": pictures[name].shape[0], "width": pictures[name].shape[1],
                         "file": f"{name}.rgb.gz"}
    for name, (height, width) in PATTERNS.items():
        pictures[name] = pattern(height, width)
        sources[name] = {"height": height, "width": width}

    tensors, told = {}, []
    for name, (source, size, crop, keys, every) in CASES.items():
        config = {"image_processor_type": "CLIPImageProcessor", "do_resize": True, "do_center_crop": True,
                  "do_normalize": True, "resample": 3, "image_mean": CLIP_MEAN, "image_std": CLIP_STD,
                  "size": size, "crop_size": crop, **keys}
        values = CLIPImageProcessor(**config)(Image.fromarray(pictures[source]), return_tensors="pt")["pixel_values"][0]
        mean, std = (torch.tensor(config[k])[:, None, None] for k in ("image_mean", "image_std"))
        picture = ((values * std + mean) * 255).round().byte()
        torch.testing.assert_close((picture / 255 - mean) / std, values, rtol=0, atol=1e-6)
        tensors[name] = picture.permute(1, 2, 0)[::every].contiguous()
        told.append({"name": name, "source": source, "processor": config,
                     "height": picture.shape[1], "width": picture.shape[2], "everyNthRow": every})
        if name == "tiny-to-64-other-mean":
            tensors[f"{name}.pixel_values"] = values[:, ::16].contiguous()
    save_file(tensors, folder / "expected.safetensors")
    (folder / "expected.json").write_text(json.dumps({"sources": sources, "cases": told}, indent=1) + "\n")
