"""The letter curriculum: recall of an option's letter from random words, from one word up to whole phrases."""

import numpy as np
import torch

from words import WORDS

STAGES = "abcd"
QUERIES = 8


class Recall:
    """Makes batches of `(A) w (B) w ...` followed by queries, drawn with replacement, each asking for a letter."""

    def __init__(self, tokenizer, seed: int):
        self.rng = np.random.default_rng(seed)
        ids = tokenizer.convert_tokens_to_ids
        self.words = np.array([ids(w) for w in WORDS])
        self.letters = [ids(c) for c in "ABCD"]
        self.open, self.close, self.colon = ids("("), ids(")"), ids(":")
        self.query, self.bos = ids("Q"), ids("<s>")

    def batch(self, stage: str, size: int):
        rows, labels = [], []
        words = 1 if stage == "a" else 2
        tail = int(self.rng.choice([3, 6])) if stage == "d" else 0
        for _ in range(size):
            options = self.rng.choice(self.words, size=(4, words), replace=False).tolist()
            row, label = [self.bos], [-100]
            for letter, option in zip(self.letters, options):
                row += [self.open, letter, self.close, *option]
            label += [-100] * (len(row) - 1)
            shared_tail = self.rng.choice(self.words, size=tail).tolist()
            for pick in self.rng.integers(0, 4, QUERIES):
                asked = [self.query, self.colon, *options[pick], *shared_tail]
                if stage in "cd":
                    asked.append(self.open)
                row += [*asked, self.letters[pick]]
                label += [-100] * (len(asked) - 1) + [self.letters[pick], -100]
            rows.append(row)
            labels.append(label)
        return torch.tensor(rows), torch.tensor(labels)
