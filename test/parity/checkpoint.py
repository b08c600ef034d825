"""Tiny checkpoints with random weights, written as Hugging Face lays them out."""
from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors, trainers
from transformers import CONFIG_MAPPING, LlavaForConditionalGeneration, LlavaNextForConditionalGeneration

from cases import CASES, FULL_SYSTEM, case, render
from families import FAMILIES, blank_model, byte_level_tokenizer, configuration, tokenizer_config, training_text

CLASSES = {"llava": LlavaForConditionalGeneration, "llava_next": LlavaNextForConditionalGeneration}
SPECIALS = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]


def build_tokenizer(byte_fallback: bool, specials: list[str] = SPECIALS) -> Tokenizer:
    """Llama's design (metaspace by normalizer, BPE, BOS by template), trained on the fixtures' prompts.

    As in the published tokenizer, "▁" is put before every stretch between special tokens.
    """
    alphabet = [chr(c) for c in range(33, 127)] + ["▁", "\n"]
    texts = [render(case(n)) for n in CASES if CASES[n].get("tokenizer") != "bytes" and not CASES[n].get("family")] + [FULL_SYSTEM]
    texts = [t.replace("<image>", " ").replace(" ", "▁") for t in texts]
    trainer = trainers.BpeTrainer(vocab_size=170, min_frequency=2, initial_alphabet=alphabet, show_progress=False,
                                  max_token_length=6)
    trained = Tokenizer(models.BPE())
    trained.train_from_iterator([w for t in texts for w in t.replace("▁", " ▁").split(" ")], trainer)
    learned = json.loads(trained.to_str())["model"]

    pieces = list(specials) + ([f"<0x{b:02X}>" for b in range(256)] if byte_fallback else [])
    pieces += [p for p in sorted(learned["vocab"], key=learned["vocab"].get) if p not in pieces]
    tokenizer = Tokenizer(models.BPE(vocab={p: i for i, p in enumerate(pieces)},
                                     merges=[tuple(m) for m in learned["merges"]],
                                     unk_token="<unk>", fuse_unk=True, byte_fallback=byte_fallback))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    tokenizer.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in specials])
    return tokenizer


def config_of(spec: dict, vocab: int) -> dict:
    """config.json as it stands in the published files: sparse, and in the older key style."""
    hub_dtype = {"torch_dtype": spec["dtype"]}
    text = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": vocab,
            "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3, **hub_dtype, **spec["text"]}
    for key in spec["text_omit"]:
        del text[key]
    config = {
        "architectures": [CLASSES[spec["model_type"]].__name__], "model_type": spec["model_type"],
        "ignore_index": -100, "image_token_index": SPECIALS.index("<image>"), "pad_token_id": 3,
        "projector_hidden_act": "gelu", "vision_feature_layer": -2, "vision_feature_select_strategy": "default",
        "vocab_size": vocab, **hub_dtype,
        "text_config": text,
        "vision_config": {"model_type": "clip_vision_model", "vocab_size": 32, **spec["vision"]},
    }
    return {**config, **(spec["pllava"] or {}), **spec["root"]}


def random_values(model: torch.nn.Module, gen: torch.Generator) -> dict[str, torch.Tensor]:
    """Weights large enough that attention is peaked, answers differ and a cut is felt."""
    state = {}
    for name, p in model.state_dict().items():
        noise = torch.randn(p.shape, generator=gen)
        if name.endswith("position_ids"):
            continue
        if p.ndim == 1:
            norm = "norm" in name and name.endswith("weight")
            value = 1 + 0.2 * noise if norm else 0.3 * noise
        elif "embed_tokens" in name:
            value = noise
        elif "position_embeddings" in name or "cls_token" in name:
            value = 0.3 * noise
        elif "lm_head" in name:
            value = noise * 2.2 / p.shape[1] ** 0.5
        else:
            fan_in = p[0].numel()
            value = noise * (1.6 if "q_proj" in name or "k_proj" in name else 1.0) / fan_in ** 0.5
        state[name] = value
    return state


def random_state(model: torch.nn.Module, seed: int, letters: list[int]) -> dict[str, torch.Tensor]:
    """Random values; the option letters' rows of the head louder, so that the answer is one of them more often."""
    state = random_values(model, torch.Generator().manual_seed(seed))
    head = "lm_head.weight"
    if model.config.tie_word_embeddings:
        embed = next(k for k in state if k.endswith("embed_tokens.weight"))
        state[embed] = state[embed] * 2.2 / state[embed].shape[1] ** 0.5
        del state[head]
        head = embed
    state[head][letters] *= 2
    return state


def stored_name(name: str, style: str) -> str:
    """The name a tensor of transformers 5 has in a file of the given age."""
    name = name.replace("model.vision_tower.vision_model.", "model.vision_tower.")
    if style != "flat" and not (".encoder.layer." in name or "cls_token" in name or "position_embeddings" in name
                                or "patch_embeddings" in name):
        name = name.replace("model.vision_tower.", "model.vision_tower.vision_model.")
    if style == "old":
        if name.startswith("lm_head"):
            return "language_model." + name
        name = name.removeprefix("model.")
        if name.startswith("language_model."):
            name = name.replace("language_model.", "language_model.model.", 1)
    return name


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_checkpoint(spec: dict, folder: Path) -> torch.nn.Module:
    """Writes the folder and reads it back through from_pretrained, in fp32."""
    folder.mkdir(parents=True, exist_ok=True)
    if spec["family"]:
        return write_family_checkpoint(spec, folder)
    tokenizer = build_tokenizer(spec["tokenizer"] == "bytes")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "LlamaTokenizerFast", "add_bos_token": True, "add_eos_token": False, "legacy": True,
        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
        "clean_up_tokenization_spaces": False})

    edge = spec["vision"]["image_size"]
    sizes = {"size": edge, "crop_size": edge} if spec["processor"] == "int" else {
        "size": {"shortest_edge": edge}, "crop_size": {"height": edge, "width": edge}, "rescale_factor": 1 / 255,
        "do_rescale": True, "do_convert_rgb": True}
    next_keys = {"image_grid_pinpoints": spec["root"]["image_grid_pinpoints"], "do_pad": True,
                 "aspect_ratio_setting": "anyres"} if spec["model_type"] == "llava_next" else {}
    kind = "LlavaNextImageProcessor" if next_keys else "CLIPImageProcessor"
    write_json(folder / "preprocessor_config.json", {
        "image_processor_type": kind, "do_resize": True, "do_center_crop": True, "do_normalize": True,
        "resample": 3, "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711], **sizes, **next_keys})

    config = config_of(spec, tokenizer.get_vocab_size() + spec["extra_vocab"])
    write_json(folder / "config.json", config)
    cls = CLASSES[spec["model_type"]]
    blank = cls(CONFIG_MAPPING[spec["model_type"]].from_dict(json.loads(json.dumps(config))))
    return write_weights(spec, folder, blank, tokenizer)


def write_family_checkpoint(spec: dict, folder: Path) -> torch.nn.Module:
    family = FAMILIES[spec["family"]]
    llama = family.specials[0] == "<unk>"
    tokenizer = build_tokenizer(False, list(family.specials)) if llama \
        else byte_level_tokenizer(family.specials, training_text(spec))
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    write_json(folder / "tokenizer_config.json", tokenizer_config(spec))
    if not family.decoder == "text_model":
        (folder / "chat_template.jinja").write_text(family.chat)
    for name, value in spec["files"].items():
        write_json(folder / name, value)
    config = configuration(spec, tokenizer.get_vocab_size(), list(family.specials))
    write_json(folder / "config.json", config)
    return write_weights(spec, folder, blank_model(spec, config), tokenizer)


def write_weights(spec: dict, folder: Path, blank: torch.nn.Module, tokenizer: Tokenizer) -> torch.nn.Module:
    """Random weights under the names of the case's age, read back through from_pretrained."""
    dtype = getattr(torch, spec["dtype"])
    letters = [tokenizer.token_to_id(chr(ord("A") + i)) for i in range(len(spec["options"]))]
    state = {stored_name(k, spec["names"]): v.to(dtype).contiguous()
             for k, v in random_state(blank, spec["seed"], letters).items()}
    save_sharded(state, folder, spec["shards"])

    model, info = type(blank).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                              output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    loaded = {stored_name(k, spec["names"]): v for k, v in model.state_dict().items()}
    for k, v in state.items():
        assert torch.equal(v.float(), loaded[k]), k
    return model.eval()


def save_sharded(state: dict[str, torch.Tensor], folder: Path, shards: int) -> None:
    meta = {"format": "pt"}
    if shards == 1:
        save_file(state, folder / "model.safetensors", metadata=meta)
        return
    total = sum(v.nbytes for v in state.values())
    weight_map, parts, done = {}, [{} for _ in range(shards)], 0
    for name, value in state.items():
        part = min(shards - 1, done * shards // total)
        parts[part][name] = value
        weight_map[name] = f"model-{part + 1:05d}-of-{shards:05d}.safetensors"
        done += value.nbytes
    for i, part in enumerate(parts):
        save_file(part, folder / f"model-{i + 1:05d}-of-{shards:05d}.safetensors", metadata=meta)
    write_json(folder / "model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))})
