"""Draws clips: anti-aliased shapes with soft shading over gentle backgrounds, any size, any frame rate."""

from dataclasses import dataclass, field
from typing import Callable

import numpy as np

Curve = Callable[[float], float]

RGB = {
    "red": (218, 52, 48), "green": (52, 168, 83), "blue": (45, 100, 222),
    "yellow": (246, 208, 42), "purple": (142, 68, 196), "orange": (243, 138, 36),
}
# Top and bottom of each scene's gradient, and where its horizon lies.
SCENE_RGB = {
    "beach": ((150, 208, 240), (238, 218, 170), 0.60), "forest": ((172, 206, 160), (38, 92, 52), 0.45),
    "night": ((14, 18, 48), (44, 50, 92), 0.70), "desert": ((240, 222, 190), (204, 142, 84), 0.55),
    "snow": ((196, 212, 230), (246, 250, 254), 0.50), "sunset": ((250, 150, 110), (104, 58, 104), 0.65),
}
PLAIN = {"top": (226, 230, 236), "bottom": (190, 198, 210)}


def still(value: float) -> Curve:
    return lambda t: value


@dataclass
class Thing:
    """One object; x, y, radius in units of the frame's side, as functions of time in 0 … 1."""

    colour: str
    shape: str
    x: Curve
    y: Curve
    radius: Curve
    alpha: Curve = field(default_factory=lambda: still(1.0))


@dataclass
class Clip:
    things: list[Thing]
    scene: Callable[[float], dict[str, float]] = field(default_factory=lambda: lambda t: {})
    noise: float = 2.0
    seed: int = 0


def distance(shape: str, dx: np.ndarray, dy: np.ndarray, r: float) -> np.ndarray:
    """Signed distance, roughly in frame units, negative inside."""
    if shape == "circle":
        return np.hypot(dx, dy) - r
    if shape == "square":
        return np.maximum(np.abs(dx), np.abs(dy)) - 0.86 * r
    if shape == "triangle":
        return np.maximum(0.866 * np.abs(dx) - 0.5 * dy, dy) - 0.62 * r
    angle = (np.arctan2(dx, -dy) + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5
    rho = np.hypot(dx, dy)
    px, py = rho * np.cos(angle), np.abs(rho * np.sin(angle))
    # The edge of a five-pointed star from its outer point (1.15 r, 0) to its inner corner.
    tip, inner = 1.15 * r, 0.52 * r
    ex, ey = inner * np.cos(np.pi / 5) - tip, inner * np.sin(np.pi / 5)
    return ((px - tip) * -ey + py * ex) / -np.hypot(ex, ey)


def background(clip: Clip, t: float, y: np.ndarray) -> np.ndarray:
    """The scene's vertical gradient as (size, 1, 3); scenes mix while one changes into the next."""
    weights = clip.scene(t)
    if not weights:
        top, bottom = (np.array(PLAIN[k], np.float32) for k in ("top", "bottom"))
        return top * (1 - y) + bottom * y
    column = np.zeros((len(y), 1, 3), np.float32)
    for name, weight in weights.items():
        top, bottom, horizon = SCENE_RGB[name]
        blend = 1 / (1 + np.exp(-(y - horizon) * 14))
        shade = 1.06 - 0.12 * np.abs(y - horizon)
        column += weight * (np.array(top, np.float32) * (1 - blend) + np.array(bottom, np.float32) * blend) * shade
    return column


def paint(image: np.ndarray, axis: np.ndarray, thing: Thing, t: float) -> None:
    """Draws one object with its shadow into the part of the image it touches."""
    size, alpha, r = len(axis), thing.alpha(t), thing.radius(t)
    if alpha <= 0:
        return
    cx, cy, reach = thing.x(t), thing.y(t), 1.3 * r + 0.05
    (x0, x1), (y0, y1) = ((max(0, int((c - reach) * size)), max(0, int((c + reach) * size) + 1)) for c in (cx, cy))
    part = image[y0:y1, x0:x1]
    dx, dy = axis[None, x0:x1] - np.float32(cx), axis[y0:y1, None] - np.float32(cy)
    shadow = np.clip(0.5 - distance(thing.shape, dx - 0.012, dy - 0.02, r) / 0.04, 0, 1)
    part *= (1 - 0.22 * alpha * shadow)[..., None]
    cover = (alpha * np.clip(0.5 - distance(thing.shape, dx, dy, r) * (size / 1.5), 0, 1))[..., None]
    light = 1.08 - 0.22 * np.clip((dx + dy) / (2 * r) + 0.5, 0, 1)
    part += (np.array(RGB[thing.colour], np.float32) * light[..., None] - part) * cover


def frame(clip: Clip, t: float, size: int) -> np.ndarray:
    """One frame as (size, size, 3) uint8."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    rng = np.random.default_rng((clip.seed, int(t * 1e6)))
    image = rng.standard_normal((size, size, 3), np.float32)
    noise = image * np.float32(clip.noise)
    image[:] = background(clip, t, axis[:, None, None])
    for thing in clip.things:
        paint(image, axis, thing, t)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def frames(clip: Clip, count: int, size: int) -> np.ndarray:
    return np.stack([frame(clip, i / max(1, count - 1), size) for i in range(count)])


def sample_indices(total: int, wanted: int = 8) -> list[int]:
    """The reference's rule: the middles of equal segments."""
    segment = (total - 1) / wanted
    start = int(segment / 2)
    return [start + round(segment * i) for i in range(wanted)]
