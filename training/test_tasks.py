"""`python -m unittest` in this folder: what the clips must be like for their questions to need the video."""

import unittest
from collections import Counter

import numpy as np

from identity import MARKED, smooth
from items import HIDDEN
from pool import TOTAL, known
from render import frame, sample_indices
from tasks import IDENTITY, TASKS, make
from tokenizer import build
from words import COLOURS

SEEDS = range(600)
TIMES = np.array(sample_indices(TOTAL)) / (TOTAL - 1)


def best_guess(pairs) -> float:
    """The accuracy of the best guess of the second from the first."""
    by = {}
    for seen, answer in pairs:
        by.setdefault(seen, Counter())[answer] += 1
    return sum(max(c.values()) for c in by.values()) / len(pairs)


def places(item, times):
    """(objects, times, 2) centres of the objects that look alike."""
    return np.array([[[thing.x(t), thing.y(t)] for t in times] for thing in item.clip.things[:-1]])


class Tasks(unittest.TestCase):
    def test_answers_are_among_the_options_and_spread_evenly(self):
        for task in TASKS:
            items = [make(task, seed) for seed in SEEDS]
            letters = Counter(item.options.index(item.answer) for item in items)
            for item in items:
                self.assertEqual(len(set(item.options)), len(item.options))
            for number in range(len(items[0].options)):
                self.assertAlmostEqual(letters[number] / len(items), 1 / len(items[0].options), delta=0.07, msg=task)

    def test_seeds_repeat(self):
        for task in TASKS:
            one, two = make(task, 5), make(task, 5)
            self.assertEqual((one.question, one.options, one.story), (two.question, two.options, two.story))
            self.assertTrue((frame(one.clip, 0.3, 32) == frame(two.clip, 0.3, 32)).all())


class Identity(unittest.TestCase):
    def test_ends_say_nothing_about_each_other(self):
        for task, chance in zip(IDENTITY, (1 / 2, 1 / 3)):
            pairs = [item.story.split(" is ")[1].split(" then ") for item in (make(task, seed) for seed in SEEDS)]
            self.assertLess(best_guess(pairs), chance + 0.06, task)

    def test_the_mark_is_seen_in_the_first_frame_alone(self):
        for task in IDENTITY:
            for seed in range(50):
                item = make(task, seed)
                colours = [{COLOURS[int(row[0])] for row in known(item.clip, t)[0] if row[0] >= 0} for t in TIMES]
                self.assertEqual(len(colours[0]), 2)
                self.assertIn(item.question.split(" the ")[1].split()[0], colours[0])
                self.assertTrue(all(len(later) == 1 for later in colours[1:]))
                self.assertTrue(TIMES[0] < MARKED - 0.03 < MARKED + 0.03 < TIMES[1])

    def test_the_asked_object_is_listed_first(self):
        for task in IDENTITY:
            item = make(task, 3)
            mark = item.clip.things[-1]
            rows, _ = known(item.clip, 0.0)
            self.assertEqual(COLOURS[int(rows[0, 0])], mark.colour)
            self.assertEqual((rows[:, 0] >= 0).sum(), 2 if task == "two balls" else 3)

    def test_the_nearest_ball_is_the_same_one(self):
        for seed in range(200):
            at = places(make("two balls", seed), TIMES)
            for old, new in zip(at.swapaxes(0, 1)[:-1], at.swapaxes(0, 1)[1:]):
                gaps = np.linalg.norm(old[:, None] - new[None], axis=-1)
                self.assertEqual(gaps.argmin(1).tolist(), [0, 1], seed)

    def test_cups_never_meet(self):
        for seed in range(200):
            at = places(make("three cups", seed), np.linspace(0, 1, 60))
            for a, b in ((0, 1), (0, 2), (1, 2)):
                self.assertGreater(np.linalg.norm(at[a] - at[b], axis=-1).min(), 0.12, seed)

    def test_every_word_is_a_token(self):
        tok = build()
        for task in IDENTITY:
            for seed in range(100):
                item = make(task, seed)
                text = " ".join([item.question, *item.options, item.sentence, item.story, *map(item.word, TIMES)])
                self.assertFalse([p for p in tok.tokenize(text) if p.startswith("##")], text)

    def test_the_mark_can_be_fixed(self):
        for task in IDENTITY:
            self.assertTrue(all(make(task, seed, "red").clip.things[-1].colour == "red" for seed in range(20)))
            self.assertGreater(len({make(task, seed).clip.things[-1].colour for seed in range(40)}), 4)

    def test_colours_stand_out(self):
        for task in IDENTITY:
            for seed in range(100):
                clip = make(task, seed).clip
                (scene,) = clip.scene(0.0)
                self.assertFalse({thing.colour for thing in clip.things} & {*HIDDEN.get(scene, ())})

    def test_a_smooth_curve_passes_through_its_points(self):
        times, values = np.linspace(0, 1, 5), np.array([0.0, 1.0, -1.0, 2.0, 2.0])
        curve = smooth(times, values)
        np.testing.assert_allclose([curve(t) for t in times], values)
        self.assertEqual((curve(-1.0), curve(2.0)), (0.0, 2.0))


class Antonym(unittest.TestCase):
    def test_no_size_or_gap_at_one_end_gives_it_away(self):
        for at in (0.0, 1.0):
            sizes, gaps = [], []
            for seed in range(2000):
                item = make("action antonym", seed)
                things = item.clip.things
                if len(things) == 1:
                    sizes.append((round(np.log(things[0].radius(at)) / 0.15), item.answer))
                else:
                    gaps.append((round((things[1].x(at) - things[0].x(at)) / 0.03), item.answer))
            self.assertLess(best_guess(sizes), 0.85)
            self.assertLess(best_guess(gaps), 0.85)


if __name__ == "__main__":
    unittest.main()
