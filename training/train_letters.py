"""Trains the decoder through the letter curriculum: `python train_letters.py RUN_FOLDER`. Resumes where it stopped."""

import csv
import os
import sys
import time

import torch
import torch.nn.functional as F

import decoder
import model as embedded
import tokenizer as words_tokenizer
from curriculum import Recall

RATE, BATCH, WARMUP, PASS, STAGES, LAST_PASS = 1.5e-3, 32, 100, 0.97, "abcd", 0.985


def loss_of(net, ids, labels):
    """Cross entropy and the number right, at the labelled places of flat sequences."""
    hidden, _, _ = decoder.decode(net, net.get_input_embeddings()(ids))
    chosen = labels >= 0
    logits = net.lm_head(hidden[chosen])
    return F.cross_entropy(logits, labels[chosen]), int((logits.argmax(-1) == labels[chosen]).sum())


def main(run: str, threads: int = 2) -> None:
    os.makedirs(run, exist_ok=True)
    torch.set_num_threads(threads)
    tok = words_tokenizer.build()
    net = embedded.build(tok)
    parameters = [*net.model.language_model.parameters(), *net.lm_head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.98), weight_decay=0.05)
    step, stage, spent, path = 0, 0, 0.0, f"{run}/letters.pt"
    if os.path.exists(path):
        kept = torch.load(path, weights_only=True)
        net.load_state_dict(kept["model"])
        optimiser.load_state_dict(kept["optimiser"])
        step, stage, spent = kept["step"], kept["stage"], kept["seconds"]
    data = Recall(tok, seed=1000 + step)
    log = csv.writer(open(f"{run}/letters.csv", "a", buffering=1))
    start, right, asked, losses, passed = time.time() - spent, 0, 0, 0.0, False
    while not passed:
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARMUP)
        ids, labels = data.batch(STAGES[stage], BATCH)
        loss, hits = loss_of(net, ids, labels)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step, right, asked, losses = step + 1, right + hits, asked + int((labels >= 0).sum()), losses + loss.item()
        if step % 50 == 0:
            accuracy, seconds = right / asked, time.time() - start
            log.writerow([step, STAGES[stage], round(losses / 50, 4), round(accuracy, 4), round(seconds, 1)])
            right, asked, losses = 0, 0, 0.0
            passed = stage == len(STAGES) - 1 and accuracy >= LAST_PASS
            if accuracy >= PASS and stage < len(STAGES) - 1:
                stage += 1
            kept = {"model": net.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "stage": stage,
                    "seconds": seconds}
            torch.save(kept, path + ".new")
            os.replace(path + ".new", path)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
