"""`python -m unittest` in this folder: what the losses of training are given, on clips rendered here."""

import json
import tempfile
import unittest

import numpy as np
import torch

import decoder
import model as embedded
import tokenizer as words_tokenizer
from losses import Losses
from packing import Packer, frame_ends
from pool import seen
from pools import Pools
from tasks import IDENTITY, TASKS
from tracking import FLAG_LAYERS, Flags
from train_vision import nearest, targets

WIDTH = 160


def rendered(folder: str, tasks: list[str], each: int) -> str:
    """A pool of few clips, with random features in place of the vision's."""
    made = [seen((task, seed, None)) for seed in range(each) for task in tasks]
    with open(f"{folder}/pool.json", "w") as file:
        json.dump([row[1] for row in made], file)
    np.savez(f"{folder}/pool.npz", objects=np.stack([row[2] for row in made]), scenes=np.stack([row[3] for row in made]))
    features = torch.randn(len(made), embedded.VIDEO_TOKENS, WIDTH, generator=torch.Generator().manual_seed(0))
    np.save(f"{folder}/pool.features.npy", features.bfloat16().view(torch.int16).numpy())
    return f"{folder}/pool"


class WithPool(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.set_num_threads(1)
        cls.folder = tempfile.TemporaryDirectory()
        cls.pool = rendered(cls.folder.name, TASKS, 3)
        cls.tok = words_tokenizer.build()
        cls.net = embedded.build(cls.tok, "eager")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()


class PoolsTest(WithPool):
    def test_features_come_back_as_they_were(self):
        features = torch.randn(21, embedded.VIDEO_TOKENS, WIDTH, generator=torch.Generator().manual_seed(0))
        self.assertTrue(torch.equal(Pools([self.pool, self.pool]).video([2, 23]), features[[2, 2]].bfloat16().float()))

    def test_tasks_have_their_shares(self):
        data = Pools([self.pool])
        share = data.weights({"two balls": 3.0, "object count": 1.0})
        by_task = np.bincount(data.tasks, share, len(TASKS))
        self.assertAlmostEqual(by_task[TASKS.index("two balls")], 0.75)
        self.assertAlmostEqual(by_task[TASKS.index("object count")], 0.25)
        self.assertIsNone(data.weights(None))


class FlagsTest(WithPool):
    def test_a_cell_belongs_to_the_nearest_object(self):
        objects = torch.tensor([[[0, 0, 0.125, 0.125, 0.1], [1, 1, 0.875, 0.625, 0.1], [-1, -1, -1, -1, -1]]])
        which, there, _ = nearest(objects)
        self.assertEqual((which[0, 0].item(), which[0, 11].item()), (0, 1))
        self.assertEqual(there[0].nonzero().flatten().tolist(), [0, 11])
        colour, shape, where, _ = targets(objects)
        self.assertEqual((colour[0, 0].item(), colour[0, 11].item(), colour[0, 5].item()), (1, 2, 0))
        torch.testing.assert_close(where[0, 11], torch.tensor([1.5, 0.5, -0.5]))

    def test_heads_that_know_lose_nothing(self):
        objects = torch.tensor(Pools([self.pool]).objects[[TASKS.index(t) for t in IDENTITY]])
        which, _, _ = nearest(objects.flatten(0, 1))
        asked = (which == 0).view(len(objects), -1, 1).float() * 2 - 1
        flags = Flags(WIDTH)
        for head in flags.heads.values():
            torch.nn.init.zeros_(head.bias)
            torch.nn.init.constant_(head.weight, 1.0)
        video = asked.expand(-1, -1, WIDTH)
        prefix = torch.cat([torch.randn(len(objects), 3, WIDTH), video], 1)  # system text in front
        for first in (0, 1):
            loss, right = flags.loss({layer: prefix for layer in FLAG_LAYERS}, objects, first)
            self.assertLess(loss.item(), 1e-6)
            self.assertTrue((right == 1).all())
        loss, right = flags.loss({layer: -prefix for layer in FLAG_LAYERS}, objects, 0)
        self.assertGreater(loss.item(), 100)
        self.assertTrue((right == 0).all())

    def test_flags_alone_move_only_the_layers_up_to_the_last_watched(self):
        plan = {"shares": {"flags": 1.0}, "flag_clips": 2, "system": 2}
        losses = Losses(self.net, self.tok, plan, [self.pool], 0, run=decoder.layer)
        self.net.zero_grad()
        losses.of("flags", 0.0, 1.0).backward()
        moved = [n for n, part in enumerate(self.net.model.language_model.layers) if part.mlp.up_proj.weight.grad is not None]
        self.assertEqual(moved, list(range(max(FLAG_LAYERS) + 1)))
        self.assertIsNone(self.net.lm_head.weight.grad)


class Words(WithPool):
    def test_captions_after_frames_begin_with_what_was_seen(self):
        texts = Pools([self.pool]).texts[: len(TASKS)]
        labels = Packer(self.tok, 0).moments(texts)
        self.assertTrue((labels[:, 0] == -100).all())
        for text, row in zip(texts, labels[:, 1:].tolist()):
            self.assertEqual(self.tok.convert_ids_to_tokens(row), text["moments"][1:])

    def test_the_last_token_of_each_frame_is_found(self):
        prefix = torch.arange(2 + embedded.VIDEO_TOKENS)[None, :, None]
        self.assertEqual(frame_ends(prefix).flatten().tolist(), [2 + 16 * n + 15 for n in range(embedded.FRAMES)])

    def test_both_kinds_of_a_counting_clip_are_asked(self):
        texts = [t for t in Pools([self.pool]).texts if t["task"] == "object count" and len(set(t["story"].split(" then "))) == 2]
        packer, kinds = Packer(self.tok, 0), set()
        for _ in range(20):
            ids = packer.clips(texts[:1], 1, 2)["choice"][0, 0]
            kinds.add(self.tok.decode(ids).split("many ")[1].split(" appear")[0].split(" are")[0])
        self.assertEqual(len(kinds), 2)


class Weights(unittest.TestCase):
    def test_a_larger_vocabulary_keeps_the_rows_it_had(self):
        tok = words_tokenizer.build()
        net, grown = embedded.build(tok), embedded.build(tok)
        state = {name: value.clone() + 1 for name, value in net.state_dict().items()}
        for name in ("model.language_model.embed_tokens.weight", "lm_head.weight"):
            state[name] = state[name][:-4]
        with tempfile.TemporaryDirectory() as folder:
            torch.save({"model": state}, f"{folder}/old.pt")
            embedded.load(grown, f"{folder}/old.pt")
        torch.testing.assert_close(grown.lm_head.weight[:-4], state["lm_head.weight"])
        torch.testing.assert_close(grown.lm_head.weight[-4:], net.lm_head.weight[-4:])


if __name__ == "__main__":
    unittest.main()
