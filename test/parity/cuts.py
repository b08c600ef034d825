"""What the knockouts cut: edges of the four targets, layer windows, pathways. Masks are built from these."""
from __future__ import annotations

import torch

BLOCKED = torch.finfo(torch.float32).min
STYLES = ("center", "inverse", "top_down", "bottom_up")


def window_layers(center: int, width: int, style: str, layers: int) -> list[int]:
    inside = set(range(max(0, center - width // 2), min(layers, center + (width + 1) // 2)))
    return {"center": sorted(inside),
            "inverse": [i for i in range(layers) if i not in inside],
            "top_down": list(range(center, layers)),
            "bottom_up": list(range(center + 1))}[style]


def cross_frame(groups: dict) -> list[tuple[list[int], list[int]]]:
    """(queries, keys) pairs: every frame loses sight of all frames before it."""
    frames = [v for k, v in groups.items() if k.startswith("frame:")]
    return [(frames[i], sum(frames[:i], [])) for i in range(1, len(frames))]


def target_series(groups: dict) -> dict[str, dict[str, list[tuple[list[int], list[int]]]]]:
    """By target and series name: the (queries, keys) pairs that are blocked."""
    def cut(key_group: str, query_group: str) -> list[tuple[list[int], list[int]]]:
        return [(groups[query_group], groups[key_group])]

    return {
        "cross-frame": {"No cross-frame interactions": cross_frame(groups)},
        "vql-to-ql": {
            "Video -/-> Question": cut("video", "question"),
            "Video -/-> Last": cut("video", "last"),
            "Question -/-> Last": cut("question", "last"),
            "Last -/-> Last": cut("last", "last")},
        "question-and-options-to-last": {
            "Non-option question -/-> Last": cut("question-only", "last"),
            "True option -/-> Last": cut("true-option", "last"),
            "False option -/-> Last": cut("false-options", "last")},
        "vq-to-true-opt": {
            "Video -/-> Non-option question": cut("video", "question-only"),
            "Non-option question -/-> True option": cut("question-only", "true-option"),
            "Video -/-> True option": cut("video", "true-option")},
    }


def causal(size: int) -> torch.Tensor:
    """[S, S], True where a query may read a key."""
    return torch.ones(size, size, dtype=torch.bool).tril()


def cut_edges(allowed: torch.Tensor, pairs: list[tuple[list[int], list[int]]]) -> torch.Tensor:
    for queries, keys in pairs:
        allowed[torch.tensor(queries)[:, None], torch.tensor(keys)[None, :]] = False
    return allowed


def additive(allowed: torch.Tensor) -> torch.Tensor:
    """The mask as attention adds it: [1, 1 or H, S, S]."""
    mask = torch.zeros(allowed.shape).masked_fill(~allowed, BLOCKED)
    return mask[None, None] if allowed.ndim == 2 else mask[None]


def pathway_blocks(groups: dict, keep: dict, layers: int) -> list[list[tuple[list[int], list[int]]]]:
    """For each layer the (queries, keys) pairs blocked so that only the pathway is left.

    keep: 1-based inclusive layer ranges, as in the paper's table.
    """
    video, question, last = groups["video"], groups["question"], groups["last"]
    out = []
    for layer in range(1, layers + 1):
        kept = {name: first <= layer <= final for name, (first, final) in keep.items()}
        pairs = [(last, last), (last, video)]
        if not kept["cross_frame"]:
            pairs += cross_frame(groups)
        if not kept["video_to_question"]:
            pairs.append((question, video))
        if not kept["question_to_last"]:
            pairs.append((last, question))
        if layer > keep["video_to_question"][1]:
            pairs.append((video, video))
        if layer > keep["question_to_last"][1]:
            pairs.append((question, question))
        out.append(pairs)
    return out
