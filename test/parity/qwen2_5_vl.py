"""Qwen2.5-VL and Qwen2-VL: transformers' own classes, video processor and M-RoPE positions.

Its cases are made apart from the other families': a video token belongs to two frames, pictures come in any size, and
rows of the prompt stand at three positions each.
"""
from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch

import transformers
from transformers import CONFIG_MAPPING
from transformers.video_utils import VideoMetadata

from cases import BASE, FAMILY_BASE
from checkpoint import random_state, save_sharded, write_json
from expect_clean import clean_tensors
from expect_cut import sweeps
from families import FAMILIES, CHATML, Family, FamilyReference, byte_level_tokenizer, tokenizer_config, training_text
from frames import clip

VIDEO = "<|video_pad|>"
# Of the published template's kind: a system turn where none is given, counters, a test for keys of a part.
CHAT = (
    "{% set videos = namespace(count=0) %}{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nAnswer with care.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'video' or 'video' in part %}{% set videos.count = videos.count + 1 %}"
    "{% if add_vision_id %}Video {{ videos.count }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")

FAMILIES["qwen2_5_vl"] = Family(
    "Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLProcessor", "Qwen2VLVideoProcessor", "Qwen2VLImageProcessor",
    (*CHATML, "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", VIDEO), VIDEO, VIDEO, CHAT, tower="visual")

FAMILIES["qwen2_vl"] = dataclasses.replace(
    FAMILIES["qwen2_5_vl"], model="Qwen2VLForConditionalGeneration", processor="Qwen2VLProcessor")

TEXT = {"hidden_size": 48, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "rms_norm_eps": 1e-6, "max_position_embeddings": 1024, "rope_theta": 1000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [3, 1, 2]}, "use_sliding_window": False}
VISION = {"depth": 3, "hidden_act": "silu", "hidden_size": 32, "intermediate_size": 44, "num_heads": 4, "in_chans": 3,
          "out_hidden_size": 48, "patch_size": 4, "spatial_merge_size": 2, "spatial_patch_size": 4, "window_size": 16,
          "fullatt_block_indexes": [1], "tokens_per_second": 2, "temporal_patch_size": 2}

QWEN_CASES = {
    "m-qwen2-5-vl": {
        "seed": 9, "answer": 2, "names": "old", "frames": [6, 33, 55], "total_frames": 95, "indices": [0, 15, 31, 47, 63, 79],
        "nested": False, "tied": False, "text": TEXT, "vision": VISION,
        "files": {"preprocessor_config.json": {
            "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor",
            "min_pixels": 256, "max_pixels": 1000, "patch_size": 4, "temporal_patch_size": 2, "merge_size": 2,
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}},
        "about": "qwen2_5_vl as published: flat config, older tensor names, still-image settings for videos; windows of "
                 "2 x 2 tokens over a grid of 3 x 5, of which those at the edges are cut off; time steps of 6.33",
    },
    "m-qwen2-5-vl-nested": {
        "seed": 3, "names": "new", "frames": [4, 60, 31], "total_frames": 4000, "indices": [0, 1000, 2000, 3000],
        "nested": True, "tied": True,
        "text": {**{k: v for k, v in TEXT.items() if k not in ("rope_theta", "rms_norm_eps")},
                 "rope_scaling": {"rope_type": "default", "type": "default", "mrope_section": [2, 2, 2]}},
        "vision": {**{k: v for k, v in VISION.items() if k not in ("tokens_per_second", "in_chans")},
                   "fullatt_block_indexes": [0, 2], "window_size": 24},
        "files": {"video_preprocessor_config.json": {
            "video_processor_type": "Qwen2VLVideoProcessor", "size": {"shortest_edge": 3000, "longest_edge": 100000},
            "patch_size": 4, "merge_size": 2, "num_frames": 4}},
        "about": "qwen2_5_vl in newer files: nested config, newer tensor names, tied heads, the class's own epsilon and "
                 "theta; small portrait frames made larger; a clip so long that time runs beyond the text",
    },
}


QWEN_CASES["m-qwen2-vl"] = {
    **QWEN_CASES["m-qwen2-5-vl"], "family": "qwen2_vl", "seed": 5, "answer": 0, "frames": [4, 33, 55],
    "total_frames": 95, "indices": [0, 23, 47, 71],
    "vision": {"depth": 2, "embed_dim": 32, "mlp_ratio": 2, "num_heads": 4, "in_chans": 3, "hidden_size": 48,
               "patch_size": 4, "spatial_merge_size": 2, "spatial_patch_size": 4, "temporal_patch_size": 2},
    "about": "qwen2_vl as published: flat config, older tensor names; LayerNorms, a plain MLP with quick GELU, no "
             "windows, time steps that count by one",
}


def qwen_case(name: str) -> dict:
    return {**BASE, **FAMILY_BASE, "family": "qwen2_5_vl", **QWEN_CASES[name], "name": name}


def published_name(name: str, style: str) -> str:
    if style == "new":
        return name
    return name.replace("model.visual.", "visual.").replace("model.language_model.", "model.")


def write(spec: dict, folder: Path) -> torch.nn.Module:
    folder.mkdir(parents=True, exist_ok=True)
    family = FAMILIES[spec["family"]]
    tokenizer = byte_level_tokenizer(family.specials, training_text(spec) + "system Answer with care.")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    write_json(folder / "tokenizer_config.json", tokenizer_config(spec))
    (folder / "chat_template.jinja").write_text(family.chat)
    for name, value in spec["files"].items():
        write_json(folder / name, value)
    dtype = {"torch_dtype": spec["dtype"]}
    text = {"vocab_size": tokenizer.get_vocab_size(), **dtype, **spec["text"]}
    ids = {f"{name}_token_id": tokenizer.token_to_id(f"<|{token}|>") for name, token in [
        ("image", "image_pad"), ("video", "video_pad"), ("vision_start", "vision_start"), ("vision_end", "vision_end")]}
    ends = {"eos_token_id": tokenizer.token_to_id("<|im_end|>"), "bos_token_id": tokenizer.token_to_id("<|endoftext|>")}
    config = {"architectures": [family.model], "model_type": spec["family"], **dtype, **ids,
              "tie_word_embeddings": spec["tied"], "vision_config": spec["vision"]}
    config |= {"text_config": {"model_type": f"{spec['family']}_text", **text, **ends}} if spec["nested"] else {**text, **ends}
    write_json(folder / "config.json", config)

    cls = getattr(transformers, family.model)
    blank = cls(CONFIG_MAPPING[spec["family"]].from_dict(json.loads(json.dumps(config))))
    letters = [tokenizer.token_to_id(chr(ord("A") + i)) for i in range(len(spec["options"]))]
    wanted = getattr(torch, spec["dtype"])
    values = random_state(blank, spec["seed"], letters)
    for name, value in values.items():
        if ".attn.qkv.weight" in name:
            value[:2 * value.shape[1]] *= 1.6
    state = {published_name(k, spec["names"]): v.to(wanted).contiguous() for k, v in values.items()}
    save_sharded(state, folder, 1)
    model, info = cls.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                      output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    loaded = {published_name(k, spec["names"]): v for k, v in model.state_dict().items()}
    for k, v in state.items():
        assert torch.equal(v.float(), loaded[k]), k
    return model.eval()


class QwenReference(FamilyReference):
    def __init__(self, spec: dict, folder: Path, model: torch.nn.Module):
        super().__init__(spec, folder, model)
        self.positions, self.delta = None, 0
        self.decoder.register_forward_pre_hook(self.place, with_kwargs=True)

    def place(self, _module, args, kwargs):
        """The prompt's rows stand where the class puts them; generated ones follow the largest position."""
        if kwargs.get("position_ids") is not None:
            return args, kwargs
        rows = kwargs["inputs_embeds"].shape[1]
        if rows == self.positions.shape[-1]:
            return args, {**kwargs, "position_ids": self.positions[:, None]}
        past = kwargs["past_key_values"].get_seq_length()
        at = torch.arange(past, past + rows) + self.delta
        return args, {**kwargs, "position_ids": at.expand(3, 1, -1)}

    def pixels(self, frames: np.ndarray) -> torch.Tensor:
        """[T, 3, H, W], from the patches that the processor makes."""
        self.inputs = self.processed(frames)
        patch, merge = self.processor.patch_size, self.processor.merge_size
        t, h, w = self.inputs["video_grid_thw"][0].tolist()
        blocks = self.inputs["pixel_values_videos"].view(
            t, h // merge, w // merge, merge, merge, 3, 2, patch, patch)
        return blocks.permute(0, 6, 5, 1, 3, 7, 2, 4, 8).reshape(t * 2, 3, h * patch, w * patch)

    def features(self, _pixels: torch.Tensor) -> torch.Tensor:
        out = self.model.model.get_video_features(self.inputs["pixel_values_videos"], self.inputs["video_grid_thw"],
                                                  return_dict=True)
        return out.pooler_output[0]

    def projected(self, pixels: torch.Tensor) -> torch.Tensor:
        video, pairs = self.features(pixels), int(self.inputs["video_grid_thw"][0, 0])
        self.per_frame = len(video) // pairs
        return video.view(pairs, self.per_frame, -1)

    def prompt(self, text: str, video: torch.Tensor, spec: dict | None = None):
        whole = self.spec
        self.spec = {**whole, "frames": [len(video) // self.per_frame, *whole["frames"][1:]]}
        made = super().prompt(text, video, spec)
        self.spec = whole
        seconds = {"second_per_grid_ts": self.inputs["second_per_grid_ts"]} if "second_per_grid_ts" in self.inputs else {}
        positions, delta = self.model.model.get_rope_index(
            self.inputs["input_ids"], self.inputs["mm_token_type_ids"], video_grid_thw=self.inputs["video_grid_thw"],
            attention_mask=self.inputs["attention_mask"], **seconds)
        self.positions, self.delta = positions[:, 0], int(delta[0, 0])
        return made

    def check(self, run) -> None:
        out = self.model(**self.inputs, output_hidden_states=True)
        torch.testing.assert_close(out.logits[0], run.logits, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(torch.cat(out.hidden_states[1:]), run.hidden, rtol=1e-5, atol=1e-5)


STEPS = 6


def answers(ref: QwenReference, prompt) -> dict:
    """Greedy tokens; the same as the class's own forward gives, token after token, over its cache.

    `generate` itself places generated rows after the last row instead of after the largest position (transformers
    5.18), so it is the same only where time does not run beyond the text.
    """
    steps = ref.generate(prompt.embeddings, STEPS, {})
    ids = [int(s.argmax()) for s in steps]
    out = ref.model(**ref.inputs, use_cache=True)
    own = [int(out.logits[0, -1].argmax())]
    while len(own) < len(ids):
        out = ref.model(input_ids=torch.tensor([own[-1:]]), past_key_values=out.past_key_values, use_cache=True)
        own.append(int(out.logits[0, -1].argmax()))
    assert ids == own, (ids, own)
    if int(ref.positions.max()) == int(ref.positions[0, -1]):
        whole = ref.model.generate(**ref.inputs, do_sample=False, max_new_tokens=STEPS)[0, len(prompt.ids):].tolist()
        assert ids == whole, (ids, whole)
    return {"steps": STEPS, "ids": ids, "probabilities": [float(s.softmax(-1).max()) for s in steps]}


def sampled(processor) -> list[dict]:
    """Frames that the processor's own rule chooses."""
    made = []
    for total in [1, 2, 3, 5, 8, 30, 95, 100, 299, 1000, 12345]:
        for fps in [10, 23.976, 29.97]:
            for asked in [{"num_frames": 1}, {"num_frames": 2}, {"num_frames": 5}, {"num_frames": 6}, {"num_frames": 7},
                          {"num_frames": 8}, {"num_frames": 64}, {"rate": 0.5}, {"rate": 2},
                          {"rate": 2.5, "max_frames": 32}]:
                metadata = VideoMetadata(total_num_frames=total, fps=fps)
                keys = {"num_frames": None, **asked}
                keys["fps"] = keys.pop("rate", None)
                processor.num_frames = processor.fps = None
                try:
                    indices = processor.sample_frames(metadata, **keys).tolist()
                except (ValueError, RuntimeError, ZeroDivisionError):
                    continue  # refused: more frames than there are, or none
                if len(indices) > 100:
                    indices = [len(indices), indices[len(indices) // 3], indices[-1]]
                made.append({"total": total, "fps": fps, **asked, "indices": indices})
    return made


def resized() -> list[dict]:
    """Sizes that the class's own resize gives, with and without its bound on the whole clip."""
    made = []
    for height, width in [(360, 640), (1080, 1920), (2160, 3840), (224, 224), (35, 1000), (14, 42), (717, 333), (42, 70)]:
        for shortest, longest in [(3136, 12845056), (128 * 784, 768 * 784), (784, 50000)]:
            for frames, cap in [(4, False), (64, True), (768, True)]:
                processor = transformers.Qwen2VLVideoProcessor(
                    size={"shortest_edge": shortest, "longest_edge": longest}, cap_pixels_per_frame=cap)
                pictures = torch.zeros(1, 1, 3, height, width, dtype=torch.uint8).expand(1, frames, 3, height, width)
                seen = {}
                original = transformers.video_processing_utils.BaseVideoProcessor.resize
                transformers.video_processing_utils.BaseVideoProcessor.resize = \
                    lambda _self, image, size, **_keys: seen.update(h=size.height, w=size.width)
                processor.resize(pictures, processor.size, None, 28, 2, cap)
                transformers.video_processing_utils.BaseVideoProcessor.resize = original
                made.append({"height": height, "width": width, "shortest": shortest, "longest": longest,
                             "frames": frames, "cap": cap, "to": [seen["h"], seen["w"]]})
    return made


def make_qwen(name: str, folder: Path) -> tuple[QwenReference, dict, dict]:
    spec = qwen_case(name)
    ref = QwenReference(spec, folder, write(spec, folder))
    frames = clip(spec["seed"], *spec["frames"])
    (folder / "frames.rgb").write_bytes(frames.tobytes())
    pixels, projected, video = ref.stages(frames)
    prompt = ref.prompt("", video)
    run = ref.run(prompt.embeddings)
    ref.check(run)
    tensors, facts = clean_tensors(ref, pixels, projected, video, prompt, run)
    cut_tensors, cut_facts = sweeps(ref, prompt, run, facts["groundTruth"]["id"])
    tensors |= cut_tensors | {"positions": ref.positions.int()}
    facts |= cut_facts | {
        "seen": {"indices": spec["indices"], "fps": spec["fps"], "totalFrames": spec["total_frames"]},
        "grid": [int(n) for n in ref.inputs["video_grid_thw"][0]],
        "secondsPerStep": float(ref.inputs["second_per_grid_ts"][0]) if "second_per_grid_ts" in ref.inputs else 1,
        "answers": answers(ref, prompt)}
    if name == "m-qwen2-5-vl":
        facts |= {"sampled": sampled(ref.processor), "resized": resized()}
    return ref, tensors, facts
