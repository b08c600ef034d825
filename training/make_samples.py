"""Encodes two clips per task with their prompt files: `python make_samples.py OUT`. Seeds ≥ 10,000,000: never trained on."""

import json
import os
import sys

import av

from render import frames
from tasks import IDENTITY, TASKS, make

SIZE, COUNT, RATE, FIRST_SEED = 320, 48, 16, 10_000_000
OPEN = {"moving direction": "What happens in the video?", "scene transition": "How does the scene change?",
        **{task: "What happens in the video?" for task in IDENTITY}}
VP9 = ["scene transition", *IDENTITY]  # the tasks whose second clip is VP9, not H.264


def encode(path: str, images, codec: str, options: dict) -> None:
    with av.open(path, "w") as out:
        stream = out.add_stream(codec, rate=RATE, options=options)
        stream.height, stream.width = images.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for image in images:
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)


def prompt_file(video: str, item, open_question: str | None) -> str:
    quote = lambda text: json.dumps(text)
    lines = [
        f"video: {video}", "questions:", f"  - id: {item.task.split()[-1]}", f"    task: {item.task}",
        f"    question: {quote(item.question)}", f"    options: [{', '.join(map(quote, item.options))}]",
        f"    answer: {quote(item.answer)}", f"    keywords: [{', '.join(map(quote, item.keywords))}]",
    ]
    if open_question:
        lines += ["  - id: in-words", f"    task: {item.task}", f"    question: {quote(open_question)}",
                  f"    answer: {quote(item.story)}"]
    return "\n".join(lines) + "\n"


def main(out: str) -> None:
    rows = []
    for task in TASKS:
        for n in (1, 2):
            item = make(task, FIRST_SEED + n)
            name = f"{task.replace(' ', '-')}-{n}"
            webm = task in VP9 and n == 2
            video = name + (".webm" if webm else ".mp4")
            codec, options = ("libvpx-vp9", {"crf": "34", "b": "0"}) if webm else ("libx264", {"crf": "26"})
            encode(f"{out}/{video}", frames(item.clip, COUNT, SIZE), codec, options)
            with open(f"{out}/{name}.vqa.yaml", "w") as file:
                file.write(prompt_file(video, item, OPEN.get(task) if n == 1 else None))
            size = os.path.getsize(f"{out}/{video}") // 1024
            rows.append(f"- `{video}` ({size} KB): {item.task}: {item.question} {item.answer}.")
    with open(f"{out}/README.md", "w") as file:
        file.write("# Samples\n\nGenerated clips (320 x 320, 3 s), each with a prompt file beside it.\n\n")
        file.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
