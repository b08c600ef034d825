"""Auxiliary losses at middle layers, used early in training and faded out: what goes on in a frame, which option is true.

The event heads read the mean of a frame's video tokens after layer 5 (of 12) and must tell what one frame cannot:
the motion, the first frame's scene and object, and how many objects of each colour were seen so far. The option head
reads the last token of every option after layer 8.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from model import FRAMES, VIDEO_TOKENS
from words import COLOURS, SCENES, SHAPES

EVENT_LAYER, OPTION_LAYER = 4, 7
MOTIONS = ["Up", "Down", "Left", "Right", "grows", "shrinks", "move apart", "move towards each other"]
SIZES = {"motion": 1 + len(MOTIONS), "scene": len(SCENES), "colour": 1 + len(COLOURS), "shape": 1 + len(SHAPES),
         **{f"count of {colour}": 5 for colour in COLOURS}}


def events(texts: list[dict], objects: np.ndarray, scenes: np.ndarray) -> np.ndarray:
    """Labels (clips, frames, heads); -100 where a head is not asked."""
    labels = np.full((len(texts), FRAMES, len(SIZES)), -100)
    for clip, text in enumerate(texts):
        labels[clip, 1:, 0] = MOTIONS.index(text["answer"]) + 1 if text["answer"] in MOTIONS else 0
        labels[clip, 1:, 1] = scenes[clip, 0]
        labels[clip, 1:, 2:4] = objects[clip, 0, 0, :2] + 1
        if text["task"] == "object count":
            met = set()
            for frame in range(FRAMES):
                met |= {(int(o[0]), round(float(o[2]), 3), round(float(o[3]), 3)) for o in objects[clip, frame] if o[0] >= 0}
                labels[clip, frame, 4:] = [sum(colour == n for colour, *_ in met) for n in range(len(COLOURS))]
    return labels


class Heads(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.event, self.option = nn.Linear(width, sum(SIZES.values())), nn.Linear(width, 1)

    def event_loss(self, prefix: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        video = prefix[:, -VIDEO_TOKENS:]
        frames = video.view(len(video), FRAMES, -1, video.shape[-1]).mean(2)
        said = self.event(F.rms_norm(frames, frames.shape[-1:])).split(list(SIZES.values()), -1)
        parts = [F.cross_entropy(s.flatten(0, 1), labels[..., n].flatten(), ignore_index=-100, reduction="sum")
                 / (labels[..., n] >= 0).sum().clamp(min=1) for n, s in enumerate(said)]
        return sum(parts[:4]) / 4 + sum(parts[4:]) / 2

    def option_loss(self, segments: torch.Tensor, made: dict) -> torch.Tensor:
        ends = made["ends"]
        at = ends.clamp(min=0)[..., None].expand(*ends.shape, segments.shape[-1])
        hidden = segments.gather(2, at)
        scores = self.option(F.rms_norm(hidden, hidden.shape[-1:]))[..., 0].masked_fill(ends < 0, -1e9)
        return F.cross_entropy(scores.flatten(0, 1), made["true"].flatten())
