"""Accuracy and controls on encoded clips: `python evaluate.py MODEL_FOLDER HELDOUT_FOLDER [METRICS.json [CLIPS [TASK ...]]]`.

HELDOUT_FOLDER is made by heldout.py; CLIPS bounds how many of each task are asked. The answer is the argmax over the
whole vocabulary at the last position. Controls: the frames reversed; one frame in place of all (any one, the first, the
last); grey frames in place of the video; and the video's frames unable to read one another in any layer.
"""

import json
import math
import sys

import numpy as np
import torch
from transformers import AutoImageProcessor, AutoTokenizer, LlavaForConditionalGeneration

import model as embedded
from heldout import decoded
from prompts import multiple_choice
from tasks import TASKS

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
def scores(net, tok, videos: torch.Tensor, prompt: str, cut: bool = False) -> torch.Tensor:
    """Probabilities of the next token (rows, vocabulary), one row per row of video features (rows, tokens, width).

    `cut` blocks the edges between tokens of different frames, at every layer.
    """
    ids = tok(prompt.replace("<image>", "<image>" * embedded.VIDEO_TOKENS), return_tensors="pt").input_ids
    at = ids[0] == net.config.image_token_index
    embeds = net.get_input_embeddings()(ids.expand(len(videos), -1))
    embeds = embeds.masked_scatter(at[None, :, None].expand_as(embeds), videos)
    blocked = torch.ones(len(at), len(at), dtype=torch.bool).triu(1)
    if cut:
        frame = torch.where(at, (at.cumsum(0) - 1) // (embedded.VIDEO_TOKENS // embedded.FRAMES), -1)
        blocked |= at[:, None] & at[None] & (frame[:, None] != frame[None])
    mask = torch.zeros(blocked.shape).masked_fill(blocked, torch.finfo(torch.float32).min)[None, None]
    mask = mask.expand(len(videos), -1, -1, -1)
    return net(inputs_embeds=embeds, attention_mask=mask, logits_to_keep=1).logits[:, -1].softmax(-1)


def answers(net, tok, videos: torch.Tensor, prompt: str) -> list[str]:
    return tok.convert_ids_to_tokens(scores(net, tok, videos, prompt).argmax(-1).tolist())


VARIANTS = ["clip", "reversed", "one frame repeated", "first frame alone", "last frame alone", "no video"]


@torch.no_grad()
def variants(net, pixels: torch.Tensor, seed: int) -> torch.Tensor:
    """Features of the VARIANTS of a clip. Frames do not meet in the tower."""
    clip, grey = (embedded.video_features(net, p[None]) for p in (pixels, torch.zeros_like(pixels)))
    frames = clip.view(embedded.FRAMES, -1, clip.shape[-1])
    still = [frames[n].expand_as(frames).reshape(clip.shape) for n in (seed % embedded.FRAMES, 0, -1)]
    return torch.cat([clip, frames.flip(0).reshape(clip.shape), *still, grey])


def measured(net, tok, processor, folder: str, questions: list[dict]) -> dict:
    """The figures of one task."""
    hits, turned, chance, costs, cut_right = np.zeros(len(VARIANTS)), 0, 0.0, [], 0
    for question in questions:
        pixels = processor(decoded(f"{folder}/{question['video']}"), return_tensors="pt").pixel_values
        options, prompt = question["options"], multiple_choice(question["question"], question["options"])
        videos = variants(net, pixels, int(question["id"][-4:]))
        said = scores(net, tok, videos, prompt)
        cut = scores(net, tok, videos[:1], prompt, cut=True)[0]
        token = lambda answer: tok.convert_tokens_to_ids(chr(65 + options.index(answer)))
        true, other = token(question["answer"]), opposite(question["answer"])
        best = said.argmax(-1)
        hits += (best == true).numpy()
        chance += 1 / len(options)
        cut_right += int(cut.argmax()) == true
        if best[0] == true:
            turned += other is not None and int(best[1]) == token(other)
            costs.append(100 * (cut[true] / said[0, true] - 1).item())
    n, right = len(questions), float(hits[0])
    share = dict(zip(VARIANTS, (hits / n).tolist()))
    reverses = opposite(questions[0]["answer"]) is not None and right > 0
    return {
        "n": n, "accuracy": share["clip"], "interval95": wilson(right, n), "chance": chance / n,
        "no_video": share["no video"], "one_frame_repeated": share["one frame repeated"],
        "first_frame_alone": share["first frame alone"], "last_frame_alone": share["last frame alone"],
        "reversed_turns_opposite": turned / right if reverses else None,
        "cross_frame_cut": cut_right / n, "cross_frame_cost": float(np.mean(costs)) if costs else None,
    }


def main(folder: str, heldout: str, out: str | None = None, most: str = "1000000", *tasks: str) -> None:
    torch.set_num_threads(1)
    net = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tok, processor, table = AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder), {}
    with open(f"{heldout}/heldout.vqa.json") as file:
        questions = json.load(file)["questions"]
    for task in tasks or TASKS:
        table[task] = measured(net, tok, processor, heldout, [q for q in questions if q["task"] == task][: int(most)])
        print(task, table[task], flush=True)
    if out:
        with open(out, "w") as file:
            json.dump(table, file, indent=2)


if __name__ == "__main__":
    main(*sys.argv[1:])
