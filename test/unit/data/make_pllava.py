"""Remakes pllava.json: what the reference's own processor makes of frames, as SHA-256 of its 8-bit pictures.

Run by hand: python make_pllava.py CHECKOUT (with transformers, numpy, pillow): a checkout of byminji/map-the-flow (arXiv 2510.13251), whose
models/pllava/processing_pllava.py is run as it is. The frames are those of make_resize.py.
"""
import hashlib
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from transformers import CLIPImageProcessorPil

HERE = Path(__file__).parent
FILTERS = {"bilinear": 2, "bicubic": 3}
# Frames of a clip (width, height), side of the model, filter of the checkpoint's own processor.
CASES = [([size], side, "bicubic") for side in (336, 64) for size in [
    (854, 480), (1280, 720), (1920, 1080), (720, 1280), (480, 854), (640, 480), (1024, 768), (320, 240), (426, 240),
    (320, 320), (192, 128), (1000, 40), (641, 640), (30, 17)]]
CASES += [([size], 448, "bicubic") for size in [(1024, 768), (1280, 720), (768, 1024)]]
CASES += [([size], 336, "bilinear") for size in [(854, 480), (320, 240)]]
# Sizes whose ratio rounds such that a row or column is cut off, or the shorter side loses a pixel.
CASES += [([size], 336, "bicubic") for size in [(415, 420), (388, 359), (466, 438), (441, 359)]]
# A folder of images: all follows the first.
CASES += [([(854, 480), (640, 480), (300, 500)], 336, "bicubic"), ([(480, 854), (854, 480)], 336, "bicubic")]


def noise(width: int, height: int) -> Image.Image:
    x, y, c = (a.astype(np.uint32) for a in np.meshgrid(range(width), range(height), range(3), indexing="xy"))
    mixed = x * np.uint32(73856093) ^ y * np.uint32(19349663) ^ c * np.uint32(83492791)
    return Image.fromarray(((mixed * np.uint32(2654435761)) >> np.uint32(24)).astype(np.uint8))


def reference(checkout: str):
    path = Path(checkout) / "models/pllava/processing_pllava.py"
    spec = importlib.util.spec_from_file_location("processing_pllava", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PllavaProcessor


class Bare:
    """The reference's processor without a tokenizer, which its base class would ask for."""

    def __init__(self, cls, side: int, resample: int):
        self.cls = cls
        self.image_processor = CLIPImageProcessorPil(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}, resample=resample,
            do_rescale=False, do_normalize=False)
        self.center_pad, self.shortest_edge, self.longest_edge = False, 336, 762

    def resize_crop_longshort(self, *args):
        return self.cls.resize_crop_longshort(self, *args)

    def resize(self, *args, **kwargs):
        return self.cls.resize(self, *args, **kwargs)

    def __call__(self, frames):
        return self.cls.__call__(self, images=frames, return_tensors=None)["pixel_values"]


def main() -> None:
    cls = reference(sys.argv[1])
    found = []
    for sizes, side, resample in CASES:
        values = Bare(cls, side, FILTERS[resample])([noise(*size) for size in sizes])
        assert values.shape == (len(sizes), 3, side, side) and (values == np.round(values)).all()
        pictures = np.ascontiguousarray(values.astype(np.uint8).transpose(0, 2, 3, 1))
        found.append({"frames": sizes, "side": side, "resample": resample,
                      "sha256": hashlib.sha256(pictures.tobytes()).hexdigest()})
    (HERE / "pllava.json").write_text("[\n" + ",\n".join("  " + json.dumps(case) for case in found) + "\n]\n")


main()
