"""Token groups of a rendered prompt: ranges of characters, mapped onto tokens, video tokens expanded."""
from __future__ import annotations

import re

from cases import option_texts, question_block

PLACEHOLDER = "<image>"


def char_ranges(spec: dict, prompt: str, after_video: int) -> dict[str, list[tuple[int, int]]]:
    """Where each text group stands in the rendered prompt, as half-open character ranges."""
    ranges = {}
    if spec.get("open_ended"):
        start = prompt.index(spec["question"], after_video)
        ranges["question"] = ranges["question-only"] = [(start, start + len(spec["question"]))]
    else:
        block = question_block(spec)
        start = prompt.index(block, after_video)
        ranges["question"] = [(start, start + len(block))]
        only = start + len("Question: ")
        ranges["question-only"] = [(only, only + len(spec["question"]))]
        ends = start + len(block)
        for i, text in reversed(list(enumerate(option_texts(spec)))):
            ranges[f"option:{chr(ord('A') + i)}"] = [(ends - len(text), ends)]
            ends -= len(text) + 1
        ranges = dict(sorted(ranges.items(), key=lambda item: (item[0].startswith("option:"), item[0])))
        right = f"option:{chr(ord('A') + spec['answer'])}"
        ranges["true-option"] = ranges[right]
        ranges["false-options"] = [r for name, rs in ranges.items()
                                   if name.startswith("option:") and name != right for r in rs]
    (begin, end), = ranges["question"]
    word = spec["keyword"]
    found = re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", prompt[begin:end])
    ranges[f"keyword:{word}"] = [(begin + m.start(), begin + m.end()) for m in found]
    return ranges


def token_groups(spec: dict, prompt: str, offsets: list[tuple[int, int]], image_at: int,
                 frames: int, per_frame: int) -> dict[str, list[int]]:
    """Positions of every group in the sequence whose one placeholder became frames x per_frame tokens."""
    video = frames * per_frame
    shift = video - 1
    groups = {"system": list(range(image_at)),
              "video": list(range(image_at, image_at + video))}
    for i in range(frames):
        groups[f"frame:{i}"] = groups["video"][i * per_frame:(i + 1) * per_frame]
    for name, ranges in char_ranges(spec, prompt, prompt.index(PLACEHOLDER) + len(PLACEHOLDER)).items():
        groups[name] = [t + shift for t, (a, b) in enumerate(offsets) if t > image_at
                        and any(a < end and start < b for start, end in ranges)]
        assert groups[name], name
    groups["last"] = [len(offsets) + shift - 1]
    return groups


def spans(positions: list[int]) -> list[list[int]]:
    """Sorted positions as half-open ranges."""
    out: list[list[int]] = []
    for p in positions:
        if out and out[-1][1] == p:
            out[-1][1] = p + 1
        else:
            out.append([p, p + 1])
    return out
