"""The tasks: each makes a clip with a question whose answer depends on what happens over time."""

import numpy as np

from identity import THREE_CUPS, TWO_BALLS, three_cups, two_balls
from items import HIDDEN, Item, asked, during, pick, places, ramp, seen_on, shuffled
from render import Clip, Thing, still
from words import COLOURS, DIRECTIONS, NUMBERS, SCENES, SHAPES

TASKS = ["moving direction", "action sequence", "object count", "scene transition", "action antonym", TWO_BALLS,
         THREE_CUPS]
IDENTITY = [TWO_BALLS, THREE_CUPS]


def direction(rng) -> Item:
    scene, shape, way = pick(rng, SCENES), pick(rng, SHAPES), pick(rng, DIRECTIONS)
    colour = seen_on(rng, scene)
    centre, across, reach = 0.5 + rng.uniform(-0.06, 0.06), rng.uniform(0.22, 0.78), rng.uniform(0.26, 0.32)
    sign = 1 if way in ("Right", "Down") else -1
    along = ramp(centre - sign * reach, centre + sign * reach)
    x, y = (along, still(across)) if way in ("Left", "Right") else (still(across), along)
    name = f"{colour} {shape}"
    question = asked(rng, ["In which direction does the {n} move?", "What is the moving direction of the {n}?",
                           "Which way does the {n} go?"], n=name)
    clip = Clip([Thing(colour, shape, x, y, still(rng.uniform(0.10, 0.14)))], lambda t: {scene: 1.0}, 2.0,
                int(rng.integers(1 << 30)))
    options = shuffled(rng, way, [d for d in DIRECTIONS if d != way])
    key = next(w for w in ("direction", "way") if w in question)
    return Item(TASKS[0], clip, question, options, way, [key], *[f"the {name} moves {way.lower()}"] * 2,
                lambda t: way.lower())


def sequence(rng) -> Item:
    scene, shapes = pick(rng, SCENES), pick(rng, SHAPES, 2)
    colours = seen_on(rng, scene, 2)
    names = [f"{c} {s}" for c, s in zip(colours, shapes)]
    change = rng.uniform(0.44, 0.56)
    spans = [(-1.0, change), (change, 2.0)]
    things = [
        Thing(c, s, still(rng.uniform(0.25, 0.75)), still(rng.uniform(0.25, 0.75)), still(rng.uniform(0.12, 0.16)),
              during(*span))
        for c, s, span in zip(colours, shapes, spans)
    ]
    answer, reverse = f"{names[0]} then {names[1]}", f"{names[1]} then {names[0]}"
    question = asked(rng, ["In which order do the objects appear?", "What is the order of the objects?",
                           "What happens first and what happens next?"])
    clip = Clip(things, lambda t: {scene: 1.0}, 2.0, int(rng.integers(1 << 30)))
    key = "order" if "order" in question else "first"
    return Item(TASKS[1], clip, question, shuffled(rng, answer, [reverse]), answer, [key], answer, answer,
                lambda t: colours[int(t > change)])


def count(rng) -> Item:
    number, shapes, scene = int(rng.integers(1, 5)), pick(rng, SHAPES, 2), pick(rng, SCENES)
    names = list(zip(seen_on(rng, scene, 2), shapes))
    # Always four objects, one after another: how many are of the asked kind is seen in no single frame.
    kinds = [names[0]] * number + [names[1]] * (4 - number)
    kinds = [kinds[i] for i in rng.permutation(len(kinds))]
    edges = np.linspace(0, 1, len(kinds) + 1)
    edges[0], edges[-1] = -1, 2
    things = [
        Thing(*k, still(x), still(y), still(rng.uniform(0.11, 0.15)), during(edges[i], edges[i + 1]))
        for i, (k, (x, y)) in enumerate(zip(kinds, places(rng, len(kinds), 0.2, 0.8, 0.3)))
    ]
    name = " ".join(names[0])
    question = asked(rng, ["How many {n}s appear in the video?", "How many {n}s are seen over time?"], n=name)
    clip = Clip(things, lambda t: {scene: 1.0}, 2.0, int(rng.integers(1 << 30)))
    options = shuffled(rng, str(number), [n for n in NUMBERS if n != str(number)])
    plural = "" if number == 1 else "s"

    def so_far(t):
        now = int(np.searchsorted(edges, t, "right")) - 1
        return str(kinds[: now + 1].count(kinds[now]))

    return Item(TASKS[2], clip, question, options, str(number), ["many"], f"{number} {name}{plural}",
                " then ".join(map(" ".join, kinds)), so_far)


def transition(rng) -> Item:
    first, second, third = pick(rng, SCENES, 3)
    change = rng.uniform(0.4, 0.6)

    def scene(t):
        mix = float(np.clip((t - change) / 0.12 + 0.5, 0, 1))
        return {first: 1 - mix, second: mix}

    colour, shape = seen_on(rng, first), pick(rng, SHAPES)
    thing = Thing(colour, shape, still(rng.uniform(0.25, 0.75)), still(rng.uniform(0.3, 0.7)), still(0.11))
    answer = f"from {first} to {second}"
    # The scene that all options share is the first or the second one, so the options alone give nothing away.
    shared = pick(rng, [first, second])
    others = [f"from {second} to {first}", f"from {shared} to {third}", f"from {third} to {shared}"]
    question = asked(rng, ["What is the scene transition in the video?", "How does the scene change?"])
    clip = Clip([thing], scene, 2.0, int(rng.integers(1 << 30)))
    return Item(TASKS[3], clip, question, shuffled(rng, answer, others), answer, ["scene"],
                *[f"the scene changes {answer}"] * 2,
                lambda t: first if t < change else second)


def antonym(rng) -> Item:
    """Sizes and gaps at the start overlap with those at the end, so that one frame seldom tells which it is."""
    scene, shape = pick(rng, SCENES), pick(rng, SHAPES)
    colour = seen_on(rng, scene)
    seed = int(rng.integers(1 << 30))
    first = bool(rng.integers(2))
    if rng.integers(2):
        small = np.exp(rng.uniform(np.log(0.06), np.log(0.15)))
        large = small * rng.uniform(1.5, 1.8)
        radius = ramp(small, large) if first else ramp(large, small)
        things = [Thing(colour, shape, still(rng.uniform(0.35, 0.65)), still(rng.uniform(0.35, 0.65)), radius)]
        pair, name, many, words = ["grows", "shrinks"], f"{colour} {shape}", "does", ["grows", "shrinks"]
    else:
        second = pick(rng, [c for c in COLOURS if c != colour and c not in HIDDEN.get(scene, ())])
        near, y = rng.uniform(0.11, 0.30), rng.uniform(0.3, 0.7)
        far = near + rng.uniform(0.08, 0.10)
        gap = ramp(near, far) if first else ramp(far, near)
        things = [Thing(colour, shape, lambda t: 0.5 - gap(t), still(y), still(0.09)),
                  Thing(second, shape, lambda t: 0.5 + gap(t), still(y), still(0.09))]
        pair, name, many = ["move apart", "move towards each other"], f"two {shape}s", "do"
        words = ["apart", "towards"]
    answer, opposite = pair if first else pair[::-1]
    question = asked(rng, ["What {m} the {n} do?", "What is the action of the {n}?"], m=many, n=name)
    clip = Clip(things, lambda t: {scene: 1.0}, 2.0, seed)
    key = "action" if "action" in question else "do"
    return Item(TASKS[4], clip, question, shuffled(rng, answer, [opposite]), answer, [key],
                *[f"the {name} {answer}"] * 2, lambda t: words[int(not first)])


MAKERS = dict(zip(TASKS, [direction, sequence, count, transition, antonym, two_balls, three_cups]))


def make(task: str, seed: int, mark: str | None = None) -> Item:
    """The clip of a task and a seed; `mark` fixes the colour that tells the asked object (tasks of identity only)."""
    rng = np.random.default_rng((TASKS.index(task), seed))
    return MAKERS[task](rng, mark) if task in IDENTITY else MAKERS[task](rng)
