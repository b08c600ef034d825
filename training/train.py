"""Trains on captions or clips: `torchrun --nproc-per-node 2 train.py RUN POOL[,POOL...] PHASE STEPS [SECONDS]`. Resumes.

PHASE is `text` (captions in place of the video), `joint` (clips, answers in words, multiple choice) or `final`
(multiple choice, vision unfrozen). A phase starts from the one before it. One single-threaded process per core, each
with its share of the batch; their gradients are averaged.
"""

import csv
import json
import os
import sys
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F

import decoder
import model as embedded
import tokenizer as words_tokenizer
from auxiliary import EVENT_LAYER, OPTION_LAYER, Heads, events
from curriculum import Recall
from packing import COUNT, Packer
from pixels import pixels
from tasks import TASKS

# Shares of the kinds of batches; learning rate; where the auxiliary losses end and where vision is unfrozen (as parts
# of the phase's steps); how many of the system text's last tokens stay (all of them in the last phase: they cost a
# tenth of the time and say nothing); multiple-choice questions and answers in words per clip.
PHASES = {
    "text": {"after": "letters", "shares": {"recall": 0.3, "text": 0.7}, "rate": 1e-3, "aux": 1.0, "thaw": 2.0},
    "joint": {"after": "text", "shares": {"recall": 0.05, "text": 0.2, "clips": 0.75}, "rate": 1e-3, "aux": 0.7,
              "thaw": 2.0, "system": 2, "choices": 2, "words": 2},
    "final": {"after": "joint", "shares": {"text": 0.08, "clips": 0.92}, "rate": 1e-3, "aux": 0.6, "thaw": 2.0,
              "system": 47, "choices": 2, "words": 3, "weights": (0.12, 0.06, 0.6, 0.08, 0.14)},
}
CLIPS, RECALLS, CAPTIONS, WARMUP, SAVE_EVERY, LOG_EVERY = 8, 16, 8, 50, 50, 25


class Pools:
    """Clips of one or more pools, with their texts, what is known of them, and kept features while vision is frozen."""

    def __init__(self, paths: list[str], net):
        self.net, self.paths, self.kept, self.loaded = net, paths, {}, 0
        self.refresh()

    def refresh(self) -> None:
        """Loads the pools that are there; one that is still being rendered joins later."""
        there = [p for p in self.paths if os.path.exists(f"{p}.npz")]
        if len(there) == self.loaded:
            return
        self.loaded = len(there)
        self.frames = [np.load(f"{p}.npy", mmap_mode="r") for p in there]
        self.texts = [t for p in there for t in json.load(open(f"{p}.json"))]
        known = [np.load(f"{p}.npz") for p in there]
        self.objects = np.concatenate([k["objects"] for k in known])
        self.scenes = np.concatenate([k["scenes"] for k in known])
        self.starts = np.cumsum([0, *(len(f) for f in self.frames)])

    def weights(self, of_tasks: tuple) -> np.ndarray:
        """How often each clip is drawn, so that the tasks have these shares."""
        tasks = np.array([TASKS.index(text["task"]) for text in self.texts])
        share = np.array(of_tasks)[tasks] / np.bincount(tasks, minlength=len(TASKS))[tasks]
        return share / share.sum()

    def clip(self, index: int) -> np.ndarray:
        pool = int(np.searchsorted(self.starts, index, "right")) - 1
        return self.frames[pool][index - self.starts[pool]]

    def video(self, rows, frozen: bool) -> torch.Tensor:
        if not frozen:
            with torch.autocast("cpu", torch.bfloat16):
                return embedded.video_features(self.net, pixels(np.stack([self.clip(i) for i in rows]))).float()
        missing = [i for i in rows if i not in self.kept]
        if missing:
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                made = embedded.video_features(self.net, pixels(np.stack([self.clip(i) for i in missing])))
            self.kept |= dict(zip(missing, made.bfloat16()))
        return torch.stack([self.kept[i] for i in rows]).float()


def letter_loss(net, packer, segments, made):
    at = made["last"][..., None, None].expand(*made["last"].shape, 1, segments.shape[-1])
    logits = net.lm_head(segments.gather(2, at)[:, :, 0])
    wanted = torch.tensor(packer.letters)[made["true"]]
    right = logits.argmax(-1) == wanted
    return F.cross_entropy(logits.flatten(0, 1), wanted.flatten()), right.float().mean(1)


def main(run: str, pools: str, phase: str, steps: int, seconds: float = 1e9) -> None:
    plan, rank, world = PHASES[phase], int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo")
    tok = words_tokenizer.build()
    net = embedded.build(tok, "eager")
    heads = Heads(net.config.text_config.hidden_size)
    vision = [*net.model.vision_tower.parameters(), *net.model.multi_modal_projector.parameters()]
    matrices = [p for p in net.model.language_model.layers.parameters() if p.dim() == 2]
    chosen = {id(p) for p in matrices}
    language = [*net.model.language_model.parameters(), *net.lm_head.parameters(), *heads.parameters()]
    others = [p for p in language if id(p) not in chosen]
    optimisers = [
        torch.optim.Muon([{"params": matrices, "part": 2.0}], lr=plan["rate"], momentum=0.95, weight_decay=0.05,
                         adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([{"params": others, "part": 1.0}, {"params": vision, "part": 0.1}], lr=plan["rate"],
                          betas=(0.9, 0.98), weight_decay=0.05),
    ]
    step, path, before = 0, f"{run}/{phase}.pt", f"{run}/{plan['after']}.pt"
    if os.path.exists(path):
        kept = torch.load(path, weights_only=True)
        net.load_state_dict(kept["model"])
        heads.load_state_dict(kept["heads"])
        for optimiser, state in zip(optimisers, kept["optimisers"]):
            optimiser.load_state_dict(state)
        step = kept["step"]
    else:
        kept = torch.load(before, weights_only=True)
        net.load_state_dict(kept["model"])
        if "heads" in kept:
            heads.load_state_dict(kept["heads"])
        if phase == "joint":
            net.load_state_dict(torch.load(f"{run}/vision.pt", weights_only=True)["model"], strict=False)
    data = Pools(pools.split(","), net)
    packer, recall = Packer(tok, 1000 * step + rank), Recall(tok, 1000 * step + rank)
    rng = np.random.default_rng((step, rank))
    embed = net.get_input_embeddings()
    log = csv.writer(open(f"{run}/{phase}.csv", "a", buffering=1)) if rank == 0 else None
    start, tally = time.time(), {}

    def add(name: str, value: float, number: float = 1) -> None:
        total, count = tally.get(name, (0.0, 0.0))
        tally[name] = total + value * number, count + number

    def loss_of(kind: str, aux: float, frozen: bool):
        if kind == "recall":
            ids, labels = recall.batch("d", RECALLS)
            hidden, _, _ = decoder.decode(net, embed(ids))
            at = labels >= 0
            logits = net.lm_head(hidden[at])
            add("recall", (logits.argmax(-1) == labels[at]).float().mean().item())
            return F.cross_entropy(logits, labels[at])
        share = data.weights(plan["weights"]) if "weights" in plan else None
        rows = rng.choice(len(data.texts), CAPTIONS if kind == "text" else CLIPS, replace=False, p=share)
        texts = [data.texts[i] for i in rows]
        if kind == "text":
            ids, made = packer.captions(texts, recall, 6)
            _, (choice,), seen = decoder.decode(net, embed(ids), [embed(made["choice"])], (OPTION_LAYER,))
            loss, right = letter_loss(net, packer, choice, made)
            add("text", right.mean().item())
            return loss + aux * heads.option_loss(seen[OPTION_LAYER][1][0], made)
        made = packer.clips(texts, plan["choices"], plan["words"])
        video = data.video(rows, frozen)
        start = torch.cat([packer.start[:1], packer.start[-plan["system"] :]])
        prefix = torch.cat([embed(start).expand(len(rows), -1, -1), video], 1)
        parts = [embed(made["choice"])] + ([embed(made["words"])] if plan["words"] else [])
        _, out, seen = decoder.decode(net, prefix, parts, (EVENT_LAYER, OPTION_LAYER))
        loss, right = letter_loss(net, packer, out[0], made)
        for text, value in zip(texts, right.tolist()):
            add(text["task"], value)
        if plan["words"]:
            chosen = made["labels"] >= 0
            logits = net.lm_head(out[1][chosen])
            words = F.cross_entropy(logits, made["labels"][chosen])
            add("words", (logits.argmax(-1) == made["labels"][chosen]).float().mean().item())
            loss = loss + words
            counting = [n for n, text in enumerate(texts) if text["task"] == COUNT]
            if counting:  # the number itself, which is one word of many in the sentences and stories
                labels = made["labels"][counting, :-1].flatten(0, 1)
                places, first = torch.arange(len(labels)), (labels >= 0).int().argmax(1)
                numbers = net.lm_head(out[1][counting, :-1].flatten(0, 1)[places, first])
                loss = loss + F.cross_entropy(numbers, labels[places, first])
                add("number", (numbers.argmax(-1) == labels[places, first]).float().mean().item())
        if aux > 0:
            labels = torch.tensor(events(texts, data.objects[rows], data.scenes[rows]))
            event, option = heads.event_loss(seen[EVENT_LAYER][0], labels), heads.option_loss(seen[OPTION_LAYER][1][0], made)
            add("event loss", event.item())
            add("option loss", option.item())
            loss = loss + aux * (event + option)
        return loss

    everything = language + vision
    done, spent, last = 0.0, 0.0, start
    while done < 1:
        spent, last = spent + min(time.time() - last, 20.0), time.time()  # a stopped process loses no time
        clock = torch.tensor(spent)
        if world > 1:
            dist.broadcast(clock, 0)
        done = max(step / steps, clock.item() / seconds)
        aux = max(0.0, 1 - done / plan["aux"]) if plan["aux"] < 1 and plan["aux"] > 0 else plan["aux"]
        frozen = done < plan["thaw"]
        rate = plan["rate"] * min(1.0, (step + 1) / WARMUP) * min(1.0, max(0.03, 4.0 * (1 - done)))
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * group["part"]
        kind = np.random.default_rng((9, step)).choice(list(plan["shares"]), p=list(plan["shares"].values()))
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=False)
        loss = loss_of(kind, aux, frozen)
        loss.backward()
        if world > 1:
            held = [p for p in (language if frozen else everything) if p.grad is not None]
            flat = torch.cat([p.grad.flatten() for p in held])
            dist.all_reduce(flat)
            for p, g in zip(held, (flat / world).split([p.numel() for p in held])):
                p.grad.copy_(g.view_as(p))
        torch.nn.utils.clip_grad_norm_(everything, 1.0)
        if frozen:
            for p in vision:
                p.grad = None
        for optimiser in optimisers:
            optimiser.step()
        step += 1
        add("loss " + kind, loss.item())
        if step % LOG_EVERY == 0:
            data.refresh()
        if rank == 0 and (step % LOG_EVERY == 0):
            row = {name: round(total / count, 4) for name, (total, count) in tally.items()}
            names = ["loss recall", "loss text", "loss clips", "recall", "text", *TASKS, "words", "number", "event loss", "option loss"]
            log.writerow([step, round(time.time() - start, 1), *(row.get(n, "") for n in names)])
            tally.clear()
        if rank == 0 and (step % SAVE_EVERY == 0 or step == steps or done >= 1):
            torch.save({"model": net.state_dict(), "heads": heads.state_dict(), "step": step,
                        "optimisers": [o.state_dict() for o in optimisers]}, path + ".new")
            os.replace(path + ".new", path)
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), *map(float, sys.argv[5:]))
