"""Held-out clips through a real encoder: `python heldout.py OUT_FOLDER CLIPS_PER_TASK [TASK ...]`.

Each clip is rendered from a seed that training never uses and written as H.264 (VP9 for every fourth seed), with one
prompt file for all: OUT_FOLDER/heldout.vqa.json, which evaluate.py and `npx flowprobe dataset` read. Clips that are
there already stay.
"""

import json
import os
import sys

import av

from make_samples import encode
from render import frames, sample_indices
from tasks import TASKS, make

FIRST_SEED, SIZE, COUNT = 20_000_000, 256, 32
H264 = {"crf": "26", "preset": "veryfast"}
VP9 = {"crf": "34", "b": "0", "deadline": "realtime", "cpu-used": "8"}


def decoded(path: str) -> list:
    """The sampled frames of a video file."""
    with av.open(path) as file:
        images = [frame.to_image() for frame in file.decode(video=0)]
    return [images[i] for i in sample_indices(len(images))]


def main(out: str, count: int, *tasks: str) -> None:
    os.makedirs(out, exist_ok=True)
    questions = []
    for seed in range(FIRST_SEED, FIRST_SEED + count):  # all tasks grow together, so that a part can be used early
        for task in tasks or TASKS:
            item, webm = make(task, seed), seed % 4 == 0
            name = f"{task.replace(' ', '-')}-{seed - FIRST_SEED:04}"
            video = name + (".webm" if webm else ".mp4")
            if not os.path.exists(f"{out}/{video}"):
                codec, options = ("libvpx-vp9", VP9) if webm else ("libx264", H264)
                encode(f"{out}/new-{video}", frames(item.clip, COUNT, SIZE), codec, options)
                os.replace(f"{out}/new-{video}", f"{out}/{video}")
            questions.append({"id": name, "task": task, "video": video, "question": item.question,
                              "options": item.options, "answer": item.answer, "keywords": item.keywords})
    with open(f"{out}/heldout.vqa.json", "w") as file:
        json.dump({"questions": questions}, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
