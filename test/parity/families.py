"""Model families beside PLLaVA: their files, their own processors, and the class's own video path.

A family says what its tiny checkpoint consists of; everything that is expected of it comes from
transformers' model, processor and tokenizer classes.
"""
from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

import transformers
from transformers import CONFIG_MAPPING, AutoTokenizer
from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE
from transformers.video_utils import VideoMetadata

from cases import question_block
from groups import char_ranges
from reference import Prompt, Reference

CHOICE = " \nOnly give the best option."
ANSWER = "Best option:("
# Of each class, what is written into the tokenizer's vocabulary as one token.
CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


@dataclass(frozen=True)
class Family:
    model: str                  # transformers' classes
    processor: str
    video_processor: str
    image_processor: str        # never called; the processor's class wants one
    specials: tuple[str, ...]
    placeholder: str            # repeated for every video token
    marker: str                 # what the chat template writes for a video
    chat: str                   # chat_template of the checkpoint
    answer: str = ANSWER
    request: str = CHOICE       # how a choice is asked for
    tower: str = "vision_tower"
    decoder: str = "language_model"


USER_ASSISTANT = (
    "{% for message in messages %}{% if message['role'] == 'user' %}USER: {% else %}ASSISTANT: {% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'video' %}<video>\n{% elif part['type'] == 'text' %}"
    "{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}{% if add_generation_prompt %} ASSISTANT:{% endif %}")


def chatml(video: str) -> str:
    """Turns between <|im_start|> and <|im_end|>, the video before the words."""
    return ("{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
            "{% for part in message['content'] %}{% if part['type'] == 'video' %}" + video +
            "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


FAMILIES = {
    "llava_next_video": Family(
        "LlavaNextVideoForConditionalGeneration", "LlavaNextVideoProcessor", "LlavaNextVideoVideoProcessor",
        "LlavaNextImageProcessor",
        ("<unk>", "<s>", "</s>", "<pad>", "<video>", "<image>"), "<video>", "<video>", USER_ASSISTANT),
    "llava_onevision": Family(
        "LlavaOnevisionForConditionalGeneration", "LlavaOnevisionProcessor", "LlavaOnevisionVideoProcessor",
        "LlavaOnevisionImageProcessor",
        (*CHATML, "<image>", "<video>"), "<video>", "<video>", chatml("<video>\n")),
    "internvl": Family(
        "InternVLForConditionalGeneration", "InternVLProcessor", "InternVLVideoProcessor", "GotOcr2ImageProcessor",
        (*CHATML, "<img>", "</img>", "<IMG_CONTEXT>", "<video>"), "<IMG_CONTEXT>", "<video>", chatml("<video>\n")),
    "smolvlm": Family(
        "SmolVLMForConditionalGeneration", "SmolVLMProcessor", "SmolVLMVideoProcessor", "SmolVLMImageProcessor",
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<fake_token_around_image>", "<global-img>", "<image>",
         "<video>", "<end_of_utterance>"), "<image>", "<video>", DEFAULT_CHAT_TEMPLATE, " " + ANSWER,
        tower="vision_model", decoder="text_model"),
}


def byte_level_tokenizer(specials: tuple[str, ...], text: str) -> Tokenizer:
    """Qwen2's and SmolLM2's design: byte-level BPE over words, trained on the fixture's own prompt."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=330, min_frequency=2, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    trained.train_from_iterator([text] * 2, trainer)
    learned = json.loads(trained.to_str())["model"]
    pieces = [*specials, *sorted(learned["vocab"], key=learned["vocab"].get)]
    tokenizer = Tokenizer(models.BPE(vocab={p: i for i, p in enumerate(pieces)},
                                     merges=[tuple(m) for m in learned["merges"]]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in specials])
    return tokenizer


def training_text(spec: dict) -> str:
    words = "user assistant User: Assistant: Best option: Frame from 00:0 You are provided the following series of "
    return words * 2 + question_block(spec) + CHOICE


def tokenizer_config(spec: dict) -> dict:
    family = FAMILIES[spec["family"]]
    if family.specials[0] == "<unk>":
        return {"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": True, "add_eos_token": False,
                "legacy": True, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
                "pad_token": "<pad>", "clean_up_tokenization_spaces": False}
    extra = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
             "video_token": "<video>"} if spec["family"] == "internvl" else {}
    return {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
            "clean_up_tokenization_spaces": False, "extra_special_tokens": extra, **extra}


class FamilyReference(Reference):
    """The class's own video path: its processor's pixels and token ids, its own features."""

    def __init__(self, spec: dict, folder: Path, model: torch.nn.Module):
        self.spec, self.model, self.folder = spec, model, folder
        self.family = FAMILIES[spec["family"]]
        self.decoder = getattr(model.model, self.family.decoder)
        self.layers = len(self.decoder.layers)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.processor = getattr(transformers, self.family.video_processor).from_pretrained(folder)
        stills = getattr(transformers, self.family.image_processor)()
        self.whole = getattr(transformers, self.family.processor)(
            image_processor=stills, tokenizer=self.tokenizer, video_processor=self.processor, **spec["processor_keys"])

    def processed(self, frames: np.ndarray) -> dict:
        """The processor's own call on the rendered chat and the frames."""
        metadata = VideoMetadata(total_num_frames=self.spec["total_frames"], fps=self.spec["fps"],
                                 duration=self.spec["total_frames"] / self.spec["fps"],
                                 frames_indices=self.spec["indices"])
        videos = [[frames]] if self.spec["family"] == "smolvlm" else [frames]
        return self.whole(text=[self.chat()], videos=videos, video_metadata=[metadata], do_sample_frames=False,
                          return_tensors="pt")

    def chat(self) -> str:
        said = question_block(self.spec) + self.family.request
        turn = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": said}]}]
        text = self.tokenizer.apply_chat_template(turn, chat_template=self.family.chat, tokenize=False,
                                                  add_generation_prompt=True)
        return text + self.family.answer

    def pixels(self, frames: np.ndarray) -> torch.Tensor:
        self.inputs = self.processed(frames)
        name = next(k for k in self.inputs if k.startswith("pixel_values"))
        pixels = self.inputs[name]
        return pixels[0] if pixels.ndim == 5 else pixels

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """[video tokens, d] as the class merges them."""
        if self.spec["family"] in ("internvl", "smolvlm"):
            batch = pixels[None] if self.spec["family"] == "smolvlm" else pixels
            return self.model.model.get_image_features(pixel_values=batch, return_dict=True).pooler_output.flatten(0, 1)
        out = self.model.model.get_video_features(pixel_values_videos=pixels[None], return_dict=True).pooler_output
        return torch.cat([part.reshape(-1, part.shape[-1]) for part in out])

    def projected(self, pixels: torch.Tensor) -> torch.Tensor:
        """[T, tokens of a frame, d]: the video's tokens but for those that belong to no frame."""
        video = self.features(pixels)
        self.per_frame = len(video) // len(pixels)
        return video[:self.per_frame * len(pixels)].view(len(pixels), self.per_frame, -1)

    def pooled(self, _projected: torch.Tensor) -> torch.Tensor:
        return self.features(self.pixels_seen)

    def prompt(self, _text: str, video: torch.Tensor, spec: dict | None = None) -> Prompt:
        ids = self.inputs["input_ids"][0].tolist()
        text = self.whole.get_text_with_replacements([self.chat()], [], self.replacements())[0][0]
        plain = Tokenizer.from_file(str(self.folder / "tokenizer.json")).encode(text)
        assert plain.ids == ids
        place = self.tokenizer.convert_tokens_to_ids(self.family.placeholder)
        at = [i for i, token in enumerate(ids) if token == place]
        assert len(at) == len(video), (len(at), len(video))
        merged = self.model.get_input_embeddings()(torch.tensor(ids))
        merged[at] = video
        groups, counted = {"system": list(range(at[0])), "video": at}, 0
        for i, count in enumerate(self.frame_counts()):
            groups[f"frame:{i}"] = at[counted:counted + count]
            counted += count
        ranges = char_ranges(self.spec, text, text.rindex(self.family.placeholder))
        if at[counted - 1] - at[0] >= counted:
            told = self.replacements()[0]
            start = text.index(told)
            first = text.index(self.family.placeholder)
            ranges = {"frame-text": [(first, start + len(told))], **ranges}
        for name, wanted in ranges.items():
            groups[name] = [t for t, (a, b) in enumerate(plain.offsets) if t not in at
                            and any(a < end and begin < b for begin, end in wanted)]
            assert groups[name], name
        groups["last"] = [len(ids) - 1]
        short = re.sub(f"(?:{re.escape(self.family.placeholder)})+", self.family.placeholder, text)
        return Prompt(short, ids, at[0], groups, merged)

    def frame_counts(self) -> list[int]:
        """Video tokens of each frame."""
        return [self.per_frame] * self.spec["frames"][0]

    def replacements(self) -> list[str]:
        made = []
        original = self.whole.replace_video_token

        def note(*args, **kwargs):
            made.append(original(*args, **kwargs))
            return made[-1]

        self.whole.replace_video_token = note
        self.processed(self.frames_seen)
        self.whole.replace_video_token = original
        return made

    def stages(self, frames: np.ndarray):
        self.frames_seen = frames
        self.pixels_seen = self.pixels(frames)
        projected = self.projected(self.pixels_seen)
        return self.pixels_seen, projected, self.pooled(projected)

    def check(self, run) -> None:
        """The hooked, hand-merged path is the class's own forward over the processor's own output."""
        keys = {k: v for k, v in self.inputs.items() if k.startswith("pixel") or k in ("input_ids", "attention_mask")}
        out = self.model(**keys, output_hidden_states=True)
        torch.testing.assert_close(out.logits[0], run.logits, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(torch.cat(out.hidden_states[1:]), run.hidden, rtol=1e-5, atol=1e-5)


def configuration(spec: dict, vocab: int, specials: list[str]) -> dict:
    family = FAMILIES[spec["family"]]
    return {"architectures": [family.model], "model_type": spec["family"], "torch_dtype": spec["dtype"],
            "text_config": {"vocab_size": vocab, "torch_dtype": spec["dtype"], **spec["text"]},
            "vision_config": spec["vision"], **spec["root"],
            **{key: specials.index(token) for key, token in spec["token_keys"].items()}}


def blank_model(spec: dict, config: dict) -> torch.nn.Module:
    cls = getattr(transformers, FAMILIES[spec["family"]].model)
    return cls(CONFIG_MAPPING[spec["family"]].from_dict(json.loads(json.dumps(config))))
