"""VideoLLaMA3: transformers' own class and processors, and the same weights in the layout its authors publish.

For the published layout transformers has no class. Its weights are loaded into transformers' one under its names; what
its own processor does (sizes, the chat template's frames and times, tokens left out of a tokenised prompt) is written
here once more from the published code.
"""
from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

import transformers
from transformers import PreTrainedTokenizerFast, VideoLlama3Config
from transformers.image_transforms import resize
from transformers.image_utils import ChannelDimension, PILImageResampling

from cases import BASE, FAMILY_BASE, question_block
from checkpoint import random_state, save_sharded, write_json
from expect_clean import clean_tensors
from expect_cut import sweeps
from families import FAMILIES, CHATML, Family, FamilyReference, byte_level_tokenizer, tokenizer_config, training_text
from frames import texture
from qwen2_5_vl import STEPS, sampled

VIDEO, IMAGE = "<|video_pad|>", "<image>"
REQUEST = "\nAnswer with the option's letter from the given choices directly and only give the best option."
# Of the published templates' kind: a turn may be of another kind, contents are texts or parts.
TURN = (
    "{%- set kind = 'im' -%}\n{% for message in messages %}\n"
    "    {% if add_system_prompt and loop.first and message['role'] != 'system' %}\n"
    "        {{- '<|im_start|>system\\nAnswer with care.<|im_end|>\\n' -}}\n    {% endif %}\n"
    "    {{- '<|' + kind + '_start|>' + message['role'] + '\\n' -}}\n"
    "    {% if message['content'] is string %}\n        {{- message['content'] -}}\n    {% else %}\n"
    "        {% for part in message['content'] %}\n            {% if part['type'] == 'text' or 'text' in part %}\n"
    "                {{- part['text'] -}}\n            {% elif part['type'] == 'video' or 'video' in part %}\n")
END = (
    "            {% endif %}\n        {% endfor %}\n    {% endif %}\n    {{- '<|' + kind + '_end|>\\n' -}}\n{% endfor %}\n"
    "{% if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' -}}\n{% endif %}\n")
CHAT = TURN + "                {{- '<|video_pad|>' + '\\n' -}}\n" + END
PUBLISHED_CHAT = TURN + (
    "                {% for i in range(part['num_frames']) %}\n                    {% if 'timestamps' in part %}\n"
    "                        {{- 'Time ' + part['timestamps'][i] | round(1) | string + 's:' -}}\n"
    "                    {% endif %}\n"
    "                    {{- image_token + (',' if i < part['num_frames'] - 1 else '\\n') -}}\n"
    "                {% endfor %}\n") + END

CLASSES = ("VideoLlama3ForConditionalGeneration", "VideoLlama3Processor", "VideoLlama3VideoProcessor",
           "VideoLlama3ImageProcessor")
FAMILIES["video_llama_3"] = Family(
    *CLASSES, (*CHATML, "<|image_pad|>", VIDEO), VIDEO, VIDEO, CHAT, "", REQUEST, tower="vision_model")
FAMILIES["videollama3_qwen2"] = Family(
    *CLASSES, (*CHATML, "<|stream_start|>", IMAGE), IMAGE, IMAGE, PUBLISHED_CHAT, "", REQUEST, tower="vision_model")

TEXT = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "rms_norm_eps": 1e-6, "max_position_embeddings": 1024, "rope_theta": 1000.0,
        "use_sliding_window": False}
VISION = {"hidden_size": 32, "intermediate_size": 36, "num_hidden_layers": 2, "num_attention_heads": 4,
          "num_channels": 3, "patch_size": 4, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6}
PIXELS = {"do_resize": True, "do_rescale": True, "do_normalize": True, "do_convert_rgb": True, "resample": 3,
          "rescale_factor": 1 / 255, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}

VIDEOLLAMA3_CASES = {
    "n-video-llama-3": {
        "seed": 5, "answer": 0, "family": "video_llama_3", "dtype": "float16", "frames": [4, 33, 45], "fps": 8,
        "total_frames": 101, "indices": [0, 18, 38, 82],
        "text": TEXT, "vision": VISION,
        "files": {
            "preprocessor_config.json": {"image_processor_type": "VideoLlama3ImageProcessor", "merge_size": 1,
                                         "size": {"shortest_edge": 64, "longest_edge": 640}},
            "video_preprocessor_config.json": {
                "video_processor_type": "VideoLlama3VideoProcessor", "size": {"shortest_edge": 500, "longest_edge": 4000},
                "patch_size": 4, "merge_size": 2, "temporal_patch_size": 1, "use_token_compression": True, **PIXELS}},
        "about": "video_llama_3: frames that are kept whole, in part and next to not at all; f16; times halfway between "
                 "tenths; a file of stills that must not be read",
    },
    "n-videollama3": {
        "seed": 23, "answer": 0, "family": "videollama3_qwen2", "dtype": "bfloat16", "frames": [4, 45, 30], "fps": 20.25,
        "total_frames": 81, "indices": [0, 13, 41, 80],
        "text": {**TEXT, "num_key_value_heads": 4, "rope_theta": 1e6}, "vision": VISION,
        "files": {
            "processor_config.json": {"auto_map": {"AutoProcessor": "processing_videollama3.Videollama3Qwen2Processor"},
                                      "fps": 1, "image_merge_size": 1, "max_frames": 180,
                                      "processor_class": "Videollama3Qwen2Processor", "video_merge_size": 2},
            "preprocessor_config.json": {
                "auto_map": {"AutoImageProcessor": "image_processing_videollama3.Videollama3ImageProcessor"},
                "image_processor_type": "Videollama3ImageProcessor", "processor_class": "Videollama3Qwen2Processor",
                "patch_size": 4, "min_tokens": 4, "max_tokens": 50, **PIXELS}},
        "about": "videollama3_qwen2: one level of settings, other names, bf16, tied heads, bounds in tokens, times from "
                 "the clip's start to its end, rounded as NumPy does",
    },
}


def videollama3_case(name: str) -> dict:
    return {**BASE, **FAMILY_BASE, **VIDEOLLAMA3_CASES[name], "name": name, "processor_keys": {}}


def still_clip(seed: int, count: int, height: int, width: int) -> np.ndarray:
    """uint8 RGB frames on a ground that stays: a disc moves, one frame repeats the one before, the next is all new."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    ground = np.stack([texture(rng, height, width) for _ in range(3)], -1) * 70 + 120
    other = np.stack([texture(rng, height, width) for _ in range(3)], -1) * 70 + 130
    frames, colour = [], rng.integers(0, 256, 3)
    for t in range(count):
        moved = 1 if t == 2 else t
        picture = (ground if t < 3 else other).copy()
        inside = np.hypot(y - height * 0.5, x - width * (moved + 0.5) / count) < min(height, width) / 6
        picture[inside] = colour
        frames.append(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
    return np.stack(frames)


def published_name(name: str) -> str:
    for library, published in [("model.vision_model.", "model.vision_encoder."),
                               ("model.projector.", "model.mm_projector."), ("model.language_model.", "model.")]:
        name = name.replace(library, published)
    return name


def write(spec: dict, folder: Path) -> torch.nn.Module:
    folder.mkdir(parents=True, exist_ok=True)
    published = spec["family"] == "videollama3_qwen2"
    family = FAMILIES[spec["family"]]
    tokenizer = byte_level_tokenizer(family.specials, training_text(spec) + REQUEST + "Time 0.0s: Time 1.0s:")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    write_json(folder / "tokenizer_config.json", tokenizer_config(spec))
    if published:
        write_json(folder / "chat_template.json", {"chat_template": family.chat})
    else:
        (folder / "chat_template.jinja").write_text(family.chat)
    for name, value in spec["files"].items():
        write_json(folder / name, value)

    text = {"vocab_size": tokenizer.get_vocab_size(), "torch_dtype": spec["dtype"], **spec["text"],
            "eos_token_id": tokenizer.token_to_id("<|im_end|>"), "bos_token_id": tokenizer.token_to_id("<|endoftext|>")}
    placeholder = tokenizer.token_to_id(family.placeholder)
    library = {"architectures": [family.model], "model_type": "video_llama_3", "torch_dtype": spec["dtype"],
               "image_token_id": tokenizer.token_to_id(family.specials[-2]), "video_token_id": placeholder,
               "tie_word_embeddings": published, "vision_config": {"model_type": "video_llama_3_vision", **spec["vision"]},
               "text_config": {"model_type": "qwen2", **text, "tie_word_embeddings": published}}
    own = {"architectures": ["Videollama3Qwen2ForCausalLM"], "model_type": "videollama3_qwen2",
           "auto_map": {"AutoConfig": "configuration_videollama3.Videollama3Qwen2Config",
                        "AutoModelForCausalLM": "modeling_videollama3.Videollama3Qwen2ForCausalLM"},
           **text, "tie_word_embeddings": True, "image_token_index": placeholder, "mm_projector_type": "mlp2x_gelu",
           "use_token_compression": True, "vision_encoder": None,
           "vision_encoder_config": {"model_type": "videollama3_vision_encoder", **spec["vision"]}}
    write_json(folder / "config.json", own if published else library)

    cls = getattr(transformers, family.model)
    blank = cls(VideoLlama3Config.from_dict(json.loads(json.dumps(library))))
    letters = [tokenizer.token_to_id(chr(ord("A") + i)) for i in range(len(spec["options"]))]
    named = published_name if published else str
    values = random_state(blank, spec["seed"], letters)
    state = {named(k): v.to(getattr(torch, spec["dtype"])).contiguous() for k, v in values.items()}
    save_sharded(state, folder, 1)
    if published:
        stored = load_file(folder / "model.safetensors")
        blank.load_state_dict({k: stored[named(k)].float() for k in values}, strict=False)
        blank.tie_weights()
        blank.set_attn_implementation("eager")
        model = blank.float()
    else:
        model, info = cls.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                          output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    loaded = {named(k): v for k, v in model.state_dict().items()}
    for k, v in state.items():
        assert torch.equal(v.float(), loaded[k]), k
    return model.eval()


class VideoLlama3Reference(FamilyReference):
    KEYS = ("input_ids", "pixel_values_videos", "video_grid_thw", "video_merge_sizes", "video_compression_mask")

    def __init__(self, spec: dict, folder: Path, model: torch.nn.Module):
        super().__init__(spec, folder, model)
        self.positions = None
        self.decoder.rotary_emb.register_forward_pre_hook(self.note, with_kwargs=True)

    def note(self, _module, args, kwargs) -> None:
        """Where the class puts the rows of a whole prompt."""
        places = kwargs["position_ids"] if "position_ids" in kwargs else args[1]
        if self.positions is None:
            self.positions = places[0].int()

    def pixels(self, frames: np.ndarray) -> torch.Tensor:
        """[T, 3, H, W], from the patches that the processor makes."""
        self.inputs = {k: v for k, v in self.processed(frames).items() if k in self.KEYS}
        patch, merge = self.spec["vision"]["patch_size"], 2
        t, h, w = self.inputs["video_grid_thw"][0].tolist()
        blocks = self.inputs["pixel_values_videos"].view(t, h // merge, w // merge, merge, merge, 3, patch, patch)
        return blocks.permute(0, 5, 1, 3, 6, 2, 4, 7).reshape(t, 3, h * patch, w * patch)

    def whole_features(self) -> torch.Tensor:
        """[T, tokens of a frame, d], of which the prompt has some."""
        out = self.model.model.get_video_features(
            self.inputs["pixel_values_videos"], self.inputs["video_grid_thw"], self.inputs["video_merge_sizes"],
            return_dict=True)
        return out.pooler_output[0].unflatten(0, (int(self.inputs["video_grid_thw"][0, 0]), -1))

    def projected(self, _pixels: torch.Tensor) -> torch.Tensor:
        return self.whole_features()

    def features(self, _pixels: torch.Tensor) -> torch.Tensor:
        return self.whole_features().flatten(0, 1)[self.inputs["video_compression_mask"]]

    def frame_counts(self) -> list[int]:
        return self.inputs["video_compression_mask"].unflatten(0, (self.spec["frames"][0], -1)).sum(1).tolist()

    def check(self, run) -> None:
        out = self.model(**self.inputs, output_hidden_states=True)
        torch.testing.assert_close(out.logits[0], run.logits, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(torch.cat(out.hidden_states[1:]), run.hidden, rtol=1e-5, atol=1e-5)


def target_size(height: int, width: int, frames: int, factor: int, least: int, most: int) -> tuple[int, int]:
    """The published processor's size of a frame of a clip: bounds in tokens, the least one of each frame."""
    share = most * factor * factor // frames
    h, w = round(height / factor) * factor, round(width / factor) * factor
    if h * w > share:
        beta = math.sqrt((height * width) / share)
        h, w = math.floor(height / beta / factor) * factor, math.floor(width / beta / factor) * factor
    if h * w < least * factor * factor:
        beta = math.sqrt(least * factor * factor / (height * width))
        h, w = math.ceil(height * beta / factor) * factor, math.ceil(width * beta / factor) * factor
    return h, w


class PublishedReference(VideoLlama3Reference):
    """What the published processor and model make of a clip and a conversation."""

    def __init__(self, spec: dict, folder: Path, model: torch.nn.Module):
        self.spec, self.model, self.folder = spec, model, folder
        self.family = FAMILIES[spec["family"]]
        self.decoder = model.model.language_model
        self.layers = len(self.decoder.layers)
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        self.positions = None
        self.decoder.rotary_emb.register_forward_pre_hook(self.note, with_kwargs=True)
        self.processor = transformers.VideoLlama3VideoProcessor(**PIXELS)
        self.whole = self

    def times(self) -> list[float]:
        """From start to end at even distances, as the whole clip is decoded before frames are chosen."""
        duration = self.spec["total_frames"] / self.spec["fps"]
        return list(np.linspace(0, duration, self.spec["total_frames"])[self.spec["indices"]])

    def chat(self) -> str:
        said = question_block(self.spec) + self.family.request
        video = {"type": "video", "num_frames": self.spec["frames"][0], "timestamps": self.times()}
        return self.tokenizer.apply_chat_template(
            [{"role": "user", "content": [video, {"type": "text", "text": said}]}], chat_template=self.family.chat,
            tokenize=False, add_generation_prompt=True, add_system_prompt=False, image_token=IMAGE)

    def processed(self, frames: np.ndarray) -> dict:
        told = self.spec["files"]["preprocessor_config.json"]
        patch, merge = told["patch_size"], 2
        size = target_size(*frames.shape[1:3], len(frames), patch * merge, told["min_tokens"], told["max_tokens"])
        pictures = np.stack([resize(f, size, resample=PILImageResampling(told["resample"]),
                                    input_data_format=ChannelDimension.LAST) for f in frames])
        mean, std = (np.float32(told[k]) for k in ("image_mean", "image_std"))
        values = ((pictures * told["rescale_factor"]).astype(np.float32) - mean) / std
        t, (h, w) = len(frames), (size[0] // patch, size[1] // patch)
        blocks = torch.from_numpy(values).view(t, h // merge, merge, patch, w // merge, merge, patch, 3)
        patches = blocks.permute(0, 1, 4, 2, 5, 7, 3, 6).reshape(t * h * w, -1)
        grid, merges = torch.tensor([[t, h, w]]), torch.tensor([merge])
        mask = self.processor._get_compression_mask(patches, grid, merges)
        ids = self.tokenizer(self.expanded(h * w // merge ** 2))["input_ids"]
        kept = torch.ones(len(ids), dtype=torch.bool)
        kept[torch.tensor(ids) == self.model.config.video_token_id] = mask
        return {"input_ids": torch.tensor(ids)[kept][None], "pixel_values_videos": patches, "video_grid_thw": grid,
                "video_merge_sizes": merges, "video_compression_mask": mask}

    def expanded(self, tokens: int) -> str:
        return self.chat().replace(IMAGE, IMAGE * tokens)

    def get_text_with_replacements(self, texts: list[str], _images, _videos):
        """The prompt of the ids, in words: each frame's token as often as it is kept."""
        pieces = texts[0].split(IMAGE)
        counts = self.frame_counts()
        return [[pieces[0] + "".join(IMAGE * n + piece for n, piece in zip(counts, pieces[1:], strict=True))]]

    def replacements(self) -> list[str]:
        """What stands for the video: from the first time through the last token."""
        text = self.get_text_with_replacements([self.chat()], [], [])[0][0]
        return [text[text.index("Time "):text.rindex(IMAGE) + len(IMAGE)]]


def answers(ref: VideoLlama3Reference, prompt) -> dict:
    """Greedy tokens, the same as the class's own `generate` gives."""
    steps = ref.generate(prompt.embeddings, STEPS, {})
    ids = [int(s.argmax()) for s in steps]
    whole = ref.model.generate(**ref.inputs, do_sample=False, max_new_tokens=STEPS,
                               eos_token_id=ref.tokenizer.eos_token_id)[0, len(prompt.ids):].tolist()
    assert ids == whole, (ids, whole)
    return {"steps": STEPS, "ids": ids, "probabilities": [float(s.softmax(-1).max()) for s in steps]}


def sizes(published: bool) -> list[dict]:
    """Sizes of frames by the processor's rule, as pixels or tokens bound them."""
    made = []
    for height, width in [(360, 640), (1080, 1920), (35, 1000), (14, 42), (717, 333), (42, 70)]:
        for least, most in [(16, 16384), (128, 768)]:
            for frames in [1, 8, 180]:
                if published:
                    to = target_size(height, width, frames, 28, least, most)
                else:
                    processor = transformers.VideoLlama3VideoProcessor(
                        size={"shortest_edge": least * 784, "longest_edge": most * 784})
                    pictures = torch.zeros(1, 1, 3, height, width, dtype=torch.uint8).expand(1, frames, 3, height, width)
                    seen, base = {}, transformers.video_processing_utils.BaseVideoProcessor
                    original = base.resize
                    base.resize = lambda _self, image, size, **_keys: seen.update(to=(size.height, size.width))
                    processor.resize(pictures, processor.size, None, 28)
                    base.resize, to = original, seen["to"]
                made.append({"height": height, "width": width, "least": least, "most": most, "frames": frames, "to": to})
    return made


def near_still(processor) -> dict[str, torch.Tensor]:
    """A clip that changes by next to nothing, and which of its tokens the class keeps: both sides of the threshold."""
    rng = np.random.default_rng(2)
    frames = [rng.integers(1, 255, (16, 24, 3))]
    for step in range(1, 6):
        picture = frames[-1].copy()
        for row in range(2):
            for column in range(3):
                cell = picture[row * 8:row * 8 + 8, column * 8:column * 8 + 8].reshape(-1)
                at = rng.choice(len(cell), 7 + (row * 3 + column + step) % 6, replace=False)
                cell[at] += rng.choice([-1, 1], len(at))
                picture[row * 8:row * 8 + 8, column * 8:column * 8 + 8] = cell.reshape(8, 8, 3)
        frames.append(picture)
    clip = torch.from_numpy(np.clip(np.stack(frames), 0, 255).astype(np.uint8))
    patches, *grid = processor.patchify(((clip / 255 - 0.5) / 0.5).permute(0, 3, 1, 2)[None], 4, 2, 1)
    mask = processor._get_compression_mask(patches[0], torch.tensor([grid]), torch.tensor([2]))
    assert 6 < int(mask[6:].sum()) < 24, mask
    return {"still.pixels": clip, "still.kept": mask.byte()}


def make_videollama3(name: str, folder: Path) -> tuple[VideoLlama3Reference, dict, dict]:
    spec = videollama3_case(name)
    published = spec["family"] == "videollama3_qwen2"
    ref = (PublishedReference if published else VideoLlama3Reference)(spec, folder, write(spec, folder))
    frames = still_clip(spec["seed"], *spec["frames"])
    (folder / "frames.rgb").write_bytes(frames.tobytes())
    pixels, projected, video = ref.stages(frames)
    prompt = ref.prompt("", video)
    run = ref.run(prompt.embeddings)
    ref.check(run)
    assert torch.equal(ref.positions, torch.arange(len(prompt.ids)))
    counts, whole = ref.frame_counts(), projected.shape[1]
    assert counts[0] == whole and 1 < counts[1] < whole and counts[2:4] == [1, whole], counts
    tensors, facts = clean_tensors(ref, pixels, projected, video, prompt, run)
    # Readings of the hidden states are the same code for every family.
    tensors = {k: v for k, v in tensors.items() if not k.startswith(("lens.", "answer.", "mass"))}
    cut_tensors, cut_facts = sweeps(ref, prompt, run, facts["groundTruth"]["id"])
    tensors |= cut_tensors | {"positions": ref.positions, "kept": ref.inputs["video_compression_mask"].byte()}
    facts |= cut_facts | {
        "seen": {"indices": spec["indices"], "fps": spec["fps"], "totalFrames": spec["total_frames"]},
        "grid": [int(n) for n in ref.inputs["video_grid_thw"][0]], "frameCounts": counts,
        "answers": answers(ref, prompt), "sizes": sizes(published)}
    if not published:
        tensors |= near_still(ref.processor)
        facts["sampled"] = [s for s in sampled(ref.processor) if s["fps"] == 29.97 and len(s["indices"]) < 10]
    return ref, tensors, facts
