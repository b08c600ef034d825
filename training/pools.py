"""Rendered clips for training, with the features that the frozen vision makes of them.

`python pools.py CHECKPOINT POOL ...` computes the features of pools rendered by pool.py, once for all phases. The
checkpoint is a .pt file of training or an exported folder; its vision tower and projector are those that stay.
"""

import json
import sys

import numpy as np
import torch

import model as embedded
import tokenizer as words_tokenizer
from pixels import pixels
from tasks import TASKS

AT_ONCE = 20


class Pools:
    """Clips of one or more pools: their texts, what the renderer knows of them, and their video features."""

    def __init__(self, paths: list[str]):
        self.texts = []
        for path in paths:
            with open(f"{path}.json") as file:
                self.texts += json.load(file)
        known = [np.load(f"{path}.npz") for path in paths]
        self.objects = np.concatenate([k["objects"] for k in known])
        self.scenes = np.concatenate([k["scenes"] for k in known])
        self.features = [np.load(f"{path}.features.npy", mmap_mode="r") for path in paths]
        self.starts = np.cumsum([0, *(len(f) for f in self.features)])
        assert self.starts[-1] == len(self.texts) == len(self.objects)
        self.tasks = np.array([TASKS.index(text["task"]) for text in self.texts])

    def weights(self, of_tasks: dict[str, float] | None) -> np.ndarray | None:
        """How often each clip is drawn, so that the tasks have these shares; None draws all clips alike."""
        if of_tasks is None:
            return None
        wanted = np.array([of_tasks.get(task, 0.0) for task in TASKS])
        share = wanted[self.tasks] / np.bincount(self.tasks, minlength=len(TASKS))[self.tasks]
        return share / share.sum()

    def video(self, rows) -> torch.Tensor:
        """(rows, video tokens, width), float32."""
        pools = np.searchsorted(self.starts, rows, "right") - 1
        kept = np.stack([self.features[p][i - self.starts[p]] for p, i in zip(pools, rows)])
        return torch.from_numpy(kept).view(torch.bfloat16).float()


@torch.no_grad()
def main(checkpoint: str, paths: list[str]) -> None:
    torch.set_num_threads(1)
    net = embedded.build(words_tokenizer.build())
    embedded.load(net, checkpoint)
    for path in paths:
        frames = np.load(f"{path}.npy", mmap_mode="r")
        made = np.empty((len(frames), embedded.VIDEO_TOKENS, net.config.text_config.hidden_size), np.int16)
        for at in range(0, len(frames), AT_ONCE):
            with torch.autocast("cpu", torch.bfloat16):
                features = embedded.video_features(net, pixels(frames[at : at + AT_ONCE]))
            made[at : at + AT_ONCE] = features.bfloat16().view(torch.int16).numpy()
        np.save(f"{path}.features.npy", made)  # bfloat16, which numpy does not know, as the bits of int16


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
