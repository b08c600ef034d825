"""Tiny checkpoints of InternVL in its authors' own layout."""

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
# As the published preprocessor_config.json has it, sizes as bare numbers.
PREPROCESSOR = {"crop_size": 24, "do_center_crop": True, "do_normalize": True, "do_resize": True,
                "feature_extractor_type": "CLIPFeatureExtractor", "resample": 3, "size": 24, **IMAGENET}

VISION = {
    "architectures": ["InternVisionModel"], "model_type": "intern_vit_6b", "hidden_size": 24,
    "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 24, "patch_size": 4,
    "hidden_act": "gelu", "norm_type": "layer_norm", "layer_norm_eps": 1e-6, "qk_normalization": False,
    "qkv_bias": True, "use_flash_attn": True, "drop_path_rate": 0.1, "initializer_factor": 1.0,
}
PHI3 = {
    "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "hidden_size": 24, "intermediate_size": 40,
    "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
    "rope_theta": 1000.0, "max_position_embeddings": 4096, "original_max_position_embeddings": 1024,
    "rope_scaling": {"type": "su", "short_factor": [1.0, 1.1, 1.4], "long_factor": [1.2, 2.5, 6.0]},
    "sliding_window": 262144, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}
PHI3_SPECIALS = ("<unk>", "<s>", "</s>", "<|endoftext|>", "<|assistant|>", "<|end|>", "<|user|>", "<img>", "</img>",
                 "<IMG_CONTEXT>")
CHATML_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>")
CHATML = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>'"
          " + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")

ROOT = {"select_layer": -1, "force_image_size": 24, "downsample_ratio": 0.5, "dynamic_image_size": True,
        "use_thumbnail": True, "max_dynamic_patch": 12, "pad2square": False, "use_backbone_lora": 0, "use_llm_lora": 0}
BASE = {"family": "internvl_chat", "styles": ["center"], "windows": [3], "fps": 10, "total_frames": 95,
        "indices": [7, 30, 54, 77]}

INTERNVL_CHAT_CASES = {
    "l-mini-internvl": {
        **BASE, "seed": 21, "answer": 0, "dtype": "bfloat16", "chat_vision": VISION, "llm": PHI3, "specials": PHI3_SPECIALS,
        "root": {**ROOT, "ps_version": "v2", "template": "phi3-chat", "num_frames": 4, "force_eager": True},
        "token_keys": {"img_context_token_id": "<IMG_CONTEXT>"},
        "about": "Mini-InternVL: fused qkv in tower and decoder, fused gate and up, short factors of long-rope, the "
                 "reference's conversation with one pair of picture tokens, special tokens that take the line break "
                 "after them",
    },
    "l-internvl-v1": {
        **BASE, "seed": 35, "answer": 2, "frames": [3, 37, 50], "indices": [7, 30, 54], "chat_vision": {**VISION, "qkv_bias": False},
        "llm": {**PHI3, "num_key_value_heads": 4, "original_max_position_embeddings": 128, "num_hidden_layers": 2,
                "rope_scaling": {**PHI3["rope_scaling"], "type": "longrope"}},
        "specials": PHI3_SPECIALS,
        "root": {**ROOT, "select_layer": -2, "template": "phi3-chat", "num_frames": 3},
        "token_keys": {"img_context_token_id": "<IMG_CONTEXT>"},
        "about": "pixel shuffle v1 (each frame's tokens column after column; the key left out), the layer before the "
                 "last, no bias at qkv, a prompt long enough for the long factors of long-rope",
    },
    "l-internvl-qwen2": {
        **BASE, "seed": 7, "answer": 0, "dtype": "bfloat16", "frames": [2, 37, 50], "indices": [7, 30], "chat_vision": VISION,
        "llm": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 32,
                "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
                "rms_norm_eps": 1e-6, "rope_theta": 1000.0, "max_position_embeddings": 512,
                "use_sliding_window": False, "sliding_window": 32768, "tie_word_embeddings": False},
        "specials": CHATML_SPECIALS, "chat": CHATML,
        "root": {**ROOT, "ps_version": "v2", "template": "Hermes-2"}, "token_keys": {},
        "about": "InternVL2 with Qwen2: numbered frames in the checkpoint's chat template, no id of the context token "
                 "in config.json",
    },
    "l-internvl-internlm2": {
        **BASE, "seed": 7, "answer": 0, "dtype": "bfloat16", "frames": [2, 37, 50], "indices": [7, 30],
        "chat_vision": {**VISION, "norm_type": "rms_norm", "qk_normalization": True, "qkv_bias": False},
        "llm": {"architectures": ["InternLM2ForCausalLM"], "model_type": "internlm2", "hidden_size": 32,
                "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
                "rms_norm_eps": 1e-5, "rope_theta": 1000.0, "max_position_embeddings": 64, "bias": True,
                "rope_scaling": {"type": "dynamic", "factor": 2.0}, "tie_word_embeddings": False},
        "specials": CHATML_SPECIALS, "chat": CHATML,
        "root": {**ROOT, "ps_version": "v2", "template": "internlm2-chat"}, "token_keys": {},
        "about": "InternVL2 with InternLM2, its matrices grouped by key head, dynamic rope beyond the trained length, and "
                 "with the norms of InternViT-6B",
    },
}
