"""The embedded model: transformers' own Llava classes, with PLLaVA's pooling between projector and decoder."""

import torch
import torch.nn.functional as F
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

FRAMES, GRID, POOLED = 8, 8, 4
VIDEO_TOKENS = FRAMES * POOLED * POOLED


def config(tokenizer) -> LlavaConfig:
    vision = CLIPVisionConfig(
        hidden_size=128, intermediate_size=384, num_hidden_layers=3, num_attention_heads=4,
        image_size=64, patch_size=8, projection_dim=128,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=160, intermediate_size=416, num_hidden_layers=12,
        num_attention_heads=5, num_key_value_heads=5, head_dim=32, max_position_embeddings=2048,
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0}, tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    made = LlavaConfig(
        vision_config=vision, text_config=text, vision_feature_layer=-2,
        vision_feature_select_strategy="default", projector_hidden_act="gelu",
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), image_seq_length=VIDEO_TOKENS,
    )
    made.pooling_shape = [FRAMES, POOLED, POOLED]
    made.num_frames = FRAMES
    made.frame_shape = [GRID, GRID]
    made.use_pooling = True
    return made


def build(tokenizer, attention: str = "sdpa") -> LlavaForConditionalGeneration:
    torch.manual_seed(0)
    return LlavaForConditionalGeneration._from_config(config(tokenizer), attn_implementation=attention)


def video_features(model, pixels: torch.Tensor) -> torch.Tensor:
    """(B, T, 3, H, W) normalised pixels to (B, video tokens, width): tower, projector, then pooling."""
    batch, frames = pixels.shape[:2]
    inner = model.model
    layer = model.config.vision_feature_layer
    hidden = inner.vision_tower(pixels.flatten(0, 1), output_hidden_states=True).hidden_states[layer][:, 1:]
    tokens = inner.multi_modal_projector(hidden)
    cube = tokens.view(batch, frames, GRID, GRID, -1).permute(0, 4, 1, 2, 3)
    pooled = F.adaptive_avg_pool3d(cube.float(), tuple(model.config.pooling_shape))
    return pooled.permute(0, 2, 3, 4, 1).flatten(1, 3)


def decoder_hidden(model, embeds, mask, positions):
    """Normed hidden states; mask is boolean (B, 1, S, S), True where a query may read a key."""
    return model.model.language_model(
        inputs_embeds=embeds, attention_mask=mask, position_ids=positions, use_cache=False
    ).last_hidden_state
