"""A clip with its question, and what every task's maker uses to draw one at random."""

from dataclasses import dataclass, field
from typing import Callable

import numpy as np

from render import Clip
from words import COLOURS

# Colours that do not stand out against a scene.
HIDDEN = {"forest": ("green",), "desert": ("orange", "yellow"), "sunset": ("orange", "purple"), "night": ("blue",),
          "beach": ("yellow",)}


def nothing(t: float) -> None:
    return None


@dataclass
class Item:
    task: str
    clip: Clip
    question: str
    options: list[str]
    answer: str
    keywords: list[str]
    sentence: str  # the answer in words, for open-ended questions
    story: str  # what happens in the video
    word: Callable[[float], str | None] = field(default=nothing)  # what is seen at time t, told by the frames so far


def ramp(a: float, b: float):
    return lambda t: a + (b - a) * t


def during(start: float, end: float):
    """Opacity of something seen from start to end, with short fades."""
    return lambda t: float(np.clip(min(t - start, end - t) / 0.03 + 0.5, 0, 1))


def pick(rng, values, count=1):
    chosen = [values[i] for i in rng.choice(len(values), count, replace=False)]
    return chosen[0] if count == 1 else chosen


def asked(rng, templates, **words):
    return pick(rng, templates).format(**words)


def seen_on(rng, scene: str, count=1):
    """Colours that stand out against the scene."""
    return pick(rng, [c for c in COLOURS if c not in HIDDEN.get(scene, ())], count)


def places(rng, count: int, low: float, high: float, apart: float) -> list[tuple[float, float]]:
    """Random points; each is at least `apart` from the one before it."""
    points = []
    while len(points) < count:
        point = tuple(rng.uniform(low, high, 2))
        if not points or np.hypot(point[0] - points[-1][0], point[1] - points[-1][1]) >= apart:
            points.append(point)
    return points


def shuffled(rng, answer, others):
    return [[answer, *others][i] for i in rng.permutation(1 + len(others))]
