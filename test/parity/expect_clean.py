"""What the clean run must give: every stage's tensor and the readings made of it."""
from __future__ import annotations

import torch

from cases import frame_order, frame_plan
from groups import spans
from reference import Prompt, Reference, Run

LENS_TOP = 10


def clean_tensors(ref: Reference, pixels: torch.Tensor, projected: torch.Tensor, video: torch.Tensor,
                  prompt: Prompt, run: Run) -> tuple[dict[str, torch.Tensor], dict]:
    spec = ref.spec
    letters = [ref.tokenizer.convert_tokens_to_ids(chr(ord("A") + i)) for i in range(len(spec["options"]))]
    assert ref.tokenizer.unk_token_id not in letters
    rows = attention_rows(prompt, spec["full_attention"])
    weights = run.attention[:, :, rows]
    names = [name for name in prompt.groups if prompt.groups[name]]
    tensors = {
        "pixels": bytes_of(ref, pixels),
        "vision.projected": projected,
        "vision.pooled": video,
        "tokens.ids": torch.tensor(prompt.ids, dtype=torch.int32),
        "embeddings": prompt.embeddings,
        "hidden": run.hidden,
        "hidden.last_raw": run.residual[-1],
        "attention.rows": torch.tensor(rows, dtype=torch.int32),
        "attention": weights,
        "logits.last": run.logits[-1],
        "answer.normed": letter_probabilities(ref, run, letters, norm=True),
        "answer.raw": letter_probabilities(ref, run, letters, norm=False),
        "mass": group_mass(run.attention, [prompt.groups[n] for n in names]),
    }
    if spec["all_logits"]:
        tensors["logits"] = run.logits
        tensors["pixel_values"] = pixels
    if spec["full_attention"]:
        lower = torch.tril_indices(*run.attention.shape[-2:])
        tensors["attention"] = run.attention[:, :, lower[0], lower[1]]
        del tensors["attention.rows"]
    tensors |= lens(ref, run, prompt.groups["video"], "lens", norm=True, unembedding=ref.model.lm_head.weight)
    if spec["details"]:
        embedding = ref.model.get_input_embeddings().weight
        tensors |= lens(ref, run, prompt.groups["video"], "lens.raw", False, ref.model.lm_head.weight)
        tensors |= lens(ref, run, prompt.groups["video"], "lens.embedding", False, embedding)
        tensors |= lens(ref, run, prompt.groups["video"], "lens.normed_embedding", True, embedding)
    facts = {
        "prompt": prompt.text,
        "system": spec["system"], "question": spec["question"], "options": spec["options"],
        "answer": spec["answer"], "keyword": spec["keyword"],
        "frames": spec["frames"], "frameOrder": frame_order(spec), "pooling": frame_plan(spec)["pooling_shape"],
        "positions": len(prompt.embeddings), "imageAt": prompt.image_at,
        "videoFrames": projected.shape[0] if video.ndim == 2 else video.shape[0],
        "tokensPerFrame": projected.shape[1] if video.ndim == 2 else video.shape[1],
        "layers": len(run.residual), "heads": run.attention.shape[1], "vocab": run.logits.shape[1],
        "groups": {name: spans(at) for name, at in prompt.groups.items()},
        "massGroups": names,
        "optionIds": letters,
        "baseAnswer": token(ref, int(run.logits[-1].argmax()), run),
        "groundTruth": token(ref, letters[spec["answer"]], run),
    }
    return tensors, facts


def token(ref: Reference, index: int, run: Run) -> dict:
    return {"id": index, "text": ref.tokenizer.decode([index]), "probability": float(run.probabilities[index])}


def attention_rows(prompt: Prompt, every: bool) -> list[int]:
    """Query rows that are kept: the last, and a few of every kind."""
    size = len(prompt.embeddings)
    if every:
        return list(range(size))
    video, question = prompt.groups["video"], prompt.groups["question"]
    return [0, video[len(video) // 2], question[len(question) // 2], size - 1]


def bytes_of(ref: Reference, pixels: torch.Tensor) -> torch.Tensor:
    """[T, H, W, 3] uint8: the picture before it is scaled and normalised, from which `pixels` follows."""
    mean, std = (torch.tensor(v)[:, None, None] for v in (ref.processor.image_mean, ref.processor.image_std))
    picture = ((pixels * std + mean) * 255).round().byte()
    torch.testing.assert_close((picture / 255 - mean) / std, pixels, rtol=0, atol=1e-6)
    return picture.permute(0, 2, 3, 1)


def unembedded(ref: Reference, run: Run, layer: int, norm: bool) -> torch.Tensor:
    """[S, d] as it meets the unembedding; the last layer's has the final norm either way."""
    if layer == len(run.residual) - 1:
        return run.normed
    return ref.decoder.norm(run.residual[layer]) if norm else run.residual[layer]


def letter_probabilities(ref: Reference, run: Run, letters: list[int], norm: bool) -> torch.Tensor:
    """[L, options] at the last position."""
    return torch.stack([ref.model.lm_head(unembedded(ref, run, layer, norm)[-1]).softmax(-1)[letters]
                        for layer in range(len(run.residual))])


def lens(ref: Reference, run: Run, positions: list[int], key: str, norm: bool,
         unembedding: torch.Tensor) -> dict[str, torch.Tensor]:
    """Top tokens after every layer at the positions: ids and probabilities [L, positions, 10]."""
    tops = [(unembedded(ref, run, layer, norm)[positions] @ unembedding.T).softmax(-1).topk(LENS_TOP)
            for layer in range(len(run.residual))]
    return {f"{key}.ids": torch.stack([t.indices for t in tops]).int(),
            f"{key}.probabilities": torch.stack([t.values for t in tops])}


def group_mass(attention: torch.Tensor, groups: list[list[int]]) -> torch.Tensor:
    """[L, H, query groups, key groups]: a query's weight summed over the key group, mean over the queries."""
    by_key = torch.stack([attention[..., keys].sum(-1) for keys in groups], -1)
    return torch.stack([by_key[:, :, queries].mean(2) for queries in groups], 2)
