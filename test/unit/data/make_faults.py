"""Remakes video-faults/: files that are unusual or hard, and faults.json, what they must decode to.

Debian's ffmpeg and Pillow make them; PyAV (which the reference's figures come from, too) and Pillow measure:
    python make_faults.py
"""
from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import av
import numpy as np
from PIL import Image

from make_clips import picture, told

HERE = Path(__file__).parent / "video-faults"
EXACT = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]


def moving(size: str, frames: int = 12) -> list[str]:
    return ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=12:duration={frames / 12}"]


ONE_PALETTE = ["-vf", "split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=none"]
NEW_PALETTES = ["-vf", "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:dither=none"]
RAW = ["-pix_fmt", "pal8", "-c:v", "rawvideo"]
X264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "30", "-g", "4"]

CLIPS: dict[str, list[str]] = {
    # Uncompressed, with a palette that is told once; and one that changes on the way.
    "palette.avi": [*moving("36x24"), *ONE_PALETTE, *RAW],
    "palette.mov": [*moving("36x24"), *ONE_PALETTE, *RAW],
    "palettes.avi": [*moving("36x24"), *NEW_PALETTES, *RAW],
    # Pictures of one macroblock's width.
    "narrow-16.mp4": [*moving("16x48"), "-c:v", "mpeg4", "-q:v", "4"],
    "narrow-8.mkv": [*moving("8x40"), "-c:v", "mpeg2video", "-q:v", "4", "-r", "25"],
    "narrow-12.avi": [*moving("12x32"), "-c:v", "msmpeg4", "-q:v", "4"],
    # A still or a second camera before the track that a player shows.
    "still-first.mp4": [*moving("32x32", 1), *moving("64x48"), "-map", "0", "-map", "1", *X264,
                        "-c:v:0", "mjpeg", "-pix_fmt:v:0", "yuvj420p",
                        "-disposition:v:0", "0", "-disposition:v:1", "default"],
    "second-default.mkv": [*moving("32x32", 20), *moving("64x48"), "-map", "0", "-map", "1", *X264,
                           "-disposition:v:0", "0", "-disposition:v:1", "default"],
}
TRACKS = {"still-first.mp4": 1, "second-default.mkv": 1}


def encode() -> None:
    for name, arguments in CLIPS.items():
        quiet = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y"]
        subprocess.run([*quiet, *arguments, *EXACT, name], check=True, cwd=HERE)


def chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)


def three(value: int) -> bytes:
    return value.to_bytes(3, "little")


def animated(first: bytes, size: tuple[int, int], left: int, top: int, canvas: tuple[int, int]) -> bytes:
    """An animation of one picture that does not cover the canvas."""
    at, body = 12, b""
    while at < len(first):
        length = 8 + int.from_bytes(first[at + 4:at + 8], "little")
        if first[at:at + 4] in (b"VP8 ", b"VP8L", b"ALPH"):
            body += first[at:at + length + length % 2]
        at += length + length % 2
    place = three(left // 2) + three(top // 2) + three(size[0] - 1) + three(size[1] - 1) + three(100) + b"\0"
    head = bytes([0x12, 0, 0, 0]) + three(canvas[0] - 1) + three(canvas[1] - 1)
    parts = chunk(b"VP8X", head) + chunk(b"ANIM", bytes(6)) + chunk(b"ANMF", place + body)
    return b"RIFF" + (4 + len(parts)).to_bytes(4, "little") + b"WEBP" + parts


def draw() -> None:
    base = picture()
    for width, height in ((65, 48), (64, 47), (63, 47)):
        for name, sampling in (("422", 1), ("420", 2), ("444", 0)):
            base.crop((0, 0, width, height)).save(HERE / f"{name}-{width}x{height}.jpg", quality=90, subsampling=sampling)
    turned = [base.rotate(angle) for angle in (0, 90, 180)]
    turned[0].save(HERE / "animated-lossy.webp", save_all=True, append_images=turned[1:], duration=80, quality=80)
    turned[0].save(HERE / "animated-lossless.webp", save_all=True, append_images=turned[1:], duration=80, lossless=True)
    alpha = base.convert("RGBA")
    alpha.putalpha(base.convert("L"))
    alpha = alpha.crop((0, 0, 32, 24))
    for name, kind in (("lossy", {"quality": 80}), ("lossless", {"lossless": True})):
        still = io.BytesIO()
        alpha.save(still, "webp", exact=True, **kind)
        (HERE / f"animated-part-{name}.webp").write_bytes(animated(still.getvalue(), (32, 24), 10, 6, (60, 40)))


def measure() -> None:
    clips = {}
    for name in CLIPS:
        with av.open(str(HERE / name)) as container:
            stream = container.streams.video[TRACKS.get(name, 0)]
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        clips[name] = {"frames": [told(pixels) for pixels in frames]}
    images = {path.name: told(np.asarray(Image.open(path).convert("RGB")))
              for path in sorted(HERE.iterdir()) if path.suffix in (".jpg", ".webp")}
    text = json.dumps({"clips": clips, "images": images}, separators=(",", ":")).replace('},"', '},\n"')
    (HERE / "faults.json").write_text(text + "\n")


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    encode()
    draw()
    measure()
