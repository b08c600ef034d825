"""The fixtures: what each tiny checkpoint looks like and what is asked of it.

Every case states only how it differs from BASE. A case is a plain dictionary, so that a new one
is a few lines: see README.md for what each is there to catch.
"""
from __future__ import annotations

import copy

from cases_internvl_chat import INTERNVL_CHAT_CASES

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
    "family": None,              # a family of families.py; None is PLLaVA
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

CASES |= {
    "o-mistral-window": {
        "seed": 16, "answer": 0, "generate": True, "names": "new",
        "text": {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "num_key_value_heads": 2,
                 "num_hidden_layers": 3, "sliding_window": 64},
        "pathways": {"cross_frame": [1, 2], "video_to_question": [2, 2], "question_to_last": [2, 3]},
        "about": "Mistral: every layer looks back over 64 positions, so that the last row sees the end of the video alone",
    },
    "o-qwen2-windows": {
        "seed": 56, "answer": 0, "generate": True, "dtype": "bfloat16",
        "text": {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "num_key_value_heads": 2,
                 "use_sliding_window": True, "sliding_window": 24, "max_window_layers": 2,
                 "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}},
        "about": "Qwen2 with windows in the upper two of four layers, and yarn",
    },
    "o-dynamic-beyond": {
        "seed": 18, "answer": 1, "generate": True, "text": {
            "num_hidden_layers": 3, "max_position_embeddings": 78, "rope_theta": 1000.0,
            "rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
        "pathways": {"cross_frame": [1, 2], "video_to_question": [2, 2], "question_to_last": [2, 3]},
        "about": "dynamic rope, the prompt longer than the trained length; an answer in words grows beyond it at its third token",
    },
    "o-dynamic-within": {
        "seed": 26, "answer": 1, "generate": True, "text": {
            "num_hidden_layers": 3, "max_position_embeddings": 112, "rope_theta": 1000.0,
            "rope_scaling": {"type": "dynamic", "factor": 3.0}},
        "pathways": {"cross_frame": [1, 2], "video_to_question": [2, 2], "question_to_last": [2, 3]},
        "about": "dynamic rope, the prompt within the trained length",
    },
}

FAMILY_BASE = {
    "names": "old", "dtype": "bfloat16", "styles": ["center"], "windows": [3], "files": {}, "processor_keys": {},
    "fps": 10, "total_frames": 95, "indices": [7, 30, 54, 77],
    "text": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
             "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "max_position_embeddings": 512},
}

CASES |= {
    "h-next-video": {
        **FAMILY_BASE, "seed": 4, "answer": 2, "family": "llava_next_video",
        "text": {"model_type": "llama", "head_dim": 12, **FAMILY_BASE["text"]},
        "vision": {"model_type": "clip_vision_model"},
        "root": {"projector_hidden_act": "gelu", "vision_feature_layer": -2, "spatial_pool_mode": "average",
                 "spatial_pool_stride": 2},
        "token_keys": {"video_token_index": "<video>", "image_token_index": "<image>"},
        "processor_keys": {"patch_size": 5, "vision_feature_select_strategy": "default"},
        "files": {"preprocessor_config.json": {
            "image_processor_type": "LlavaNextVideoImageProcessor", "do_resize": True, "do_center_crop": True,
            "size": {"shortest_edge": 34}, "crop_size": {"height": 30, "width": 30}, "resample": 3,
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
            "image_grid_pinpoints": [[30, 60]], "aspect_ratio_setting": "anyres"}},
        "about": "llava_next_video: 2 x 2 average pooling of 6 x 6 patches before the projector, head_dim that is not "
                 "d / heads, a resize larger than the crop",
    },
    "i-onevision": {
        **FAMILY_BASE, "seed": 11, "answer": 0, "family": "llava_onevision",
        "text": {"model_type": "qwen2", "tie_word_embeddings": True, "rope_theta": 1000.0, "use_sliding_window": False,
                 **FAMILY_BASE["text"]},
        "vision": {"model_type": "siglip_vision_model", "patch_size": 6, "vision_use_head": False},
        "vision_omit": ["projection_dim"],
        "root": {"projector_hidden_act": "gelu", "vision_feature_layer": -1, "vision_feature_select_strategy": "full",
                 "tie_word_embeddings": False, "vision_aspect_ratio": "anyres_max_9",
                 "image_grid_pinpoints": [[30, 30]]},
        "token_keys": {"video_token_index": "<video>", "image_token_index": "<image>"},
        "processor_keys": {"num_image_tokens": 25, "vision_feature_select_strategy": "full"},
        "files": {"video_preprocessor_config.json": {
            "video_processor_type": "LlavaOnevisionVideoProcessor", "do_resize": True, "do_rescale": True,
            "do_normalize": True, "size": {"height": 30, "width": 30}, "resample": 3, "rescale_factor": 1 / 255,
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "do_sample_frames": False}},
        "about": "llava_onevision: SigLIP read before its last norm, 5 x 5 patches resized to 3 x 3, a newline that "
                 "belongs to no frame, Qwen2 with biases, heads tied in text_config alone, a picture resized without "
                 "its aspect ratio",
    },
    "j-internvl": {
        **FAMILY_BASE, "seed": 4, "answer": 1, "family": "internvl",
        "text": {"model_type": "qwen2", "tie_word_embeddings": False, "rope_theta": 1000.0, **FAMILY_BASE["text"]},
        "vision": {"model_type": "internvl_vision", "image_size": [24, 24], "patch_size": [4, 4],
                   "num_hidden_layers": 2, "attention_bias": True, "hidden_size": 24, "num_attention_heads": 3},
        "vision_omit": ["projection_dim"],
        "root": {"tie_word_embeddings": False, "downsample_ratio": 0.5, "image_seq_length": 9},
        "token_keys": {"image_token_id": "<IMG_CONTEXT>"},
        "processor_keys": {"image_seq_length": 9},
        "files": {"video_preprocessor_config.json": {
            "video_processor_type": "InternVLVideoProcessor", "do_resize": True, "size": {"height": 24, "width": 24},
            "resample": 3, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
            "do_sample_frames": False, "initial_shift": True}},
        "about": "internvl: InternViT with layer scale and a class token that is dropped, pixel shuffle, norm, Qwen2; "
                 "numbered frames with text between them",
    },
    "j-internvl-6b": {
        **FAMILY_BASE, "seed": 4, "answer": 1, "family": "internvl", "frames": [2, 37, 50], "indices": [7, 30],
        "text": {"model_type": "qwen2", "tie_word_embeddings": False, "rope_theta": 1000.0, **FAMILY_BASE["text"],
                 "num_hidden_layers": 2},
        "vision": {"model_type": "internvl_vision", "image_size": [24, 24], "patch_size": [4, 4],
                   "num_hidden_layers": 2, "norm_type": "rms_norm", "use_qk_norm": True, "hidden_size": 24,
                   "num_attention_heads": 3},
        "vision_omit": ["projection_dim"],
        "root": {"tie_word_embeddings": False, "downsample_ratio": 0.5, "image_seq_length": 9},
        "token_keys": {"image_token_id": "<IMG_CONTEXT>"},
        "processor_keys": {"image_seq_length": 9},
        "files": {"video_preprocessor_config.json": {
            "video_processor_type": "InternVLVideoProcessor", "do_resize": True, "size": {"height": 24, "width": 24},
            "resample": 3, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
            "do_sample_frames": False, "initial_shift": True}},
        "about": "internvl with InternViT-6B's design: RMSNorm, norms of whole queries and keys, no biases at them",
    },
    "j-internvl-qwen3": {
        **FAMILY_BASE, "seed": 2, "answer": 1, "family": "internvl", "names": "flat",
        "text": {"model_type": "qwen3", "head_dim": 12, "tie_word_embeddings": True, "rope_theta": 1000.0,
                 **FAMILY_BASE["text"], "num_hidden_layers": 2},
        "vision": {"model_type": "internvl_vision", "image_size": [24, 24], "patch_size": [4, 4],
                   "num_hidden_layers": 2, "use_mean_pooling": False, "hidden_size": 24, "num_attention_heads": 3},
        "vision_omit": ["projection_dim"],
        "root": {"tie_word_embeddings": True, "downsample_ratio": 0.5, "image_seq_length": 9},
        "token_keys": {"image_token_id": "<IMG_CONTEXT>"},
        "processor_keys": {"image_seq_length": 9},
        "files": {"processor_config.json": {"processor_class": "InternVLProcessor", "video_processor": {
            "video_processor_type": "InternVLVideoProcessor", "size": {"height": 24, "width": 24}, "resample": 2}}},
        "frames": [2, 37, 50], "indices": [7, 30],
        "about": "internvl with Qwen3 (norms of queries and keys, tied heads) and InternViT's last norm; newer tensor "
                 "names, settings nested in processor_config.json, class defaults for the rest",
    },
    "k-smolvlm": {
        **FAMILY_BASE, "seed": 2, "answer": 1, "family": "smolvlm", "names": "flat",
        "text": {"model_type": "llama", "rope_theta": 1000.0, "tie_word_embeddings": False, **FAMILY_BASE["text"]},
        "vision": {"model_type": "smolvlm_vision", "image_size": 24, "patch_size": 4, "num_hidden_layers": 2},
        "vision_omit": ["projection_dim"],
        "root": {"scale_factor": 3, "tie_word_embeddings": False},
        "token_keys": {"image_token_id": "<image>", "pad_token_id": "<|endoftext|>"},
        "processor_keys": {"image_seq_len": 4},
        "fps": 2, "total_frames": 7300, "indices": [7, 130, 1254, 7277],
        "files": {"preprocessor_config.json": {
            "image_processor_type": "SmolVLMImageProcessor", "do_convert_rgb": True, "do_image_splitting": True,
            "do_pad": True, "do_resize": True, "max_image_size": {"longest_edge": 24},
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 1,
            "size": {"longest_edge": 96},
            "video_sampling": {"fps": 1, "max_frames": 64, "video_size": {"longest_edge": 40}}}},
        "about": "smolvlm: SigLIP read after its last norm, pixel shuffle by 3 and one matrix; times between frames, "
                 "a clip of more than an hour, a picture resized twice",
    },
}

CASES |= INTERNVL_CHAT_CASES


def case(name: str) -> dict:
    """BASE with the case laid over it; the nested dictionaries are merged, lists replaced."""
    merged = copy.deepcopy(BASE)
    for key, value in CASES[name].items():
        if key in ("text", "vision"):
            merged[key].update(copy.deepcopy(value))
            for left_out in CASES[name].get(f"{key}_omit", []):
                merged[key].pop(left_out, None)
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
    if spec["family"]:
        return {"num_frames": spec["frames"][0], "pooling_shape": None}
    return spec["caller"] or spec["pllava"]


def frame_order(spec: dict) -> list[int]:
    """Which arrived frame stands at each of num_frames: when too few arrive, each is repeated in place."""
    arrived, wanted = spec["frames"][0], frame_plan(spec)["num_frames"]
    if arrived >= wanted:
        return list(range(arrived))
    times = wanted // arrived + 1
    return [i for i in range(arrived) for _ in range(times)][:wanted]
