"""Greedy answers in words: six tokens, or fewer where </s> ends it, clean and cut at every step."""
from __future__ import annotations

import torch

from cuts import additive, causal, cross_frame, cut_edges
from groups import spans
from reference import Reference

STEPS = 6


def generation(ref: Reference, video: torch.Tensor) -> tuple[dict[str, torch.Tensor], dict]:
    spec = {**ref.spec, "open_ended": True}
    text = f"{spec['system']} USER: <image>\n USER: {spec['question']} ASSISTANT:"
    prompt = ref.prompt(text, video, spec)
    groups, size, layers = prompt.groups, len(prompt.embeddings), ref.layers
    cuts = {
        "clean": ([], []),
        "Video -/-> Last": ([(groups["last"], groups["video"])], list(range(1, layers))),
        "Video -/-> Question": ([(groups["question"], groups["video"])], list(range(layers))),
        "Question -/-> Last": ([(groups["last"], groups["question"])], list(range(layers - 1))),
        "Last -/-> Last": ([(groups["last"], groups["last"])], [0, 1]),
        "No cross-frame interactions": (cross_frame(groups), [0]),
    }
    runs = []
    for name, (pairs, at) in cuts.items():
        mask = additive(cut_edges(causal(size), pairs))
        steps = ref.generate(prompt.embeddings, STEPS, {i: mask for i in at})
        ids = [int(s.argmax()) for s in steps]
        runs.append({"series": name, "layers": at, "ids": ids, "text": ref.tokenizer.decode(ids),
                     "probabilities": [float(s.softmax(-1).max()) for s in steps]})
    ref.forget_lengths()
    own = ref.model.generate(inputs_embeds=prompt.embeddings[None], do_sample=False, max_new_tokens=STEPS,
                             attention_mask=torch.ones(1, size, dtype=torch.long))[0].tolist()
    assert runs[0]["ids"] == own, (runs[0]["ids"], own)
    return {"generation.ids": torch.tensor(prompt.ids, dtype=torch.int32)}, {"generation": {
        "prompt": text, "positions": size, "steps": STEPS, "eos": ref.tokenizer.eos_token_id, "runs": runs,
        "groups": {k: spans(v) for k, v in groups.items()}}}
