"""Asks the exported model every multiple-choice question of the samples: `python check_samples.py MODEL_FOLDER SAMPLES`."""

import glob
import os
import sys

import torch
import yaml
from transformers import AutoImageProcessor, AutoTokenizer, LlavaForConditionalGeneration

import model as embedded
from evaluate import answers
from heldout import decoded
from prompts import multiple_choice


def main(folder: str, samples: str) -> None:
    net = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tok, processor = AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    right = asked = 0
    for path in sorted(glob.glob(f"{samples}/*.vqa.yaml")):
        with open(path) as file:
            sheet = yaml.safe_load(file)
        pixels = processor(decoded(os.path.join(samples, sheet["video"])), return_tensors="pt").pixel_values
        with torch.no_grad():
            video = embedded.video_features(net, pixels[None])
        for question in sheet["questions"]:
            if "options" in question:
                said = answers(net, tok, video, multiple_choice(question["question"], question["options"]))[0]
                wanted = chr(65 + question["options"].index(question["answer"]))
                right, asked = right + (said == wanted), asked + 1
                print(sheet["video"], "said", said, "wanted", wanted)
    print(f"{right} of {asked} right")


if __name__ == "__main__":
    main(*sys.argv[1:])
