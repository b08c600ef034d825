"""Writes the Hugging Face folder of the embedded model: `python export.py OUT [CHECKPOINT]`."""

import json
import os
import sys

import torch
from transformers import CLIPImageProcessor, GenerationConfig, LlavaProcessor

import model as embedded
import tokenizer as words_tokenizer


def export(out: str, state: dict | None = None) -> None:
    tok = words_tokenizer.build()
    net = embedded.build(tok)
    if state is not None:
        net.load_state_dict(state)
    net.generation_config = GenerationConfig(
        bos_token_id=tok.bos_token_id, eos_token_id=tok.eos_token_id, pad_token_id=tok.pad_token_id,
        do_sample=False, max_new_tokens=32,
    )
    net.float().save_pretrained(out)
    images = CLIPImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}, resample=3)
    processor = LlavaProcessor(
        images, tok, patch_size=8, vision_feature_select_strategy="default", image_token="<image>",
        num_additional_image_tokens=1,
    )
    processor.save_pretrained(out)
    images.save_pretrained(out)
    tok.save_pretrained(out)
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    with open(f"{out}/special_tokens_map.json", "w") as file:
        json.dump({**names, "additional_special_tokens": ["<image>"]}, file, indent=2)
    for name in os.listdir(out):
        os.chmod(f"{out}/{name}", 0o644)


if __name__ == "__main__":
    export(sys.argv[1], torch.load(sys.argv[2], weights_only=True)["model"] if len(sys.argv) > 2 else None)
