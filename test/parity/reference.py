"""The model as transformers runs it: PLLaVA's video path around the real class, and hooked forwards."""
from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import AutoTokenizer, CLIPImageProcessor, DynamicCache

from cases import frame_order, frame_plan
from groups import PLACEHOLDER, token_groups


@dataclass
class Run:
    """One forward: residual after every layer (raw), the normed last one, weights, logits."""
    residual: torch.Tensor      # [L, S, d]
    normed: torch.Tensor        # [S, d]
    attention: torch.Tensor     # [L, H, S, S]
    logits: torch.Tensor        # [S, V]

    @property
    def hidden(self) -> torch.Tensor:
        """As transformers reports it: the last layer's carries the final norm."""
        return torch.cat([self.residual[:-1], self.normed[None]])

    @property
    def probabilities(self) -> torch.Tensor:
        return self.logits[-1].softmax(-1)


@dataclass
class Change:
    """A change of the residual stream after a layer (-1: of the embeddings): rows set at or added to positions."""
    layers: list[int]
    positions: list[int]
    vectors: torch.Tensor
    add: bool = False

    def apply(self, rows: torch.Tensor) -> torch.Tensor:
        rows = rows.clone()
        rows[self.positions] = self.vectors + (rows[self.positions] if self.add else 0)
        return rows


@dataclass
class Prompt:
    text: str
    ids: list[int]
    image_at: int
    groups: dict[str, list[int]]
    embeddings: torch.Tensor = field(repr=False)


class Reference:
    def __init__(self, spec: dict, folder: Path, model: torch.nn.Module):
        self.spec, self.model, self.folder = spec, model, folder
        self.decoder = model.model.language_model
        self.layers = len(self.decoder.layers)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        # The still-image processor of the family's video runs is CLIP's, whatever class the file names.
        self.processor = CLIPImageProcessor.from_pretrained(folder)

    def pixels(self, frames: np.ndarray) -> torch.Tensor:
        return self.processor([Image.fromarray(f) for f in frames], return_tensors="pt")["pixel_values"]

    def projected(self, pixels: torch.Tensor) -> torch.Tensor:
        """[T, tokens, d] after the projector."""
        root = self.model.config
        out = self.model.model.vision_tower(pixels, output_hidden_states=True)
        features = out.hidden_states[root.vision_feature_layer]
        if root.vision_feature_select_strategy == "default":
            features = features[:, 1:]
        return self.model.model.multi_modal_projector(features)

    def pooled(self, projected: torch.Tensor) -> torch.Tensor:
        """[T', h' x w', d]: too few frames are repeated in place, then averaged adaptively."""
        plan = frame_plan(self.spec)
        if plan["pooling_shape"] is None:
            return projected
        _, tokens, width = projected.shape
        projected = projected[frame_order(self.spec)]
        side = int(tokens ** 0.5)
        volume = projected.reshape(len(projected), side, side, width).permute(3, 0, 1, 2)[None]
        pooled = torch.nn.AdaptiveAvgPool3d(tuple(plan["pooling_shape"]))(volume)[0]
        return pooled.permute(1, 2, 3, 0).flatten(1, 2)

    def prompt(self, text: str, video: torch.Tensor, spec: dict | None = None) -> Prompt:
        ids = self.tokenizer(text)["input_ids"]
        plain = Tokenizer.from_file(str(self.folder / "tokenizer.json")).encode(text)
        assert plain.ids == ids
        image = self.tokenizer.convert_tokens_to_ids(PLACEHOLDER)
        at = ids.index(image)
        assert ids.count(image) == 1
        words = self.model.get_input_embeddings()(torch.tensor(ids))
        merged = torch.cat([words[:at], video.flatten(0, 1), words[at + 1:]])
        groups = token_groups(spec or self.spec, text, plain.offsets, at, *video.shape[:2])
        return Prompt(text, ids, at, groups, merged)

    def window(self, layer: int) -> int | None:
        """Positions that a layer's rows look back over, themselves among them; None: all before them."""
        config = self.decoder.config
        if config.model_type in ("mistral", "phi3"):
            return config.sliding_window
        sliding = (getattr(config, "layer_types", None) or {})
        return config.sliding_window if sliding and sliding[layer] == "sliding_attention" else None

    def forget_lengths(self) -> None:
        """Dynamic rotation remembers the longest sequence it saw; every run here starts as a fresh model's."""
        rotary = self.decoder.rotary_emb
        if "dynamic" in getattr(rotary, "rope_type", ""):
            rotary.max_seq_len_cached = rotary.original_max_seq_len
            rotary.inv_freq = rotary.original_inv_freq

    def run(self, embeddings: torch.Tensor, masks: dict[int, torch.Tensor] | None = None,
            changes: list[Change] | None = None) -> Run:
        """One forward over the whole sequence; masks replace the causal mask of their layers."""
        kept: list[torch.Tensor] = []
        self.forget_lengths()
        for change in changes or []:
            if -1 in change.layers:
                embeddings = change.apply(embeddings)
        with self.hooked(masks or {}, changes or []), ExitStack() as stack:
            for layer in self.decoder.layers:
                handle = layer.register_forward_hook(lambda _m, _i, out: kept.append(out[0]))
                stack.callback(handle.remove)
            out = self.decoder(inputs_embeds=embeddings[None], output_attentions=True, use_cache=False)
        normed = out.last_hidden_state[0]
        return Run(torch.stack(kept), normed, torch.cat(out.attentions), self.model.lm_head(normed))

    @contextmanager
    def hooked(self, masks: dict[int, torch.Tensor], changes: list[Change]):
        def replace_mask(mask: torch.Tensor | None, window: int | None):
            def within(mask: torch.Tensor) -> torch.Tensor:
                queries, keys = mask.shape[-2:]
                at = torch.arange(keys - queries, keys)[:, None]
                outside = torch.arange(keys)[None] <= at - (window or keys)
                return mask.masked_fill(outside, torch.finfo(torch.float32).min)

            def hook(_module, args, kwargs):
                queries = kwargs["hidden_states"].shape[1]
                if mask is not None and queries == mask.shape[-1]:
                    return args, {**kwargs, "attention_mask": within(mask)}
                if queries > 1:
                    return args, kwargs
                # A generated token: blind to the prompt's keys as the prompt's last row is, free beyond.
                row = kwargs["attention_mask"]
                if mask is not None:
                    row = torch.nn.functional.pad(mask[:, :, -1:], (0, row.shape[-1] - mask.shape[-1]))
                return args, {**kwargs, "attention_mask": within(row)}
            return hook

        def change_rows(layer: int):
            def hook(_module, _args, out):
                rows = out[0]
                for change in changes:
                    if layer in change.layers:
                        rows = change.apply(rows)
                return rows[None]
            return hook

        with ExitStack() as stack:
            for layer, module in enumerate(self.decoder.layers):
                if layer in masks or self.window(layer) is not None:
                    hook = replace_mask(masks.get(layer), self.window(layer))
                    stack.callback(module.self_attn.register_forward_pre_hook(hook, with_kwargs=True).remove)
                if any(layer in c.layers for c in changes):
                    stack.callback(module.register_forward_hook(change_rows(layer)).remove)
            yield

    def generate(self, embeddings: torch.Tensor, steps: int, masks: dict[int, torch.Tensor]) -> list[torch.Tensor]:
        """Greedy, to the end-of-text token at most, with a cache: the logits [V] of every step."""
        # A cache that keeps everything: windows are in the masks.
        cache, logits, step_input = DynamicCache(), [], embeddings[None]
        self.forget_lengths()
        with self.hooked(masks, []):
            for _ in range(steps):
                # A single new row is given no mask by the class itself; eager attention then needs none,
                # but the hook does, for its width.
                total = cache.get_seq_length() + step_input.shape[1]
                mask = None if step_input.shape[1] > 1 else torch.zeros(1, 1, 1, total)
                out = self.decoder(inputs_embeds=step_input, past_key_values=cache, use_cache=True,
                                   **({} if mask is None else {"attention_mask": mask}))
                logits.append(self.model.lm_head(out.last_hidden_state[0, -1]))
                if logits[-1].argmax() == self.tokenizer.eos_token_id:
                    break
                step_input = self.model.get_input_embeddings()(logits[-1].argmax())[None, None]
        return logits
