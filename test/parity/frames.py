"""Frames that look enough like pictures: a gradient, coarse and fine texture, hard edges, a moving disc."""
from __future__ import annotations

import numpy as np


def texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise whose amplitude falls with frequency, as in natural pictures; mean 0, about ±1."""
    fy = np.fft.fftfreq(height)[:, None]
    fx = np.fft.fftfreq(width)[None, :]
    amplitude = 1 / np.maximum(np.hypot(fy, fx), 1 / max(height, width))
    spectrum = np.fft.fft2(rng.standard_normal((height, width))) * amplitude
    picture = np.fft.ifft2(spectrum).real
    return picture / np.abs(picture).max()


def clip(seed: int, count: int, height: int, width: int) -> np.ndarray:
    """uint8 RGB [count, height, width, 3]; a disc crosses the picture from left to right."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    ground = np.stack([texture(rng, height, width) for _ in range(3)], -1) * 70
    ground += np.stack([130 * y / height + 40, 90 * x / width + 60, 160 - 110 * y / height], -1)
    ground[height // 3 : height // 3 + max(2, height // 12), width // 5 :] = (235, 228, 210)
    frames = []
    for t in range(count):
        picture = ground + rng.normal(0, 4, ground.shape)
        along = (t + 0.5) / count
        inside = np.hypot(y - height * (0.35 + 0.3 * along), x - width * along) < min(height, width) / 5
        picture[inside] = rng.integers(0, 256, 3)
        frames.append(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
    return np.stack(frames)
