"""Renders training clips ahead of time: `python pool.py OUT FIRST_SEED SEEDS_PER_TASK`. Seeds < 10,000,000."""

import json
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from PIL import Image, ImageFilter

from render import frame, sample_indices
from tasks import TASKS, make

DRAWN, SEEN, TOTAL = 128, 64, 48


def seen(job: tuple[str, int]):
    """One clip as the model will see it: sampled with jitter, lightly blurred or compressed sizes, resized."""
    task, seed = job
    item, rng = make(task, seed), np.random.default_rng((7, seed))
    blur = rng.uniform(0, 0.8)
    pictures = []
    for index in sample_indices(TOTAL):
        t = float(np.clip((index + rng.uniform(-1, 1)) / (TOTAL - 1), 0, 1))
        image = Image.fromarray(frame(item.clip, t, DRAWN)).filter(ImageFilter.GaussianBlur(blur))
        pictures.append(np.asarray(image.resize((SEEN, SEEN), Image.BICUBIC)))
    text = {key: getattr(item, key) for key in ("task", "question", "options", "answer", "sentence")}
    return np.stack(pictures), text


def main(out: str, first: int, count: int) -> None:
    jobs = [(task, seed) for seed in range(first, first + count) for task in TASKS]
    with ProcessPoolExecutor(2) as workers:
        made = list(workers.map(seen, jobs, chunksize=20))
    np.save(f"{out}.npy", np.stack([pictures for pictures, _ in made]))
    with open(f"{out}.json", "w") as file:
        json.dump([text for _, text in made], file)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
