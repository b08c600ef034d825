"""The fixtures: what each tiny checkpoint looks like and what is asked of it.

Every case states only how it differs from BASE. A case is a plain dictionary, so that a new one
is a few lines: see README.md for what each is there to catch.
"""
from __future__ import annotations

import copy

FULL_SYSTEM = (
    "Carefully watch the video and pay attention to the cause and sequence of events, the detail and "
    "movement of objects, and the action and pose of persons. Based on your observations, select the best "
    "option that accurately addresses the question.\n"
)
SHORT_SYSTEM = "Watch the video and answer the question.\n"

# The reference's multiple-choice prompt, to the character (mind the space before "\nOnly").
TEMPLATE = "{system} USER: <image>\n USER: {question} \nOnly give the best option. ASSISTANT:Best option:("

BASE = {
    "seed": 1,
    "dtype": "float32",
    "names": "old",              # old: hub files; new: transformers 4.52+; flat: transformers 5
    "shards": 1,
    "tokenizer": "plain",        # plain, or "bytes" for Llama's byte fallback
    "model_type": "llava",
    "text": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4,
             "num_key_value_heads": 4, "rms_norm_eps": 1e-5, "max_position_embeddings": 256},
    "text_omit": [],             # keys left to the class defaults, as published configs do
    "vision": {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 3,
               "image_size": 30, "patch_size": 5, "projection_dim": 16},
    "root": {},                  # further keys of config.json
    "pllava": {"pooling_shape": [4, 3, 3], "num_frames": 4, "frame_shape": [6, 6], "use_pooling": True},
    "caller": None,              # num_frames and pooling_shape given by the caller, when the config has none
    "processor": "dict",         # dict: {"shortest_edge": n}; int: the old bare numbers
    "frames": [4, 37, 50],       # T, H, W
    "system": SHORT_SYSTEM,
    "question": "Which way did the ball move?",
    "options": ["Up", "Down to the box", "Left"],
    "answer": 1,
    "keyword": "ball",
    "windows": [3],
    "styles": ["center", "inverse", "top_down", "bottom_up"],
    "extra_vocab": 0,            # rows of the embeddings beyond the tokenizer's vocabulary
    "full_attention": False,     # every query row of the attention weights, or a few
    "all_logits": False,
    "details": False,            # every logit-lens variant, whole distributions of a sweep, weights of cut runs
    "generate": False,           # six greedy tokens, clean and cut
    "random_control": False,
    "pathways": {"cross_frame": [2, 3], "video_to_question": [2, 3], "question_to_last": [3, 4]},
}

CASES = {
    "a-old-names": {
        "seed": 8, "system": FULL_SYSTEM, "random_control": True, "text": {"num_hidden_layers": 3},
        "pathways": {"cross_frame": [1, 2], "video_to_question": [2, 2], "question_to_last": [2, 3]},
        "about": "f32, as many KV heads as heads, hub tensor names, the full system text",
    },
    "b-gqa-sharded": {
        "seed": 15, "names": "new", "shards": 3, "full_attention": True, "all_logits": True, "generate": True,
        "pllava": {"pooling_shape": [4, 2, 2], "num_frames": 4, "frame_shape": [6, 6], "use_pooling": True},
        "details": True, "random_control": True,
        "text": {"num_key_value_heads": 2, "head_dim": 12, "num_hidden_layers": 3},
        "pathways": {"cross_frame": [1, 2], "video_to_question": [2, 2], "question_to_last": [2, 3]},
        "about": "f32, grouped queries, head_dim that is not d / heads, nested names, three shards with an index",
    },
    "c-tied-uneven": {
        "seed": 34, "frames": [4, 55, 38], "names": "flat", "dtype": "bfloat16",
        "text": {"num_key_value_heads": 1, "rope_theta": 500.0, "tie_word_embeddings": True},
        "vision": {"image_size": 30, "patch_size": 6},
        "root": {"tie_word_embeddings": True},
        "pllava": {"pooling_shape": [4, 3, 3], "num_frames": 4, "frame_shape": [5, 5], "use_pooling": True},
        "answer": 0, "processor": "int",
        "about": "bf16, tied head (no lm_head tensor), 5x5 pooled to 3x3 (bins overlap), one KV head, another rope "
                 "theta, preprocessor sizes as bare numbers",
    },
    "d-bf16": {
        "seed": 27, "dtype": "bfloat16", "windows": [3, 4, 9], "extra_vocab": 9, "details": True,
        "text": {"num_hidden_layers": 6},
        "pathways": {"cross_frame": [2, 4], "video_to_question": [2, 4], "question_to_last": [3, 5]},
        "about": "bf16 checkpoint, fp32 arithmetic; six layers, windows 3, 4 and the default 9 (clipped); more rows in "
                 "the embeddings than tokens in the tokenizer",
    },
    "e-f16": {
        "seed": 8, "dtype": "float16", "frames": [4, 22, 27], "names": "new", "text": {"num_hidden_layers": 3},
        "keyword": "the",
        "pathways": {"cross_frame": [1, 1], "video_to_question": [1, 2], "question_to_last": [2, 2]},
        "about": "f16 checkpoint, fp32 arithmetic; frames smaller than the model's image (upscaling); a keyword that "
                 "occurs twice",
    },
    "f-llava-base": {
        "seed": 38, "dtype": "bfloat16", "tokenizer": "bytes", "pllava": None,
        "text_omit": ["num_key_value_heads"],
        "caller": {"num_frames": 3, "pooling_shape": [3, 3, 3]}, "frames": [3, 50, 37],
        "root": {"image_seq_length": 36},
        "question": "Where did the naïve child put the café cup? 猫🐈", "options": ["Box", "Table – left", "Up"],
        "keyword": "child", "answer": 2,
        "about": "llava-1.5 style image-only base: no PLLaVA keys, sparse text_config, byte-fallback tokenizer, "
                 "text outside its alphabet (an emoji of two UTF-16 units among it)",
    },
    "f-llava-next": {
        "seed": 12, "dtype": "bfloat16", "model_type": "llava_next", "pllava": None,
        "caller": {"num_frames": 4, "pooling_shape": [4, 2, 2]},
        "root": {"image_grid_pinpoints": [[30, 60], [60, 30]], "use_image_newline_parameter": True},
        "options": ["Yes", "No"], "question": "Does the ball move to the box?", "answer": 0,
        "about": "llava_next config and weights (image_newline) used as an image-only base, as the reference does",
    },
    "g-linear-bias": {
        "seed": 28, "names": "flat", "frames": [3, 37, 50], "dtype": "bfloat16", "generate": True, "answer": 0,
        "text": {"attention_bias": True, "mlp_bias": True, "rms_norm_eps": 0.02,
                 "rope_scaling": {"type": "linear", "factor": 2.0}, "num_key_value_heads": 2, "num_hidden_layers": 3},
        "root": {"vision_feature_layer": -1},
        "vision": {"hidden_act": "gelu", "layer_norm_eps": 0.01},
        "pllava": {"pooling_shape": [2, 3, 2], "num_frames": 4, "frame_shape": [6, 6], "use_pooling": True},
        "pathways": {"cross_frame": [1, 2], "video_to_question": [1, 2], "question_to_last": [2, 2]},
        "about": "linear rope scaling, biased attention and MLP, large norm epsilons, vision layer -1 and "
                 "exact gelu; 3 frames for num_frames 4 (repeated), pooled over time to 2",
    },
    "g-llama3-full": {
        "seed": 30, "names": "new", "pllava": None, "dtype": "float16", "random_control": True,
        "answer": 0,
        "text": {"num_hidden_layers": 3, "rope_parameters": {
            "rope_type": "llama3", "rope_theta": 100.0, "factor": 4.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 32}},
        "vision": {"image_size": 24, "patch_size": 6, "projection_dim": 16},
        "root": {"vision_feature_select_strategy": "full", "vision_feature_layer": 1,
                 "multimodal_projector_bias": False},
        "caller": {"num_frames": 3, "pooling_shape": None}, "frames": [3, 37, 50],
        "pathways": {"cross_frame": [1, 2], "video_to_question": [2, 2], "question_to_last": [2, 3]},
        "about": "llama3 rope in the newer rope_parameters form, no projector bias, a positive vision "
                 "layer, strategy 'full' (CLS kept, so no grid and no pooling: 17 tokens a frame)",
    },
}


def case(name: str) -> dict:
    """BASE with the case laid over it; the nested dictionaries are merged, lists replaced."""
    merged = copy.deepcopy(BASE)
    for key, value in CASES[name].items():
        if key in ("text", "vision"):
            merged[key].update(copy.deepcopy(value))
        else:
            merged[key] = copy.deepcopy(value)
    merged["name"] = name
    return merged


def question_block(spec: dict) -> str:
    """From "Question:" through the last option's last character."""
    return f"Question: {spec['question']}\nOptions:\n" + "\n".join(option_texts(spec))


def option_texts(spec: dict) -> list[str]:
    return [f"({chr(ord('A') + i)}) {text}" for i, text in enumerate(spec["options"])]


def render(spec: dict) -> str:
    return TEMPLATE.format(system=spec["system"], question=question_block(spec))


def frame_plan(spec: dict) -> dict:
    return spec["caller"] or spec["pllava"]


def frame_order(spec: dict) -> list[int]:
    """Which arrived frame stands at each of num_frames: when too few arrive, each is repeated in place."""
    arrived, wanted = spec["frames"][0], frame_plan(spec)["num_frames"]
    if arrived >= wanted:
        return list(range(arrived))
    times = wanted // arrived + 1
    return [i for i in range(arrived) for _ in range(times)][:wanted]
