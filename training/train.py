"""Joint training on clips, answers in words and recall: `python train.py RUN_FOLDER POOL`. Resumes where it stopped.

Starts from RUN_FOLDER/letters.pt (train_letters.py) when there is no joint checkpoint yet.
"""

import csv
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

import model as embedded
import tokenizer as words_tokenizer
from curriculum import Recall
from packing import Packer

RATE, VISION_RATE, CLIPS, RECALL_SHARE = 1e-3, 5e-4, 16, 0.25


def pixels(batch: np.ndarray) -> torch.Tensor:
    """(B, T, H, W, 3) uint8 to normalised (B, T, 3, H, W)."""
    scaled = torch.from_numpy(batch).float().permute(0, 1, 4, 2, 3) / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    return (scaled - mean) / std


def clip_loss(net, packer, frames, texts):
    ids, mask, places, labels = packer.batch(texts)
    embeds = net.get_input_embeddings()(ids)
    video = embedded.video_features(net, pixels(frames))
    at = (ids == packer.image)[..., None]
    embeds = embeds.masked_scatter(at, video.to(embeds.dtype))
    hidden = embedded.decoder_hidden(net, embeds, mask, places)
    chosen = labels >= 0
    return F.cross_entropy(net.lm_head(hidden[chosen]).float(), labels[chosen])


def recall_loss(net, recall):
    ids, labels = recall.batch("d", 48)
    hidden = net.model.language_model(input_ids=ids, use_cache=False).last_hidden_state
    chosen = labels >= 0
    return F.cross_entropy(net.lm_head(hidden[chosen]).float(), labels[chosen])


def main(run: str, pool: str, steps: int) -> None:
    torch.set_num_threads(2)
    tok = words_tokenizer.build()
    net = embedded.build(tok, "eager")
    frames, texts = np.load(f"{pool}.npy", mmap_mode="r"), json.load(open(f"{pool}.json"))
    vision = [*net.model.vision_tower.parameters(), *net.model.multi_modal_projector.parameters()]
    decoder = [*net.model.language_model.parameters(), *net.lm_head.parameters()]
    optimiser = torch.optim.AdamW(
        [{"params": decoder, "lr": RATE}, {"params": vision, "lr": VISION_RATE}], betas=(0.9, 0.98), weight_decay=0.05
    )
    step, path = 0, f"{run}/joint.pt"
    if os.path.exists(path):
        kept = torch.load(path, weights_only=True)
        net.load_state_dict(kept["model"])
        optimiser.load_state_dict(kept["optimiser"])
        step = kept["step"]
    elif os.path.exists(f"{run}/letters.pt"):
        net.load_state_dict(torch.load(f"{run}/letters.pt", weights_only=True)["model"])
    rng, packer, recall = np.random.default_rng(step), Packer(tok, step), Recall(tok, step)
    log, start = csv.writer(open(f"{run}/joint.csv", "a", buffering=1)), time.time()
    while step < steps:
        kind = "recall" if rng.random() < RECALL_SHARE else "clips"
        with torch.autocast("cpu", torch.bfloat16):
            if kind == "recall":
                loss = recall_loss(net, recall)
            else:
                rows = np.sort(rng.choice(len(texts), CLIPS, replace=False))
                loss = clip_loss(net, packer, frames[rows], [texts[i] for i in rows])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        log.writerow([step, kind, round(loss.item(), 4), round(time.time() - start, 1)])
        if step % 200 == 0 or step == steps:
            torch.save({"model": net.state_dict(), "optimiser": optimiser.state_dict(), "step": step}, path + ".new")
            os.replace(path + ".new", path)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 20_000)
