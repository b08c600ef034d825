"""Supervised pretraining of vision tower and projector: `python train_vision.py RUN_FOLDER POOL SECONDS`.

Run again, it goes on from RUN_FOLDER/vision.pt.

Linear heads read, from each pooled video token, what the renderer knows of that cell of the frame: colour and shape
of the object there, where its centre is, its radius, and the scene. The heads are thrown away afterwards.
"""

import csv
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import model as embedded
import tokenizer as words_tokenizer
from pixels import pixels
from words import COLOURS, SCENES, SHAPES

RATE, CLIPS, HELD_OUT = 1e-3, 16, 100
SIZES = {"colour": len(COLOURS) + 1, "shape": len(SHAPES) + 1, "scene": len(SCENES), "where": 3}


def nearest(objects: torch.Tensor):
    """(N, things, 5) to, per pooled cell, the number of its nearest object, whether it is there, and all the gaps."""
    grid = embedded.POOLED
    axis = (torch.arange(grid) + 0.5) / grid
    cy, cx = (c.flatten() for c in torch.meshgrid(axis, axis, indexing="ij"))
    colour, _, x, y, radius = (objects[:, :, k, None] for k in range(5))
    gap = torch.maximum((cx - x).abs(), (cy - y).abs()) - (0.5 / grid + 0.85 * radius)
    gap = gap.masked_fill(colour < 0, 9.0)
    return gap.argmin(1), gap.amin(1) < -0.03, gap


def targets(objects: torch.Tensor):
    """(N, things, 5) to, per pooled cell, the colour and shape (0 is none), centre and radius of its object."""
    grid = embedded.POOLED
    which, there, gap = nearest(objects)
    colour, shape, x, y, radius = (objects[:, :, k, None].expand_as(gap).gather(1, which[:, None])[:, 0] for k in range(5))
    where = torch.stack([(x - 0.5) * grid, (y - 0.5) * grid, radius * 10 - 1.5], -1)
    return (colour.long() + 1) * there, (shape.long() + 1) * there, where, there


def main(run: str, pool: str, seconds: float) -> None:
    torch.set_num_threads(1)
    tok = words_tokenizer.build()
    net = embedded.build(tok, "eager")  # the flash kernel's backward is slow on short rows
    frames, known = np.load(f"{pool}.npy", mmap_mode="r"), np.load(f"{pool}.npz")
    objects, scenes = torch.tensor(known["objects"]), torch.tensor(known["scenes"])
    width = net.config.text_config.hidden_size
    heads = nn.ModuleDict({name: nn.Linear(width, size) for name, size in SIZES.items()})
    vision = [*net.model.vision_tower.parameters(), *net.model.multi_modal_projector.parameters()]
    if os.path.exists(f"{run}/vision.pt"):
        kept = torch.load(f"{run}/vision.pt", weights_only=True)
        net.load_state_dict(kept["model"], strict=False)
        heads.load_state_dict(kept["heads"])
    optimiser = torch.optim.AdamW([*vision, *heads.parameters()], lr=RATE, betas=(0.9, 0.98), weight_decay=0.02)

    def losses(rows):
        with torch.autocast("cpu", torch.bfloat16):
            tokens = embedded.video_features(net, pixels(frames[rows])).float()
        normed = F.rms_norm(tokens, (width,)).view(-1, embedded.POOLED**2, width)
        said = {name: head(normed) for name, head in heads.items()}
        colour, shape, where, there = targets(objects[rows].flatten(0, 1))
        scene = scenes[rows].flatten()[:, None].expand_as(colour)
        parts = {
            "colour": F.cross_entropy(said["colour"].flatten(0, 1), colour.flatten()),
            "shape": F.cross_entropy(said["shape"][there], shape[there]),
            "scene": F.cross_entropy(said["scene"].flatten(0, 1), scene.flatten()),
            "where": (said["where"] - where)[there].pow(2).mean() * 2,
        }
        right = {"colour": (said["colour"].argmax(-1) == colour)[there], "shape": (said["shape"].argmax(-1) == shape)[there],
                 "empty": (said["colour"].argmax(-1) == 0)[~there], "scene": said["scene"].argmax(-1) == scene}
        right = {name: round(value.float().mean().item(), 4) for name, value in right.items()}
        return sum(parts.values()), right, round(parts["where"].item() / 2, 4), tokens

    rng, log, start, step = np.random.default_rng(0), csv.writer(open(f"{run}/vision.csv", "a", buffering=1)), time.time(), 0
    log.writerow(["step", "seconds", "loss", "colour", "shape", "empty", "scene", "where_mse"])
    held = np.arange(len(frames) - HELD_OUT, len(frames))
    while True:
        done = (time.time() - start) / seconds
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 50) * max(0.02, min(1.0, 2 * (1 - done)))
        loss, *_ = losses(np.sort(rng.choice(len(frames) - HELD_OUT, CLIPS, replace=False)))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vision, 1.0)
        optimiser.step()
        step += 1
        if step % 50 == 0 or done >= 1:
            with torch.no_grad():
                loss, right, where, tokens = losses(held)
            log.writerow([step, round(time.time() - start, 1), round(loss.item(), 4), *right.values(), where])
        if done >= 1:
            break
    with torch.no_grad():
        scale = net.get_input_embeddings().weight.pow(2).mean().sqrt() / tokens.pow(2).mean().sqrt()
        net.model.multi_modal_projector.linear_2.weight.mul_(scale)
        net.model.multi_modal_projector.linear_2.bias.mul_(scale)
    kept = {name: value for name, value in net.state_dict().items() if "language_model" not in name and "lm_head" not in name}
    torch.save({"model": kept, "heads": heads.state_dict()}, f"{run}/vision.pt")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
