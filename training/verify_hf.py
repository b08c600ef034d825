"""Proves that the exported folder, loaded by transformers' own classes, gives the training path's logits.

`python verify_hf.py MODEL_FOLDER CLIP.mp4 [...]`
"""

import sys

import torch
from transformers import AutoImageProcessor, AutoTokenizer, LlavaForConditionalGeneration

import decoder
import model as embedded
from heldout import decoded
from prompts import multiple_choice

TOLERANCE = 1e-4


@torch.no_grad()
def main(folder: str, clips: list[str]) -> None:
    net, report = LlavaForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    tok, images = AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    prompt = multiple_choice("In which direction does the red circle move?", ["Up", "Down", "Left", "Right"])
    ids = tok(prompt.replace("<image>", "<image>" * embedded.VIDEO_TOKENS), return_tensors="pt").input_ids
    at = ids[0] == net.config.image_token_index
    assert int(at.sum()) == embedded.VIDEO_TOKENS and ids[0, 0] == tok.bos_token_id
    decoder.PRECISION, worst = torch.float32, 0.0
    for clip in clips:
        pixels = images(decoded(clip), return_tensors="pt").pixel_values
        # The training path: our own features, the question as a segment behind the shared prefix.
        ours = embedded.video_features(net, pixels[None])
        embeds = net.get_input_embeddings()(ids).clone()
        embeds[0, at] = ours[0]
        first = int(at.nonzero()[-1]) + 1
        prefix, (asked,), _ = decoder.decode(net, embeds[:, :first], [embeds[:, None, first:]], run=decoder.layer)
        hidden = torch.cat([prefix, asked[:, 0]], 1)
        trained = net.lm_head(hidden)
        # transformers' path: its image features (tower and projector), pooled, merged, through the whole class.
        features = net.get_image_features(pixel_values=pixels)
        features = getattr(features, "pooler_output", features)
        features = torch.stack(list(features)) if not torch.is_tensor(features) else features
        grid = features.view(1, embedded.FRAMES, embedded.GRID, embedded.GRID, -1).permute(0, 4, 1, 2, 3)
        pooled = torch.nn.AdaptiveAvgPool3d(net.config.pooling_shape)(grid).permute(0, 2, 3, 4, 1).flatten(1, 3)
        embeds = net.get_input_embeddings()(ids).masked_scatter(at[None, :, None], pooled)
        theirs = net(inputs_embeds=embeds, attention_mask=torch.ones_like(ids)).logits
        worst = max(worst, (trained - theirs).abs().max().item())
    print(f"{len(clips)} clips, {ids.shape[1]} positions, largest logit difference {worst:.2e}")
    assert worst <= TOLERANCE


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
