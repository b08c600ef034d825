"""Encodes held-out clips with one prompt file for all: `python make_dataset.py OUT CLIPS_PER_TASK`.

For `npx flowprobe dataset OUT/heldout.vqa.json`: knockout curves averaged over clips that training never saw.
"""

import json
import os
import sys

from heldout import COUNT, FIRST_SEED, SIZE, VP9
from make_samples import encode
from render import frames
from tasks import TASKS, make


def main(out: str, count: int) -> None:
    os.makedirs(out, exist_ok=True)
    questions = []
    for task in TASKS:
        for seed in range(FIRST_SEED, FIRST_SEED + count):
            item, webm = make(task, seed), seed % 4 == 0
            name = f"{task.replace(' ', '-')}-{seed - FIRST_SEED:04}"
            video = name + (".webm" if webm else ".mp4")
            codec, options = ("libvpx-vp9", VP9) if webm else ("libx264", {"crf": "26", "preset": "veryfast"})
            if not os.path.exists(f"{out}/{video}"):
                encode(f"{out}/{video}", frames(item.clip, COUNT, SIZE), codec, options)
            questions.append({"id": name, "task": task, "video": video, "question": item.question,
                              "options": item.options, "answer": item.answer, "keywords": item.keywords})
    with open(f"{out}/heldout.vqa.json", "w") as file:
        json.dump({"questions": questions}, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
