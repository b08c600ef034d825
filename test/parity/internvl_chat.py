"""InternVL in its authors' own layout, for which transformers has no class.

What runs is transformers' own: InternVLVisionModel for the tower, Phi3ForCausalLM and Qwen2ForCausalLM for the
decoder (LlamaForCausalLM for InternLM2, which is its design under other names), CLIPImageProcessor for the pictures. Written here is what lies between them in the published model: the names
and fusions of the tensors, the choice of a layer, the two versions of pixel shuffle, the projector, and the place of
the video in the prompt.
"""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoTokenizer, CLIPImageProcessor
from transformers.models.internvl.configuration_internvl import InternVLVisionConfig
from transformers.models.internvl.modeling_internvl import InternVLModel, InternVLVisionModel

from cases import FULL_SYSTEM, question_block
from cases_internvl_chat import PREPROCESSOR
from checkpoint import build_tokenizer, random_state, random_values, save_sharded, write_json
from families import byte_level_tokenizer
from groups import char_ranges
from reference import Prompt, Reference

CONTEXT = "<IMG_CONTEXT>"
PHI3_CHAT = ("{system} <|user|>\n<img><IMG_CONTEXT></img>\n <|user|>\n{question} \nOnly give the best option. "
             "<|assistant|>\nBest option:(")
# transformers' name of each tensor of a layer of the tower; q, k and v are cut from one.
LAYER_NAMES = {
    "layernorm_before.weight": "norm1.weight", "layernorm_before.bias": "norm1.bias",
    "layernorm_after.weight": "norm2.weight", "layernorm_after.bias": "norm2.bias",
    "attention.projection_layer.weight": "attn.proj.weight", "attention.projection_layer.bias": "attn.proj.bias",
    "mlp.fc1.weight": "mlp.fc1.weight", "mlp.fc1.bias": "mlp.fc1.bias",
    "mlp.fc2.weight": "mlp.fc2.weight", "mlp.fc2.bias": "mlp.fc2.bias",
    "lambda_1": "ls1", "lambda_2": "ls2",
    "attention.q_norm.weight": "attn.q_norm.weight", "attention.k_norm.weight": "attn.k_norm.weight",
}
INTERNLM2_NAMES = {
    "self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1", "mlp.up_proj": "feed_forward.w3",
    "mlp.down_proj": "feed_forward.w2", "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm",
    "embed_tokens": "tok_embeddings", "lm_head": "output",
}
EMBEDDING_NAMES = {
    "embeddings.cls_token": "embeddings.class_embedding",
    "embeddings.position_embeddings": "embeddings.position_embedding",
    "embeddings.patch_embeddings.projection.weight": "embeddings.patch_embedding.weight",
    "embeddings.patch_embeddings.projection.bias": "embeddings.patch_embedding.bias",
}


class InternVlChat(nn.Module):
    """The published model, its parts under the names of transformers' classes."""

    def __init__(self, spec: dict, vocab: int):
        super().__init__()
        vision, llm = spec["chat_vision"], {**spec["llm"], "vocab_size": vocab}
        self.root = {"ps_version": "v1", **spec["root"]}
        self.tower = InternVLVisionModel._from_config(InternVLVisionConfig(
            hidden_size=vision["hidden_size"], num_hidden_layers=vision["num_hidden_layers"],
            num_attention_heads=vision["num_attention_heads"], intermediate_size=vision["intermediate_size"],
            image_size=vision["image_size"], patch_size=vision["patch_size"], hidden_act=vision["hidden_act"],
            layer_norm_eps=vision["layer_norm_eps"], attention_bias=vision["qkv_bias"], use_qk_norm=vision["qk_normalization"], norm_type=vision["norm_type"], use_mean_pooling=True), attn_implementation="eager")
        if llm.get("rope_scaling", {}).get("type") == "su":  # the older name, which transformers no longer reads here
            llm["rope_scaling"] = {**llm["rope_scaling"], "type": "longrope"}
        self.internlm2 = llm["model_type"] == "internlm2"
        if self.internlm2:  # Llama's design under other names
            llm |= {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "attention_bias": llm["bias"]}
        self.groups = llm["num_attention_heads"] // llm["num_key_value_heads"]
        self.head_dim = llm["hidden_size"] // llm["num_attention_heads"]
        config = CONFIG_MAPPING[llm["model_type"]].from_dict(json.loads(json.dumps(llm)))
        self.language_model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        wide, width = vision["hidden_size"] * 4, llm["hidden_size"]
        self.mlp1 = nn.Sequential(nn.LayerNorm(wide), nn.Linear(wide, width), nn.GELU(), nn.Linear(width, width))

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """[T, tokens of a frame, d]"""
        states = self.tower(pixel_values=pixels, output_hidden_states=True).hidden_states
        patches = states[self.root["select_layer"]][:, 1:]
        side = int(patches.shape[1] ** 0.5)
        grid = patches.unflatten(1, (side, side))
        # Rows, then columns, of squares of two by two patches, each square row after row.
        squares = grid.unflatten(2, (side // 2, 2)).unflatten(1, (side // 2, 2)).permute(0, 1, 3, 2, 4, 5)
        shuffled = squares.flatten(3)
        if self.root["ps_version"] == "v1":
            shuffled = shuffled.transpose(1, 2)
        else:
            torch.testing.assert_close(shuffled, InternVLModel.pixel_shuffle(None, grid, 0.5))
        return self.mlp1(shuffled.flatten(1, 2))

    def published(self) -> dict[str, torch.Tensor]:
        """The state under the names of the published files."""
        language = dict(self.language_model.state_dict())
        if self.internlm2:
            language = self.as_internlm2(language)
        state = {f"language_model.{k}": v for k, v in language.items()}
        state |= {f"mlp1.{k}": v for k, v in self.mlp1.state_dict().items()}
        mine = dict(self.tower.state_dict())
        state |= {f"vision_model.{theirs}": mine.pop(ours) for ours, theirs in EMBEDDING_NAMES.items()}
        for i in range(len(self.tower.encoder.layer)):
            ours, theirs = f"encoder.layer.{i}.", f"vision_model.encoder.layers.{i}."
            state |= {theirs + b: mine.pop(ours + a) for a, b in LAYER_NAMES.items() if ours + a in mine}
            for part in ["weight", "bias"]:
                if f"{ours}attention.q_proj.{part}" in mine:
                    state[f"{theirs}attn.qkv.{part}"] = torch.cat(
                        [mine.pop(f"{ours}attention.{x}_proj.{part}") for x in "qkv"])
        assert not mine, list(mine)
        return state

    def load_published(self, state: dict[str, torch.Tensor]) -> None:
        """The inverse, into this model."""
        state = dict(state)
        into: dict[str, torch.Tensor] = {}
        for name in [k for k in state if k.startswith("vision_model.")]:
            value, short = state.pop(name), name.removeprefix("vision_model.")
            ours = {v: k for k, v in EMBEDDING_NAMES.items()}.get(short)
            if ours is None:
                _, _, i, rest = short.split(".", 3)
                if rest.startswith("attn.qkv."):
                    for x, third in zip("qkv", value.chunk(3)):
                        into[f"encoder.layer.{i}.attention.{x}_proj.{rest.removeprefix('attn.qkv.')}"] = third
                    continue
                ours = f"encoder.layer.{i}." + {v: k for k, v in LAYER_NAMES.items()}[rest]
            into[ours] = value
        self.tower.load_state_dict(into)
        self.mlp1.load_state_dict({k.removeprefix("mlp1."): state.pop(k) for k in list(state) if k.startswith("mlp1.")})
        language = {k.removeprefix("language_model."): v for k, v in state.items()}
        self.language_model.load_state_dict(self.from_internlm2(language) if self.internlm2 else language)

    def as_internlm2(self, llama: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """InternLM2's names; of each key head in turn the queries that read it, its key and its value."""
        llama, out = dict(llama), {}
        for i in range(self.language_model.config.num_hidden_layers):
            for part in ["weight", "bias"]:
                names = [f"model.layers.{i}.self_attn.{x}_proj.{part}" for x in "qkv"]
                if names[0] not in llama:
                    continue
                q, k, v = (llama.pop(name).unflatten(0, (-1, self.head_dim)) for name in names)
                grouped = torch.cat([q.unflatten(0, (-1, self.groups)), k[:, None], v[:, None]], 1)
                out[f"model.layers.{i}.attention.wqkv.{part}"] = grouped.flatten(0, 2)
        for name, value in llama.items():
            for ours, theirs in INTERNLM2_NAMES.items():
                name = name.replace(ours, theirs)
            out[name] = value
        return out

    def from_internlm2(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The inverse, cut as the published model's attention cuts it: its rearrange of (h gs d)."""
        out = {}
        for name, value in state.items():
            if ".attention.wqkv." in name:
                grouped = value.unflatten(0, (-1, self.groups + 2, self.head_dim))
                parts = {"q": grouped[:, :self.groups].flatten(0, 2), "k": grouped[:, -2].flatten(0, 1),
                         "v": grouped[:, -1].flatten(0, 1)}
                out |= {name.replace("attention.wqkv", f"self_attn.{x}_proj"): y for x, y in parts.items()}
                continue
            for ours, theirs in INTERNLM2_NAMES.items():
                name = name.replace(theirs, ours)
            out[name] = value
        return out


def config_of(spec: dict, vocab: int) -> dict:
    return {"architectures": ["InternVLChatModel"], "model_type": "internvl_chat", "torch_dtype": spec["dtype"],
            "vision_config": spec["chat_vision"],
            "llm_config": {**spec["llm"], "vocab_size": vocab, "torch_dtype": spec["dtype"]}, **spec["root"],
            **{key: spec["specials"].index(token) for key, token in spec["token_keys"].items()}}


def taking_line_breaks(tokenizer: Tokenizer) -> Tokenizer:
    """Phi-3's turn tokens, as published, take the white space after them."""
    content = json.loads(tokenizer.to_str())
    for token in content["added_tokens"]:
        token["rstrip"] = token["content"].startswith("<|")
    return Tokenizer.from_str(json.dumps(content))


class InternVlChatReference(Reference):
    def __init__(self, spec: dict, folder: Path, model: InternVlChat):
        self.spec, self.folder, self.whole = spec, folder, model
        self.model, self.decoder = model.language_model, model.language_model.model
        self.layers = len(self.decoder.layers)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.processor = CLIPImageProcessor.from_pretrained(folder)

    def stages(self, frames: np.ndarray):
        pixels = self.pixels(frames)
        self.projected_frames = self.whole.features(pixels)
        return pixels, self.projected_frames, self.projected_frames.flatten(0, 1)

    def text(self) -> str:
        said = question_block(self.spec)
        if "chat" not in self.spec:
            return PHI3_CHAT.format(system=FULL_SYSTEM, question=said)
        # As the published model's own chat shows a video: numbered frames, a line each, then the question.
        frames = "".join(f"Frame{i + 1}: <img>{CONTEXT}</img>\n" for i in range(self.spec["frames"][0]))
        turn = [{"role": "user", "content": f"{frames}{said} \nOnly give the best option."}]
        return self.tokenizer.apply_chat_template(turn, chat_template=self.spec["chat"], tokenize=False,
                                                  add_generation_prompt=True) + "Best option:("

    def prompt(self, _text: str, video: torch.Tensor, spec: dict | None = None) -> Prompt:
        text = self.text()
        ids = self.tokenizer(text)["input_ids"]
        plain = Tokenizer.from_file(str(self.folder / "tokenizer.json")).encode(text)
        assert plain.ids == ids
        context = self.tokenizer.convert_tokens_to_ids(CONTEXT)
        holes = [i for i, token in enumerate(ids) if token == context]
        frames, per_frame = self.projected_frames.shape[:2]
        count = len(video) // len(holes)
        words, whole, places, at = self.model.get_input_embeddings()(torch.tensor(ids)), [], [], {}
        for i, token in enumerate(ids):
            at[i] = sum(len(part) for part in whole)
            if token == context:
                places += range(at[i], at[i] + count)
                whole.append(video[len(places) - count:len(places)])
            else:
                whole.append(words[i:i + 1])
        groups = {"system": list(range(places[0])), "video": places}
        groups |= {f"frame:{i}": places[i * per_frame:(i + 1) * per_frame] for i in range(frames)}
        ranges = char_ranges(self.spec, text, text.rindex(CONTEXT))
        if len(holes) > 1:
            ranges = {"frame-text": [(text.index(CONTEXT), text.rindex("</img>") + len("</img>"))], **ranges}
        for name, wanted in ranges.items():
            groups[name] = [at[t] for t, (a, b) in enumerate(plain.offsets) if t not in holes
                            and any(a < end and begin < b for begin, end in wanted)]
            assert groups[name], name
        merged = torch.cat(whole)
        groups["last"] = [len(merged) - 1]
        expanded = [token for token in ids for _ in range(count if token == context else 1)]
        return Prompt(text, expanded, places[0], groups, merged)

    def check(self, run) -> None:
        """What each case is there for is really met."""
        rope = self.spec["llm"].get("rope_scaling")
        if self.spec["llm"]["model_type"] == "internlm2":
            assert len(run.logits) > self.spec["llm"]["max_position_embeddings"]
        elif rope is not None:
            long = len(run.logits) > self.spec["llm"]["original_max_position_embeddings"]
            assert long == (self.spec["name"] == "l-internvl-v1"), len(run.logits)


def write_internvl_chat(spec: dict, folder: Path) -> InternVlChat:
    """Writes the folder under the published names and reads it back, in fp32."""
    folder.mkdir(parents=True, exist_ok=True)
    phi3 = "chat" not in spec
    tokenizer = taking_line_breaks(build_tokenizer(False, list(spec["specials"]))) if phi3 \
        else byte_level_tokenizer(spec["specials"], "user assistant Frame1: Best option: " * 2 + question_block(spec))
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "LlamaTokenizerFast", "add_bos_token": True, "add_eos_token": False, "legacy": True,
        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<|endoftext|>",
        "clean_up_tokenization_spaces": False} if phi3 else {
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
        "clean_up_tokenization_spaces": False, "chat_template": spec["chat"]})
    write_json(folder / "preprocessor_config.json", PREPROCESSOR)
    vocab = tokenizer.get_vocab_size()
    write_json(folder / "config.json", config_of(spec, vocab))

    model = InternVlChat(spec, vocab)
    letters = [tokenizer.token_to_id(chr(ord("A") + i)) for i in range(len(spec["options"]))]
    language = random_state(model.language_model, spec["seed"], letters)
    model.language_model.load_state_dict({k: v * 1.5 if "qkv_proj" in k else v for k, v in language.items()})
    model.tower.load_state_dict(random_values(model.tower, torch.Generator().manual_seed(spec["seed"] + 1)))
    model.mlp1.load_state_dict({k: v * 1.5 if k == "1.weight" else v for k, v in random_values(
        model.mlp1, torch.Generator().manual_seed(spec["seed"] + 2)).items()})
    state = {k: v.to(getattr(torch, spec["dtype"])).contiguous() for k, v in model.published().items()}
    save_sharded(state, folder, spec["shards"])
    model.load_published({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
    for name, value in model.published().items():
        assert torch.equal(value, state[name].float()), name
    return model.eval()
