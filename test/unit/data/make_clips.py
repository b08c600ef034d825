"""Remakes video/: tiny clips of every container and codec, and clips.json, what they must decode to.

Debian's ffmpeg encodes; PyAV and Pillow, which share no code with the product, measure. Run by hand:
    python make_clips.py
Almost every clip's frames carry their number: the upper half's brightness steps by 14 from frame to frame,
so that a neighbour cannot be taken for one.
"""
from __future__ import annotations

import json
import subprocess
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).parent / "video"
FRAMES = 30

LUMA = "if(lt(Y,H/2),24+14*mod(N,15),128+80*sin((X+2*N)/4)*cos((Y-N)/5))"
PICTURE = f"geq=lum='{LUMA}':cb='64+128*X/W':cr='192-128*Y/H+2*mod(N,15)'"


def source(size: str = "64x48", rate: int = 25, frames: int = FRAMES, pixels: str = "yuv420p") -> list[str]:
    seconds = frames / rate
    graph = f"color=gray:size={size}:rate={rate}:duration={seconds},format={pixels},{PICTURE}"
    return ["-f", "lavfi", "-i", graph]


SINE = ["-f", "lavfi", "-i", "sine=frequency=300:duration=1.2:sample_rate=8000"]
X264 = ["-c:v", "libx264", "-crf", "30", "-g", "10", "-bf", "3"]
VP9 = ["-c:v", "libvpx-vp9", "-b:v", "0", "-crf", "45", "-g", "10"]
X265 = ["-c:v", "libx265", "-crf", "34"]

CLIPS: dict[str, list[str]] = {
    "h264.mp4": [*source(), *X264],
    "h264-open-gop.mkv": [*source(), *X264, "-x264-params", "open-gop=1:keyint=10:min-keyint=10:b-pyramid=normal"],
    "h264.mov": [*source(), *X264],
    "h264-sound.mp4": [*source(), *SINE, *X264, "-c:a", "aac", "-b:a", "8k"],
    "h264-fragments.mp4": [*source(), *X264, "-movflags", "+frag_keyframe+empty_moov"],
    "h264-rates-vary.mp4": [*source(frames=60), "-vf", "select='not(mod(n,3))+lt(mod(n,10),4)'",
                            "-vsync", "vfr", *X264],
    "h264-bt709-full.mp4": [*source(), *X264, "-vf", "scale=out_range=full", "-color_range", "pc",
                            "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"],
    "h264-bt709.mp4": [*source(), *X264, "-color_range", "tv", "-colorspace", "bt709"],
    "h264-interlaced.mkv": [*source(rate=50, frames=60), "-vf", "interlace", "-flags", "+ildct+ilme", *X264],
    "hevc-open-gop.mkv": [*source(), *X265, "-x265-params", "log-level=error:keyint=10:bframes=4:open-gop=1:info=0"],
    "hevc-10-bit.mp4": [*source(pixels="yuv420p10"), *X265, "-x265-params", "log-level=error:keyint=10:info=0",
                        "-tag:v", "hvc1"],
    "vp9.webm": [*source(), *VP9, "-auto-alt-ref", "1", "-lag-in-frames", "16"],
    "vp9-odd.webm": [*source(size="65x49", pixels="yuv444p"), *VP9, "-pix_fmt", "yuv420p"],
    "av1.mp4": [*source(), "-c:v", "libaom-av1", "-crf", "50", "-g", "10", "-cpu-used", "6"],
    "mpeg4.avi": [*source(), "-c:v", "mpeg4", "-q:v", "8", "-g", "10"],
    "mpeg4-b-frames.avi": [*source(), "-c:v", "mpeg4", "-q:v", "8", "-g", "10", "-bf", "2"],
    "h264.avi": [*source(), *X264],
    "gif.gif": [*source(rate=10, frames=20), "-vf", "split[a][b];[a]palettegen=max_colors=32[p];[b][p]paletteuse=dither=none"],
}


def ffmpeg(*arguments: str) -> None:
    quiet = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y"]
    subprocess.run([*quiet, *arguments], check=True, cwd=HERE)


def encode() -> None:
    exact = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]
    for name, arguments in CLIPS.items():
        keep = ["-flags:v", "+bitexact+ildct+ilme"] if "interlaced" in name else exact[-2:]
        ffmpeg(*arguments, *exact[:-2], *keep, name)
    # Hidden reference frames (VP8) come with two passes.
    moving = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1.6"]
    vp8 = [*moving, "-c:v", "libvpx", "-b:v", "60k", "-g", "20", "-auto-alt-ref", "1",
           "-lag-in-frames", "20", "-arnr-maxframes", "7", "-arnr-strength", "5", "-cpu-used", "0"]
    for number, out in ("1", ["-f", "null", "-"]), ("2", ["vp8-hidden-frames.webm"]):
        ffmpeg(*vp8, "-pass", number, *exact, *out)
    (HERE / "ffmpeg2pass-0.log").unlink()
    for degrees in ("90", "180", "270"):
        ffmpeg("-i", "h264.mp4", "-c", "copy", "-metadata:s:v:0", f"rotate={degrees}", f"h264-turned-{degrees}.mp4")
    # A cut without encoding: frames before the cut are in the file, to be decoded and not shown.
    ffmpeg("-ss", "0.5", "-i", "h264.mp4", "-c", "copy", "h264-cut.mp4")
    # Its first key frame is lost, so what decoding shows cannot be told from the packets.
    ffmpeg("-i", "h264.mp4", "-c", "copy", "-bsf:v", "noise=amount=0:drop='eq(n,0)'", "h264-no-first-key.mkv")
    # Written to a pipe: neither a length nor an index.
    pipe = ["ffmpeg", "-loglevel", "error", "-i", "vp9.webm", "-c", "copy", "-f", "webm", "-"]
    piped = subprocess.run(pipe, check=True, cwd=HERE, stdout=subprocess.PIPE).stdout
    (HERE / "vp9-live.webm").write_bytes(piped)
    ffmpeg(*SINE, "-c:a", "aac", "-b:a", "8k", *exact[:-2], "sound-only.m4a")
    fragments = (HERE / "h264-fragments.mp4").read_bytes()
    (HERE / "no-frames.mp4").write_bytes(fragments[: fragments.index(b"moof") - 4])


def picture() -> Image.Image:
    y, x = np.mgrid[0:48, 0:65]
    planes = [127 + 110 * np.sin(x / 5 + y / 8), 127 + 110 * np.cos(x / 7 - y / 4), (x * 3 + y * 2) % 256]
    return Image.fromarray(np.stack(planes, -1).astype(np.uint8))


def draw() -> None:
    """A folder of images of several formats and sizes, whose natural order is not the alphabet's."""
    folder = HERE / "images"
    folder.mkdir(exist_ok=True)
    base = picture()
    base.save(folder / "frame1.png")
    base.crop((0, 0, 64, 48)).save(folder / "frame2.jpg", quality=90)
    base.crop((0, 0, 63, 47)).save(folder / "frame3.jpeg", quality=90)
    base.crop((1, 0, 64, 47)).save(folder / "frame10.webp", quality=80)
    base.convert("L").save(folder / "frame11.bmp")
    base.convert("RGBA").save(folder / "frame12.PNG")
    turned = Image.Exif()
    turned[0x0112] = 6  # Orientation: stand the picture on its right side.
    base.crop((0, 0, 64, 32)).save(folder / "frame20.jpg", quality=90, exif=turned)
    (folder / "notes.txt").write_text("not an image\n")


def told(pixels: np.ndarray) -> dict:
    """Mean of each quarter (upper left, upper right, lower left, lower right; RGB), and some pixels."""
    h, w = pixels.shape[0] // 2, pixels.shape[1] // 2
    quarters = [pixels[a, b].reshape(-1, 3).mean(0) for a in (slice(h), slice(h, None)) for b in (slice(w), slice(w, None))]
    places = [(x, y) for y in range(1, pixels.shape[0], 15) for x in range(2, pixels.shape[1], 19)]
    return {"size": [pixels.shape[1], pixels.shape[0]],
            "quarters": np.round(np.concatenate(quarters), 1).tolist(),
            "pixels": [[x, y, *pixels[y, x].tolist()] for x, y in places]}


def upright(path: Path, count: int, width: int, height: int) -> list[np.ndarray]:
    """ffmpeg turns pictures by itself; PyAV does not."""
    command = ["ffmpeg", "-loglevel", "error", "-i", path.name, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, cwd=HERE, stdout=subprocess.PIPE).stdout
    return list(np.frombuffer(raw, np.uint8).reshape(count, height, width, 3))


def measure() -> None:
    clips = {}
    for path in sorted(HERE.iterdir()):
        if path.name in ("sound-only.m4a", "no-frames.mp4", "clips.json", "images"):
            continue
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            start = container.start_time / 1e6
            times, frames = [], []
            for frame in container.decode(stream):
                times.append(round(frame.time - start, 4))
                frames.append(frame.to_ndarray(format="rgb24"))
            rate = float(stream.average_rate)
            if path.suffix == ".avi":  # It has no presentation times: frames are shown at a constant rate.
                times = [round(i / rate, 4) for i in range(len(frames))]
        if "turned" in path.name:
            height, width = frames[0].shape[:2]
            if "180" not in path.name:
                height, width = width, height
            frames = upright(path, len(frames), width, height)
        some = {0, len(frames) // 2, len(frames) - 1}
        rows = []
        for i, pixels in enumerate(frames):
            facts = told(pixels)
            rows.append({"seconds": times[i], "quarters": facts["quarters"],
                         **({"pixels": facts["pixels"]} if i in some else {})})
        clips[path.name] = {"width": frames[0].shape[1], "height": frames[0].shape[0], "fps": rate,
                            "frames": rows}
    images = {path.name: told(np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB")))
              for path in sorted((HERE / "images").iterdir()) if path.suffix != ".txt"}
    lines = [f'  "{name}": {json.dumps(clip, separators=(",", ":"))}' for name, clip in clips.items()]
    text = '{"clips": {\n' + ",\n".join(lines) + '\n},\n"images": ' + json.dumps(images, separators=(",", ":")) + "}\n"
    (HERE / "clips.json").write_text(text)


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    encode()
    draw()
    measure()
