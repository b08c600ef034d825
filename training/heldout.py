"""Held-out clips through a real encoder: `python heldout.py OUT_FOLDER CLIPS_PER_TASK MODEL_FOLDER`.

Each clip is rendered from a seed that training never uses, written as H.264 (VP9 for every fourth seed), decoded
again, sampled as the reference samples, and put through the exported model's own image processor.
"""

import os
import sys
import tempfile

import av
import numpy as np
from transformers import AutoImageProcessor

from make_samples import encode
from render import frames, sample_indices
from tasks import TASKS, make

FIRST_SEED, SIZE, COUNT = 20_000_000, 256, 32
VP9 = {"crf": "34", "b": "0", "deadline": "realtime", "cpu-used": "8"}


def decoded(path: str) -> list:
    """The sampled frames of a video file."""
    with av.open(path) as file:
        images = [frame.to_image() for frame in file.decode(video=0)]
    return [images[i] for i in sample_indices(len(images))]


def encoded(item, seed: int) -> list:
    webm = seed % 4 == 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "clip.webm" if webm else "clip.mp4")
        codec, options = ("libvpx-vp9", VP9) if webm else ("libx264", {"crf": "26", "preset": "veryfast"})
        encode(path, frames(item.clip, COUNT, SIZE), codec, options)
        return decoded(path)


def main(out: str, count: int, model: str) -> None:
    os.makedirs(out, exist_ok=True)
    processor = AutoImageProcessor.from_pretrained(model)
    for start in range(0, count, 20):  # all tasks grow together, so that a part of the set can be used early
        for task in TASKS:
            path = f"{out}/{task.replace(' ', '-')}-{start:04}.npy"
            if not os.path.exists(path):
                seeds = range(FIRST_SEED + start, FIRST_SEED + min(start + 20, count))
                pixels = [processor(encoded(make(task, s), s), return_tensors="pt").pixel_values.numpy() for s in seeds]
                np.save(path, np.stack(pixels))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
