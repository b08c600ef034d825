"""The letter curriculum: recall of an option's letter from random words, from one word up to whole phrases.

The sequences are `(A) w (B) w ...` followed by queries, drawn with replacement, each asking for the letter of one
option. Every batch has one fixed length, so that the compiled decoder is compiled once.
"""

import numpy as np
import torch

LENGTH = 112


class Recall:
    def __init__(self, tokenizer, seed: int):
        self.rng = np.random.default_rng(seed)
        ids = tokenizer.convert_tokens_to_ids
        self.letters = [ids(c) for c in "ABCD"]
        self.open, self.close, self.colon = ids("("), ids(")"), ids(":")
        self.query, self.bos, self.pad = ids("Q"), ids("<s>"), ids("<pad>")
        marks = {*self.letters, self.open, self.close, self.colon, self.query}
        self.words = np.array([i for i in range(5, len(tokenizer)) if i not in marks])

    def form(self, stage: str) -> dict:
        """a: single words, the letter right after the word; b: two words; c: `(` between; d: a tail of words, too."""
        draw = self.rng.integers
        if stage == "a":
            return {"options": 4, "words": 1, "tail": 0, "ask": False, "open": False}
        return {
            "options": int(draw(2, 5)), "words": 2 if stage in "bc" else int(draw(1, 5)),
            "tail": int(draw(0, 13)) if stage == "d" else 0, "ask": stage == "d", "open": stage in "cd",
        }

    def options(self, count: int, words: int) -> list[list[int]]:
        """Random phrases; now and then hard ones: the same words in another order, or all but one word shared."""
        kind = self.rng.random()
        if words == 1 or kind < 0.5:
            return self.rng.choice(self.words, (count, words), replace=False).tolist()
        base = self.rng.choice(self.words, words + count, replace=False)
        made = []
        while len(made) < count:
            phrase = base[:words].copy()
            if kind < 0.75 or made and self.rng.random() < 0.5:
                phrase[self.rng.integers(words)] = base[words + len(made)]
            phrase = self.rng.permutation(phrase).tolist()
            if phrase not in made:
                made.append(phrase)
        return made

    def row(self, form: dict) -> tuple[list[int], list[int]]:
        options = self.options(form["options"], form["words"])
        row = [self.bos]
        for letter, option in zip(self.letters, options):
            row += [self.open, letter, self.close, *option]
        label = [-100] * len(row)
        tail = self.rng.choice(self.words, form["tail"]).tolist()
        while True:
            pick = int(self.rng.integers(len(options)))
            asked = [self.query, self.colon] * form["ask"] + options[pick] + tail + [self.open] * form["open"]
            if len(row) + len(asked) + 1 > LENGTH:
                break
            row += [*asked, self.letters[pick]]
            label += [-100] * (len(asked) - 1) + [self.letters[pick], -100]
        fill = LENGTH - len(row)
        return row + [self.pad] * fill, label + [-100] * fill

    def batch(self, stage: str, size: int):
        rows = [self.row(self.form(stage)) for _ in range(size)]
        return torch.tensor([r for r, _ in rows]), torch.tensor([l for _, l in rows])
