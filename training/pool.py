"""Renders training clips ahead: `python pool.py OUT FIRST_SEED SEEDS_PER_TASK [PROCESSES [mark=COLOUR] [TASK ...]]`.

Seeds < 10,000,000. `mark` fixes the colour that tells the asked object in the tasks of identity.

Writes OUT.npy (clips as the model sees them), OUT.json (their texts) and OUT.npz (what the renderer knows of each
frame: the objects seen and the scene, for the vision pretraining and the auxiliary loss).
"""

import io
import json
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from PIL import Image, ImageFilter

from render import frame, sample_indices
from tasks import TASKS, make
from words import COLOURS, SCENES, SHAPES

DRAWN, SEEN, TOTAL, SEEN_AT_ONCE = 128, 64, 48, 3


def known(clip, t: float):
    """The objects seen at t as rows of (colour, shape, x, y, radius), -1 where there is none; and the main scene."""
    rows = np.full((SEEN_AT_ONCE, 5), -1, np.float32)
    visible = {}
    for thing in clip.things:
        if thing.alpha(t) > 0.4:  # what is painted at the same place later hides what was there
            visible[round(thing.x(t), 6), round(thing.y(t), 6)] = thing
    for row, thing in zip(rows, visible.values()):
        row[:] = COLOURS.index(thing.colour), SHAPES.index(thing.shape), thing.x(t), thing.y(t), thing.radius(t)
    weights = clip.scene(t)
    return rows, SCENES.index(max(weights, key=weights.get))


def worn(image: Image.Image, rng) -> Image.Image:
    """Light wear: a blur, and half of the time the blocks of a lossy encoder."""
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.8)))
    if rng.random() < 0.5:
        return image
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(40, 90)))
    return Image.open(buffer)


def seen(job: tuple[str, int, str | None]):
    """One clip as the model will see it: sampled with jitter, worn, resized; with its text and what is known of it."""
    task, seed, mark = job
    item, rng = make(task, seed, mark), np.random.default_rng((7, seed))
    pictures, objects, scenes, moments = [], [], [], []
    for index in sample_indices(TOTAL):
        t = float(np.clip((index + rng.uniform(-1, 1)) / (TOTAL - 1), 0, 1))
        image = worn(Image.fromarray(frame(item.clip, t, DRAWN)), rng)
        pictures.append(np.asarray(image.resize((SEEN, SEEN), Image.BICUBIC)))
        rows, scene = known(item.clip, t)
        objects.append(rows)
        scenes.append(scene)
        moments.append(item.word(t))
    text = {key: getattr(item, key) for key in ("task", "question", "options", "answer", "sentence", "story")}
    text["moments"] = moments
    return np.stack(pictures), text, np.stack(objects), np.array(scenes, np.int64)


def main(out: str, first: str, count: str, processes: str = "1", *rest: str) -> None:
    seeds = range(int(first), int(first) + int(count))
    mark = next((word.removeprefix("mark=") for word in rest if word.startswith("mark=")), None)
    tasks = [word for word in rest if not word.startswith("mark=")]
    jobs = [(task, seed, mark) for seed in seeds for task in tasks or TASKS]
    with ProcessPoolExecutor(int(processes)) as workers:
        made = list(workers.map(seen, jobs, chunksize=20))
    np.save(f"{out}.npy", np.stack([row[0] for row in made]))
    with open(f"{out}.json", "w") as file:
        json.dump([row[1] for row in made], file)
    np.savez(f"{out}.npz", objects=np.stack([row[2] for row in made]), scenes=np.stack([row[3] for row in made]))


if __name__ == "__main__":
    main(*sys.argv[1:])
