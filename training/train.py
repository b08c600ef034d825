"""Trains on captions or clips: `torchrun --nproc-per-node 2 train.py RUN POOL[,POOL...] PHASE STEPS [SECONDS]`. Resumes.

The phases and what each is made of are in PHASES; a phase starts from the one before it. One single-threaded process
per core, each with its share of the batch and of the matrices' optimiser; their gradients are averaged. The vision
tower and the projector are frozen: pools.py has made their features.
"""

import csv
import os
import sys
import time

import numpy as np
import torch
import torch.distributed as dist

import model as embedded
import tokenizer as words_tokenizer
from losses import Losses
from tasks import TASKS
from tracking import FLAG_LAYERS, KNOWN

OLD = {"moving direction": 0.12, "action sequence": 0.06, "object count": 0.6, "scene transition": 0.08, "action antonym": 0.14}
ALL = {"moving direction": 0.05, "action sequence": 0.04, "object count": 0.20, "scene transition": 0.04,
       "action antonym": 0.12, "two balls": 0.25, "three cups": 0.30}
TRACK = {"rate": 1e-3, "aux": 0.0, "weights": ALL, "choices": 1, "words": 2, "moments": 0.3, "flag_clips": 12}
# Shares of the kinds of batches; learning rate; where the auxiliary losses of the middle layers end (as a part of the
# phase's steps); how many of the system text's last tokens stay (all of them in the last phases: they cost a tenth of
# the time and say nothing); multiple-choice questions and answers in words per clip; the weight of the captions' words
# after each frame. `flags` weighs the flag loss; a phase ends early once the last frame's tokens know the asked object
# as often as `until` says, and with `fade` the loss goes to nothing within so many steps once they know it (KNOWN), and
# its own batches with it.
PHASES = {
    "text": {"after": "letters.pt", "shares": {"recall": 0.3, "text": 0.7}, "rate": 1e-3, "aux": 1.0},
    "joint": {"after": "text.pt", "shares": {"recall": 0.05, "text": 0.2, "clips": 0.75}, "rate": 1e-3, "aux": 0.7,
              "system": 2, "choices": 2, "words": 2},
    "final": {"after": "joint.pt", "shares": {"text": 0.08, "clips": 0.92}, "rate": 1e-3, "aux": 0.6, "weights": OLD,
              "choices": 2, "words": 3},
    "red": TRACK | {"after": "start", "shares": {"flags": 0.7, "clips": 0.3}, "flags": 1.0, "system": 2, "until": 0.93},
    "colours": TRACK | {"after": "red.pt", "shares": {"flags": 0.6, "clips": 0.4}, "flags": 1.0, "flags_from": 1, "system": 2, "until": 0.95},
    "whole": TRACK | {"after": "colours.pt", "shares": {"flags": 0.3, "clips": 0.7}, "flags": 1.0, "flags_from": 1, "fade": 300},
    "free": TRACK | {"after": "whole.pt", "shares": {"clips": 1.0}, "decay": True},
}
for phase in ("text", "joint", "final"):
    PHASES[phase]["decay"] = True
CLIPS, WARMUP, SAVE_EVERY, LOG_EVERY = 8, 50, 50, 25
COLUMNS = ["loss recall", "loss text", "loss clips", "loss flags", "recall", "text", *TASKS, "letter", "words", "number", "moments",
           "event loss", "option loss", "flag loss", *(f"L{layer} f{frame}" for layer in (2, 4, 6) for frame in (0, 1, 3, 7))]


def averaged(parameters, world: int) -> None:
    """Each process's gradients become their mean."""
    held = [p for p in parameters if p.grad is not None]
    flat = torch.cat([p.grad.flatten() for p in held])
    dist.all_reduce(flat)
    for p, g in zip(held, (flat / world).split([p.numel() for p in held])):
        p.grad.copy_(g.view_as(p))


@torch.no_grad()
def shared(matrices, rank: int, world: int) -> None:
    """Each process's own matrices reach the others."""
    for owner in range(world):
        flat = torch.cat([p.flatten() for p in matrices[owner::world]])
        dist.broadcast(flat, owner)
        if owner != rank:
            for p, new in zip(matrices[owner::world], flat.split([p.numel() for p in matrices[owner::world]])):
                p.copy_(new.view_as(p))


def main(run: str, pools: str, phase: str, steps: int, seconds: float = 1e9) -> None:
    plan, rank, world = {"clips": CLIPS} | PHASES[phase], int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo")
    tok = words_tokenizer.build()
    net = embedded.build(tok, "eager")
    step, path, own = 0, f"{run}/{phase}.pt", f"{run}/{phase}-optimiser-{rank}-of-{world}.pt"
    kept = torch.load(path, weights_only=True) if os.path.exists(path) else None
    step = kept["step"] if kept else 0
    losses = Losses(net, tok, plan, pools.split(","), 1000 * step + rank)
    heads = {"heads": losses.heads, "flags": losses.flags}
    matrices = [p for p in net.model.language_model.layers.parameters() if p.dim() == 2]
    chosen = {id(p) for p in matrices}
    trained = [*net.model.language_model.parameters(), *net.lm_head.parameters(), *(p for h in heads.values() for p in h.parameters())]
    language = net.model.language_model
    early = [*language.embed_tokens.parameters(), *language.layers[: max(FLAG_LAYERS) + 1].parameters(), *losses.flags.parameters()]
    optimisers = [
        torch.optim.Muon([{"params": matrices[rank::world], "part": 2.0}], lr=plan["rate"], momentum=0.95, weight_decay=0.05,
                         adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([{"params": [p for p in trained if id(p) not in chosen], "part": 1.0}], lr=plan["rate"],
                          betas=(0.9, 0.98), weight_decay=0.05),
    ]
    before = kept or (torch.load(f"{run}/{plan['after']}", weights_only=True) if plan["after"].endswith(".pt") else {})
    embedded.load(net, path if kept else f"{run}/{plan['after']}")
    for name, head in heads.items():
        if name in before:
            head.load_state_dict(before[name])
    if kept and os.path.exists(own):
        for optimiser, state in zip(optimisers, torch.load(own, weights_only=True)):
            optimiser.load_state_dict(state)
    if phase == "joint" and not kept:
        net.load_state_dict(torch.load(f"{run}/vision.pt", weights_only=True)["model"], strict=False)
    knows, fading = (kept["knows"], kept["fading"]) if kept else (0.5, -1)  # last frame's flags; since which step they fade
    log = csv.writer(open(f"{run}/{phase}.csv", "a", buffering=1)) if rank == 0 else None
    if log and not kept:
        log.writerow(["step", "seconds", "flag", *COLUMNS])
    done, spent, start, last = 0.0, 0.0, time.time(), time.time()
    while done < 1:
        spent, last = spent + min(time.time() - last, 20.0), time.time()  # a stopped process loses no time
        clock = torch.tensor([spent, knows])
        if world > 1:
            dist.broadcast(clock, 0)
        done = max(step / steps, clock[0].item() / seconds, 1.0 if clock[1] > plan.get("until", 1.0) else 0.0)
        aux = max(0.0, 1 - done / plan["aux"]) if 0 < plan["aux"] < 1 else plan["aux"]
        if "fade" in plan and fading < 0 and clock[1] > KNOWN:
            fading = step
        flag = plan.get("flags", 0.0) * (max(0.0, 1 - (step - fading) / plan["fade"]) if fading >= 0 else 1.0)
        rate = plan["rate"] * min(1.0, (step + 1) / WARMUP)
        if plan.get("decay"):
            rate *= min(1.0, max(0.03, 4.0 * (1 - done)))
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * group["part"]
        kind = np.random.default_rng((9, step)).choice(list(plan["shares"]), p=list(plan["shares"].values()))
        if kind == "flags" and flag == 0:
            kind = "clips"
        for p in trained:
            p.grad = None
        for p in early if kind == "flags" else trained:  # the others are not moved by this step
            p.grad = torch.zeros_like(p)
        loss = losses.of(kind, aux, flag)
        loss.backward()
        losses.tally.add("loss " + kind, loss.item())
        if world > 1:
            averaged(trained, world)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        for optimiser in optimisers:
            optimiser.step()
        if world > 1:
            shared(matrices, rank, world)
        step += 1
        row = losses.tally.take() if step % LOG_EVERY == 0 else None
        if row:
            knows = max((row.get(f"L{layer} f7", 0.0) for layer in (4, 6)), default=knows) or knows
            if log:
                log.writerow([step, round(time.time() - start, 1), round(flag, 3), *(row.get(n, "") for n in COLUMNS)])
        if step % SAVE_EVERY == 0 or step == steps or done >= 1:
            torch.save([o.state_dict() for o in optimisers], own)
            if rank == 0:
                torch.save({"model": net.state_dict(), **{n: h.state_dict() for n, h in heads.items()}, "step": step,
                            "knows": knows, "fading": fading}, path + ".new")
                os.replace(path + ".new", path)
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), *map(float, sys.argv[5:]))
