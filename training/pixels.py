"""Pixels as the processor hands them to the tower."""

import numpy as np
import torch
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD


def pixels(batch: np.ndarray) -> torch.Tensor:
    """(B, T, H, W, 3) uint8 to normalised (B, T, 3, H, W)."""
    scaled = torch.from_numpy(np.ascontiguousarray(batch)).float().permute(0, 1, 4, 2, 3) / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    return (scaled - mean) / std
