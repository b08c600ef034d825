"""Accuracy and controls on encoded clips: `python evaluate.py MODEL_FOLDER HELDOUT_FOLDER [METRICS.json [TASK ...]]`.

HELDOUT_FOLDER is made by heldout.py. The answer is the argmax over the whole vocabulary at the last position. Controls:
the frames reversed, one frame repeated, and grey frames in place of the video.
"""

import glob
import json
import math
import sys

import numpy as np
import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration

import model as embedded
from heldout import FIRST_SEED
from prompts import multiple_choice
from tasks import TASKS, make

OPPOSITE = {"Up": "Down", "Down": "Up", "Left": "Right", "Right": "Left", "grows": "shrinks", "shrinks": "grows",
            "move apart": "move towards each other", "move towards each other": "move apart"}


def opposite(answer: str) -> str | None:
    """What the answer becomes when the clip runs backwards; None for counts, which stay."""
    if answer.startswith("from "):
        first, second = answer[5:].split(" to ")
        return f"from {second} to {first}"
    if " then " in answer:
        return " then ".join(answer.split(" then ")[::-1])
    return OPPOSITE.get(answer)


def wilson(right: float, n: float) -> list[float]:
    if n == 0:
        return [0.0, 1.0]
    p, z = right / n, 1.96
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [round((centre - half) / (1 + z * z / n), 4), round((centre + half) / (1 + z * z / n), 4)]


@torch.no_grad()
def answers(net, tok, videos: torch.Tensor, prompt: str) -> list[str]:
    """One answer per row of video features (rows, video tokens, width)."""
    ids = tok(prompt.replace("<image>", "<image>" * embedded.VIDEO_TOKENS), return_tensors="pt").input_ids
    ids = ids.expand(len(videos), -1)
    at = (ids == net.config.image_token_index)[..., None]
    embeds = net.get_input_embeddings()(ids).masked_scatter(at, videos)
    return tok.convert_ids_to_tokens(net(inputs_embeds=embeds, logits_to_keep=1).logits[:, -1].argmax(-1).tolist())


@torch.no_grad()
def variants(net, pixels: torch.Tensor, seed: int) -> torch.Tensor:
    """Features of the clip, of it reversed, of one frame repeated, of grey frames. Frames do not meet in the tower."""
    clip, grey = (embedded.video_features(net, p[None]) for p in (pixels, torch.zeros_like(pixels)))
    frames = clip.view(embedded.FRAMES, -1, clip.shape[-1])
    one = frames[seed % embedded.FRAMES].expand_as(frames)
    return torch.cat([clip, frames.flip(0).reshape(clip.shape), one.reshape(clip.shape), grey])


def main(folder: str, heldout: str, out: str | None = None, *tasks: str) -> None:
    torch.set_num_threads(1)
    net = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tok, table = AutoTokenizer.from_pretrained(folder), {}
    for task in tasks or TASKS:
        clips = np.concatenate([np.load(p) for p in sorted(glob.glob(f"{heldout}/{task.replace(' ', '-')}-*.npy"))])
        right = turned = single = none = chance = 0.0
        for seed, pixels in enumerate(clips, FIRST_SEED):
            item = make(task, seed)
            options, prompt = item.options, multiple_choice(item.question, item.options)
            letter = lambda answer: chr(65 + options.index(answer))
            said, back, one, grey = answers(net, tok, variants(net, torch.from_numpy(pixels), seed), prompt)
            true, other = letter(item.answer), opposite(item.answer)
            right, single, none = right + (said == true), single + (one == true), none + (grey == true)
            chance += 1 / len(options)
            turned += said == true and other is not None and back == letter(other)
        n = len(clips)
        table[task] = {
            "n": n, "accuracy": right / n, "interval95": wilson(right, n), "chance": chance / n, "no_video": none / n,
            "one_frame_repeated": single / n,
            "reversed_turns_opposite": turned / right if task != "object count" and right else None,
        }
        print(task, table[task], flush=True)
    if out:
        with open(out, "w") as file:
            json.dump(table, file, indent=2)


if __name__ == "__main__":
    main(*sys.argv[1:])
