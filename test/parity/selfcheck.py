"""The hooked, hand-merged path must be what the class itself computes; checked while fixtures are made."""
from __future__ import annotations

import torch

from cuts import additive, causal
from reference import Prompt, Reference, Run


def check_against_class(ref: Reference, pixels: torch.Tensor, projected: torch.Tensor, prompt: Prompt,
                        run: Run) -> None:
    config = ref.model.config
    out = ref.model.model.vision_tower(pixels, output_hidden_states=True)
    seen: list[torch.Tensor] = []
    layers = ref.model.model.vision_tower.encoder.layers
    handles = [layer.register_forward_hook(lambda _m, _i, o: seen.append(o)) for layer in layers]
    ref.model.model.vision_tower(pixels)
    for handle in handles:
        handle.remove()
    for told, found in zip(out.hidden_states[1:], seen, strict=True):
        torch.testing.assert_close(told, found, rtol=0, atol=0)

    if config.model_type == "llava":
        # The class's own forward, with the placeholder repeated as its processor does it, no pooling.
        ids = prompt.ids[:prompt.image_at] + [config.image_token_id] * projected.shape[:2].numel() \
            + prompt.ids[prompt.image_at + 1:]
        whole = ref.model(input_ids=torch.tensor([ids]), pixel_values=pixels, output_hidden_states=True)
        mine = ref.run(ref.prompt(prompt.text, projected).embeddings)
        torch.testing.assert_close(whole.logits[0], mine.logits, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(torch.cat(whole.hidden_states[1:]), mine.hidden, rtol=1e-5, atol=1e-5)

    mask = additive(causal(len(prompt.embeddings)))
    masked = ref.run(prompt.embeddings, {layer: mask for layer in range(ref.layers)})
    torch.testing.assert_close(masked.logits, run.logits, rtol=0, atol=0)
