"""Remakes the fixtures: python make.py [case ...]. Needs torch, transformers, pillow; nothing else does."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from safetensors.torch import save_file
from transformers.utils.logging import disable_progress_bar

from cases import CASES, case, render
from checkpoint import write_checkpoint
from expect_clean import clean_tensors
from expect_cut import pathways, points, sweeps
from expect_generation import generation
from families import FAMILIES, FamilyReference
from frames import clip
from internvl_chat import InternVlChatReference, write_internvl_chat
from preprocessing import make_preprocessing
from qwen2_5_vl import QWEN_CASES, make_qwen
from reference import Reference
from selfcheck import check_against_class
from video_llama_3 import VIDEOLLAMA3_CASES, make_videollama3

FIXTURES = Path(__file__).parent / "fixtures"
# What the video processors' classes want beside torch. Only families are made with it: with a torchvision,
# CLIP's image processor would be another class than the reference's.
STANDINS = str(Path(__file__).parent / "standins")


def make(name: str) -> None:
    if name in QWEN_CASES:
        store(*make_qwen(name, FIXTURES / name))
        return
    if name in VIDEOLLAMA3_CASES:
        store(*make_videollama3(name, FIXTURES / name))
        return
    spec = case(name)
    folder = FIXTURES / name
    if spec["family"] == "internvl_chat":
        ref = InternVlChatReference(spec, folder, write_internvl_chat(spec, folder))
    else:
        made = (FamilyReference if spec["family"] else Reference)
        ref = made(spec, folder, write_checkpoint(spec, folder))
    frames = clip(spec["seed"], *spec["frames"])
    (folder / "frames.rgb").write_bytes(frames.tobytes())
    if spec["family"]:
        make_family(ref, frames)
        return

    pixels = ref.pixels(frames)
    projected = ref.projected(pixels)
    video = ref.pooled(projected)
    prompt = ref.prompt(render(spec), video)
    run = ref.run(prompt.embeddings)
    check_against_class(ref, pixels, projected, prompt, run)

    tensors, facts = clean_tensors(ref, pixels, projected, video, prompt, run)
    base, truth = facts["baseAnswer"]["id"], facts["groundTruth"]["id"]
    reversed_clip = ref.pooled(projected.flip(0))
    other = ref.run(ref.prompt(render(spec), reversed_clip).embeddings)
    parts = [sweeps(ref, prompt, run, truth), pathways(ref, prompt, truth, base),
             points(ref, prompt, run, truth, other)]
    if spec["generate"]:
        parts.append(generation(ref, video))
    for more_tensors, more_facts in parts:
        tensors |= more_tensors
        facts |= more_facts

    store(ref, tensors, facts)


def make_family(ref: FamilyReference, frames) -> None:
    """The clean run and one sweep; the rest is the same code for every family."""
    pixels, projected, video = ref.stages(frames)
    prompt = ref.prompt("", video)
    run = ref.run(prompt.embeddings)
    ref.check(run)
    tensors, facts = clean_tensors(ref, pixels, projected, video, prompt, run)
    more_tensors, more_facts = sweeps(ref, prompt, run, facts["groundTruth"]["id"])
    store(ref, tensors | more_tensors, {**facts, **more_facts, "seen": {
        "indices": ref.spec["indices"], "fps": ref.spec["fps"], "totalFrames": ref.spec["total_frames"]}})


def store(ref: Reference, tensors: dict, facts: dict) -> None:
    spec, folder, name = ref.spec, ref.folder, ref.spec["name"]
    stored = {key: value.detach().contiguous().clone() for key, value in tensors.items()}
    assert all(t.isfinite().all() for t in stored.values())
    save_file(stored, folder / "expected.safetensors")
    facts = {"about": spec["about"], **facts}
    (folder / "expected.json").write_text(json.dumps(facts, ensure_ascii=False) + "\n")
    report(name, folder, facts)


def report(name: str, folder: Path, facts: dict) -> None:
    kib = {p.name: p.stat().st_size / 1024 for p in folder.iterdir()}
    expected = kib["expected.safetensors"] + kib["expected.json"]
    print(f"{name}: S {facts['positions']}, checkpoint {sum(kib.values()) - expected - kib['frames.rgb']:.0f} KiB, "
          f"frames {kib['frames.rgb']:.0f}, expected {expected:.0f}, base {facts['baseAnswer']}, "
          f"truth {facts['groundTruth']['probability']:.4f}, edges left {facts['pathways']['edgesLeft'] if 'pathways' in facts else 1:.3f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    disable_progress_bar()
    everything = sys.argv[1:] or [*CASES, *QWEN_CASES, *VIDEOLLAMA3_CASES, "preprocessing"]
    families = [name for name in everything if name in QWEN_CASES or name in VIDEOLLAMA3_CASES
                or name in CASES and CASES[name].get("family") in FAMILIES]
    if families and STANDINS not in sys.path:
        everything = [name for name in everything if name not in families]
        subprocess.run([sys.executable, __file__, *families], check=True, env={**os.environ, "PYTHONPATH": STANDINS})
    for wanted in everything:
        shutil.rmtree(FIXTURES / wanted, ignore_errors=True)
        if wanted == "preprocessing":
            make_preprocessing(FIXTURES / wanted)
        else:
            make(wanted)
    total = sum(p.stat().st_size for p in FIXTURES.rglob("*") if p.is_file())
    print(f"all fixtures: {total / 1024:.0f} KiB")
