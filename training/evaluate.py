"""Accuracy and controls on clips through a real encoder: `python evaluate.py MODEL_FOLDER CLIPS_PER_TASK [METRICS.json]`.

Held-out seeds start at 20,000,000. The answer is the argmax over the whole vocabulary at the last position.
"""

import json
import math
import os
import sys
import tempfile

import av
import torch
from transformers import AutoImageProcessor, AutoTokenizer, LlavaForConditionalGeneration

import model as embedded
from make_samples import COUNT, SIZE, encode
from prompts import multiple_choice
from render import frames, sample_indices
from tasks import TASKS, make

FIRST_SEED = 20_000_000
OPPOSITE = {"Up": "Down", "Down": "Up", "Left": "Right", "Right": "Left", "grows": "shrinks", "shrinks": "grows",
            "move apart": "move towards each other", "move towards each other": "move apart"}
REVERSIBLE = {"moving direction", "scene transition", "action antonym"}


def opposite(answer: str) -> str:
    if answer.startswith("from "):
        first, second = answer[5:].split(" to ")
        return f"from {second} to {first}"
    return OPPOSITE[answer]


def wilson(right: int, n: int) -> list[float]:
    if n == 0:
        return [0.0, 1.0]
    p, z = right / n, 1.96
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [round((centre - half) / (1 + z * z / n), 4), round((centre + half) / (1 + z * z / n), 4)]


def encoded(item, seed: int):
    """The sampled frames of the clip after a round trip through H.264, or VP9 for every fourth seed."""
    webm = seed % 4 == 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "clip.webm" if webm else "clip.mp4")
        codec, options = ("libvpx-vp9", {"crf": "34", "b": "0"}) if webm else ("libx264", {"crf": "26"})
        encode(path, frames(item.clip, COUNT, SIZE), codec, options)
        with av.open(path) as file:
            images = [frame.to_image() for frame in file.decode(video=0)]
    return [images[i] for i in sample_indices(len(images))]


@torch.no_grad()
def answer(net, tok, processor, images, prompt: str) -> str:
    ids = tok(prompt.replace("<image>", "<image>" * embedded.VIDEO_TOKENS), return_tensors="pt").input_ids
    video = embedded.video_features(net, processor(images, return_tensors="pt").pixel_values[None])
    at = (ids == net.config.image_token_index)[..., None]
    embeds = net.get_input_embeddings()(ids).masked_scatter(at, video)
    return tok.convert_ids_to_tokens(int(net(inputs_embeds=embeds).logits[0, -1].argmax()))


def main(folder: str, count: int, out: str | None) -> None:
    net = LlavaForConditionalGeneration.from_pretrained(folder).eval()
    tok, processor = AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    table = {}
    for task in TASKS:
        right = single = turned = chance = 0.0
        for seed in range(FIRST_SEED, FIRST_SEED + count):
            item = make(task, seed)
            images, prompt = encoded(item, seed), multiple_choice(item.question, item.options)
            letter = chr(65 + item.options.index(item.answer))
            correct = answer(net, tok, processor, images, prompt) == letter
            right, chance = right + correct, chance + 1 / len(item.options)
            single += answer(net, tok, processor, [images[seed % 8]] * 8, prompt) == letter
            if correct and task in REVERSIBLE:
                wanted = chr(65 + item.options.index(opposite(item.answer)))
                turned += answer(net, tok, processor, images[::-1], prompt) == wanted
        table[task] = {
            "n": count, "accuracy": right / count, "interval95": wilson(int(right), count), "chance": chance / count,
            "one_frame_repeated": single / count,
            "reversed_turns_opposite": turned / right if task in REVERSIBLE and right else None,
        }
        print(task, table[task], flush=True)
    if out:
        with open(out, "w") as file:
            json.dump(table, file, indent=2)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
