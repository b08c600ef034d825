"""What transformers makes of changed settings: python config_changes.py > config-changes.jsonl

Each line: a case of fixtures/, a path in its config.json, the value put there (absent: the key is taken
out), and the probabilities of the first eight tokens after a fixed row of ids; null where it refuses.
"""
from __future__ import annotations

import copy
import json
import os
import shutil
import tempfile
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import AutoModelForImageTextToText
from transformers.utils.logging import disable_progress_bar

FIXTURES = Path(__file__).parent / "fixtures"
IDS = torch.arange(10, 110) % 60 + 20
GONE = object()
DYNAMIC = {"rope_type": "dynamic", "factor": 2.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
ROPES = [
    {"rope_type": "default"}, {"type": "linear", "factor": 3.0}, DYNAMIC, {**DYNAMIC, "rope_theta": 50.0}, YARN,
    {**YARN, "attention_factor": 1.5}, {**YARN, "beta_fast": 8, "beta_slow": 2}, {**YARN, "truncate": False},
    {**YARN, "mscale": 0.8, "mscale_all_dim": 0.5}, {**YARN, "factor": 0.5}, {"rope_type": "yarn", "factor": 2.0},
    {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
     "original_max_position_embeddings": 32},
    {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}, {},
]
COMMON = [("rms_norm_eps", 1e-2), ("rms_norm_eps", GONE), ("rope_theta", 50.0), ("rope_theta", GONE),
          ("num_hidden_layers", 1), ("hidden_act", "gelu"), ("hidden_act", GONE), ("tie_word_embeddings", True),
          ("max_position_embeddings", 40), ("max_position_embeddings", GONE), ("use_sliding_window", True),
          ("sliding_window", 7), ("attention_bias", True), ("mlp_bias", True)]
WINDOWS = [("sliding_window", n) for n in (1, 7, 33, 100, 101, 5000)] + [
    ("max_window_layers", n) for n in (0, 1, 3, 4, 99)] + [
    ("layer_types", ["sliding_attention", "full_attention"] * 2), ("layer_types", None), ("use_sliding_window", False),
    ("sliding_window", GONE), ("max_window_layers", GONE)]
CHANGES = {
    "a-old-names": [("text_config", *c) for c in COMMON] + [("text_config", "rope_scaling", r) for r in ROPES]
    + [("text_config", "rope_parameters", r) for r in ROPES],
    "g-linear-bias": [("text_config", "attention_bias", False), ("text_config", "mlp_bias", False),
                      ("text_config", "rope_parameters", DYNAMIC)],
    "o-mistral-window": [("text_config", *c) for c in WINDOWS[:6]] + [
        ("text_config", "sliding_window", None), ("text_config", "sliding_window", GONE)],
    "o-qwen2-windows": [("text_config", *c) for c in WINDOWS],
    "j-internvl-qwen3": [("text_config", *c) for c in COMMON],
    "m-qwen2-5-vl": [("", *c) for c in COMMON] + [("", "rope_scaling", {**r, "mrope_section": [3, 1, 2]}) for r in ROPES],
}


def probabilities(folder: Path) -> list[float] | None:
    try:
        model, info = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    except Exception:
        return None
    if info["missing_keys"] or info["mismatched_keys"]:
        return None
    rows = model.get_input_embeddings()(IDS)[None]
    last = model.model.language_model(inputs_embeds=rows, use_cache=False).last_hidden_state[0, -1]
    return model.lm_head(last).softmax(-1)[:8].tolist()


def main() -> None:
    for name, changes in CHANGES.items():
        folder = Path(tempfile.mkdtemp()) / name
        shutil.copytree(FIXTURES / name, folder)
        config = json.loads((folder / "config.json").read_text())
        for section, key, value in changes:
            changed = copy.deepcopy(config)
            place = changed[section] if section else changed
            if value is GONE:
                place.pop(key, None)
            else:
                place[key] = value
            (folder / "config.json").write_text(json.dumps(changed))
            print(json.dumps({"case": name, "section": section, "key": key,
                              **({} if value is GONE else {"value": value}), "expected": probabilities(folder)}))
        shutil.rmtree(folder.parent)


torch.set_num_threads(1)
torch.set_grad_enabled(False)
disable_progress_bar()
main()
