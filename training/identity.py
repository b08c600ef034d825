"""Tasks of identity: objects that look alike, one of which shows another colour in the first frame alone.

Which one is asked about is known later only by following it from frame to frame: no single frame gives the answer,
and neither do the first and the last one together.
"""

import numpy as np

from items import HIDDEN, Item, asked, during, pick, seen_on, shuffled
from render import Clip, Curve, Thing, still
from words import COLOURS, SCENES, SHAPES

MARKED = 0.10  # until when the asked object shows its own colour: the first of the eight sampled frames only
TWO_BALLS, THREE_CUPS = "two balls", "three cups"


def smooth(times: np.ndarray, values: np.ndarray) -> Curve:
    """A curve through the points without kinks (cubic Hermite), still before the first and after the last of them."""
    slopes = np.concatenate([[0.0], (values[2:] - values[:-2]) / (times[2:] - times[:-2]), [0.0]])

    def at(t: float) -> float:
        t = float(np.clip(t, times[0], times[-1]))
        i = min(int(np.searchsorted(times, t, "right")) - 1, len(times) - 2)
        step = times[i + 1] - times[i]
        u = (t - times[i]) / step
        return float((2 * u**3 - 3 * u**2 + 1) * values[i] + (u**3 - 2 * u**2 + u) * step * slopes[i]
                     + (3 * u**2 - 2 * u**3) * values[i + 1] + (u**3 - u**2) * step * slopes[i + 1])

    return at


def followed(rng, task: str, paths: list[tuple[Curve, Curve]], where, names: list[str], mark: str | None) -> Item:
    """Objects on these paths; the first one is asked about. `where(t)` is the number of its place in `names` at t."""
    scene, shape = pick(rng, SCENES), pick(rng, SHAPES)
    own = mark or seen_on(rng, scene)
    base = pick(rng, [c for c in COLOURS if c != own and c not in HIDDEN.get(scene, ())])
    radius = still(rng.uniform(0.10, 0.125))
    things = [Thing(base, shape, x, y, radius) for x, y in paths]
    things.append(Thing(own, shape, *paths[0], radius, during(-1.0, MARKED)))  # painted over the first of them
    name, answer = f"{own} {shape}", names[where(1.0)]
    question = asked(rng, ["Where is the {n} at the end?", "Where does the {n} go over time?"], n=name)
    clip = Clip(things, lambda t: {scene: 1.0}, 2.0, int(rng.integers(1 << 30)))
    options = shuffled(rng, answer, [n for n in names if n != answer])
    return Item(task, clip, question, options, answer, ["Where"], f"the {name} is {answer}",
                f"the {name} is {names[where(0.0)]} then {answer}", lambda t: names[where(t)])


def two_balls(rng, mark: str | None = None) -> Item:
    """Two objects turn about their middle by 0, 180 or 360 degrees, either way, at uneven speed.

    They turn by at most 58 degrees from one sampled frame to the next, so that the nearest one is the same one.
    """
    times = np.linspace(0.04, 0.92, 8)  # about where the sampled frames lie
    turns = int(rng.choice([-2, -1, 0, 1, 2], p=[0.1, 0.25, 0.3, 0.25, 0.1]))  # before the steps, whose bound favours few
    while True:
        first = int(rng.integers(2)) * 180
        start, end = first + rng.uniform(-25, 25), first + 180 * turns + rng.uniform(-25, 25)
        steps = rng.uniform(-55, 55, 4)[[0, 0, 1, 1, 2, 2, 3]] + rng.uniform(-8, 8, 7)
        steps += (end - start - steps.sum()) / 7
        if np.abs(steps).max() <= 58:
            break
    angle = smooth(times, np.radians(start + np.concatenate([[0], np.cumsum(steps)])))
    cx, cy, r = 0.5 + rng.uniform(-0.06, 0.06), 0.5 + rng.uniform(-0.06, 0.06), rng.uniform(0.22, 0.28)
    path = lambda side: (lambda t: cx + side * r * np.cos(angle(t)), lambda t: cy - side * r * np.sin(angle(t)))
    return followed(rng, TWO_BALLS, [path(1), path(-1)], lambda t: int(np.cos(angle(t)) > 0), ["left", "right"], mark)


def three_cups(rng, mark: str | None = None) -> Item:
    """The shell game: one or two swaps of two of three objects in a row, each along half an ellipse."""
    xs, y0 = [0.2, 0.5, 0.8], 0.5 + rng.uniform(-0.05, 0.05)
    spans = [(0.09, 0.48), (0.50, 0.89)]
    if rng.integers(2):
        begin = rng.uniform(0.09, 0.48)
        spans = [(begin, begin + 0.40)]
    slots = [[int(i) for i in rng.permutation(3)]]  # slots[k][n]: where object n is after k swaps
    ways = []
    for _ in spans:
        a, b = (int(i) for i in rng.choice(3, 2, replace=False))
        slots.append([b if s == a else a if s == b else s for s in slots[-1]])
        ways.append(1 if rng.integers(2) else -1)

    def place(n: int, t: float) -> tuple[float, float]:
        for k, (begin, end) in enumerate(spans):
            old, new = slots[k][n], slots[k + 1][n]
            if t < begin:
                return xs[old], y0
            if t < end and old != new:
                middle, half = (xs[old] + xs[new]) / 2, (xs[old] - xs[new]) / 2
                phase = np.pi * (t - begin) / (end - begin)
                height = min(abs(half), 0.22) * np.sin(phase)
                return middle + half * np.cos(phase), y0 + ways[k] * np.sign(half) * height
        return xs[slots[-1][n]], y0

    path = lambda n: (lambda t: float(place(n, t)[0]), lambda t: float(place(n, t)[1]))
    nearest = lambda t: int(np.argmin([abs(place(0, t)[0] - x) for x in xs]))
    return followed(rng, THREE_CUPS, [path(n) for n in range(3)], nearest, ["left", "middle", "right"], mark)
