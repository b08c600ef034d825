"""The embedded model: transformers' own Llava classes, with PLLaVA's pooling between projector and decoder."""

import torch
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


ALIKE = 0.8  # how much of each key projection is its query projection at the start


@torch.no_grad()
def initialise(net) -> None:
    """Weights N(0, 1 / fan-in), outputs into the residual stream smaller by sqrt(2 layers), embeddings N(0, 1).

    Each key projection starts correlated with its query projection, so that heads begin by attending to tokens like
    their own ("mimetic initialisation", Trockman and Kolter 2023). Recall by content then forms within a few hundred
    steps; without it the letter curriculum stays at chance for as long (README.md).
    """
    language = net.model.language_model
    for name, weight in language.named_parameters():
        if weight.dim() == 2:
            scale = 1.0 if "embed_tokens" in name else weight.shape[1] ** -0.5
            if "o_proj" in name or "down_proj" in name:
                scale /= (2 * len(language.layers)) ** 0.5
            weight.normal_(0, scale)
    for part in language.layers:
        queries, keys = part.self_attn.q_proj.weight, part.self_attn.k_proj.weight
        keys.mul_((1 - ALIKE**2) ** 0.5).add_(queries, alpha=ALIKE)
    net.lm_head.weight.normal_(0, net.lm_head.weight.shape[1] ** -0.5)
    for name, weight in [*net.model.vision_tower.named_parameters(), *net.model.multi_modal_projector.named_parameters()]:
        if weight.dim() == 2 and "position" not in name:
            weight.normal_(0, weight.shape[1] ** -0.5)


def build(tokenizer, attention: str = "sdpa") -> LlavaForConditionalGeneration:
    torch.manual_seed(0)
    net = LlavaForConditionalGeneration._from_config(config(tokenizer), attn_implementation=attention)
    initialise(net)
    return net


@torch.no_grad()
def load(net, path: str) -> None:
    """Weights of a training checkpoint (.pt) or an exported folder; words the vocabulary has gained keep their start."""
    if path.endswith(".pt"):
        state = torch.load(path, weights_only=True)["model"]
    else:
        state = LlavaForConditionalGeneration.from_pretrained(path, dtype=torch.float32).state_dict()
    own = net.state_dict()
    for name, value in state.items():
        own[name][tuple(slice(n) for n in value.shape)] = value


def tower(vision, pixels: torch.Tensor, layer: int) -> torch.Tensor:
    """Patch tokens of the CLIP tower after the layer that is used; later layers are not computed."""
    hidden = vision.pre_layrnorm(vision.embeddings(pixels))
    for part in vision.encoder.layers[: len(vision.encoder.layers) + 1 + layer]:
        hidden = part(hidden, None)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    return hidden[:, 1:]


def video_features(model, pixels: torch.Tensor) -> torch.Tensor:
    """(B, T, 3, H, W) normalised pixels to (B, video tokens, width): tower, projector, then pooling."""
    batch, frames = pixels.shape[:2]
    vision = getattr(model.model.vision_tower, "vision_model", model.model.vision_tower)
    hidden = tower(vision, pixels.flatten(0, 1), model.config.vision_feature_layer)
    tokens = model.model.multi_modal_projector(hidden)
    frames_kept, rows, columns = model.config.pooling_shape
    cube = tokens.float().view(
        batch, frames_kept, frames // frames_kept, rows, GRID // rows, columns, GRID // columns, -1
    )
    return cube.mean((2, 4, 6)).flatten(1, 3)
