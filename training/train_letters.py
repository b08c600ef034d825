"""Trains the decoder through the letter curriculum: `python train_letters.py RUN_FOLDER`. Resumes where it stopped."""

import csv
import os
import sys
import time

import torch
import torch.nn.functional as F

import model as embedded
import tokenizer as words_tokenizer
from curriculum import STAGES, Recall

RATE, BATCH, WARMUP, PASS = 1.5e-3, 48, 100, 0.97


def main(run: str) -> None:
    os.makedirs(run, exist_ok=True)
    torch.set_num_threads(2)
    tok = words_tokenizer.build()
    net = embedded.build(tok, "eager")  # the CPU's flash backward is twice slower on short rows
    language = torch.compile(net.model.language_model)
    decoder = [*net.model.language_model.parameters(), *net.lm_head.parameters()]
    optimiser = torch.optim.AdamW(decoder, lr=RATE, betas=(0.9, 0.98), weight_decay=0.05)
    step, stage, spent = 0, 0, 0.0
    path = f"{run}/letters.pt"
    if os.path.exists(path):
        kept = torch.load(path, weights_only=True)
        net.load_state_dict(kept["model"])
        optimiser.load_state_dict(kept["optimiser"])
        step, stage, spent = kept["step"], kept["stage"], kept["seconds"]
    data = Recall(tok, seed=1000 + step)
    log = csv.writer(open(f"{run}/letters.csv", "a", buffering=1))
    start, right, asked, losses = time.time() - spent, 0, 0, 0.0
    while True:
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARMUP)
        ids, labels = data.batch(STAGES[stage], BATCH)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = language(input_ids=ids, use_cache=False).last_hidden_state
            chosen = labels >= 0
            logits = net.lm_head(hidden[chosen])
        loss = F.cross_entropy(logits.float(), labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder, 1.0)
        optimiser.step()
        step += 1
        right += (logits.argmax(-1) == labels[chosen]).sum().item()
        asked += int(chosen.sum())
        losses += loss.item()
        if step % 50 == 0:
            accuracy = right / asked
            log.writerow([step, STAGES[stage], round(losses / 50, 4), round(accuracy, 4), round(time.time() - start, 1)])
            right, asked, losses = 0, 0, 0.0
            if accuracy >= PASS and stage < len(STAGES) - 1:
                stage += 1
        if step % 200 == 0:
            kept = {"model": net.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "stage": stage,
                    "seconds": time.time() - start}
            torch.save(kept, path + ".new")
            os.replace(path + ".new", path)


if __name__ == "__main__":
    main(sys.argv[1])
