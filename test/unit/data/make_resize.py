"""Remakes resize.json: what Pillow's Image.resize gives for noise, as SHA-256 of its bytes.

Run by hand: python make_resize.py. The noise is a hash of the coordinates, so the test makes its own.
"""
import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
SIZES = [((61, 43), (20, 14)), ((61, 43), (100, 90)), ((61, 43), (61, 20)), ((61, 43), (30, 43)), ((61, 43), (7, 90)),
         ((61, 43), (61, 43)), ((1, 1), (9, 5)), ((200, 3), (11, 1)), ((640, 360), (597, 336)), ((90, 160), (336, 597))]


def noise(width: int, height: int) -> Image.Image:
    x, y, c = (a.astype(np.uint32) for a in np.meshgrid(range(width), range(height), range(3), indexing="xy"))
    mixed = x * np.uint32(73856093) ^ y * np.uint32(19349663) ^ c * np.uint32(83492791)
    return Image.fromarray(((mixed * np.uint32(2654435761)) >> np.uint32(24)).astype(np.uint8))


cases = []
for (width, height), (to_width, to_height) in SIZES:
    for name, number in FILTERS.items():
        out = noise(width, height).resize((to_width, to_height), resample=number)
        cases.append({"from": [width, height], "to": [to_width, to_height], "resample": name,
                      "sha256": hashlib.sha256(out.tobytes()).hexdigest()})
body = ",\n".join("  " + json.dumps(case) for case in cases)
(Path(__file__).parent / "resize.json").write_text("[\n" + body + "\n]\n")
