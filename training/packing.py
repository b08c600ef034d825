"""Packs several questions behind one shared system text and video: mask, positions and labels."""

import numpy as np
import torch

from model import VIDEO_TOKENS
from prompts import multiple_choice, open_ended


class Packer:
    def __init__(self, tokenizer, seed: int):
        self.tok, self.rng = tokenizer, np.random.default_rng(seed)
        self.image = tokenizer.convert_tokens_to_ids("<image>")

    def split(self, prompt: str) -> tuple[list[int], list[int]]:
        ids = self.tok(prompt).input_ids
        at = ids.index(self.image)
        return ids[:at], ids[at + 1 :]

    def segments(self, text: dict, choices: int):
        """Questions about one clip: options reshuffled each time, and the answer in words once."""
        for _ in range(choices):
            options = [text["options"][i] for i in self.rng.permutation(len(text["options"]))]
            prefix, asked = self.split(multiple_choice(text["question"], options))
            letter = self.tok.convert_tokens_to_ids(chr(65 + options.index(text["answer"])))
            yield prefix, asked, [-100] * (len(asked) - 1) + [letter]
        prefix, asked = self.split(open_ended(text["question"]))
        answer = self.tok(text["sentence"], add_special_tokens=False).input_ids + [self.tok.eos_token_id]
        yield prefix, asked + answer[:-1], [-100] * (len(asked) - 1) + answer

    def batch(self, texts: list[dict], choices: int = 3):
        """Token ids (video places hold `<image>`), allowed attention, positions and next-token labels."""
        rows = []
        for text in texts:
            row, label, owner, place = [], [], [], []
            for number, (prefix, asked, wanted) in enumerate(self.segments(text, choices), start=1):
                if not row:
                    row = prefix + [self.image] * VIDEO_TOKENS
                    label, owner, place = [-100] * len(row), [0] * len(row), list(range(len(row)))
                    shared = len(row)
                row, label = row + asked, label + wanted
                owner += [number] * len(asked)
                place += list(range(shared, shared + len(asked)))
            rows.append((row, label, owner, place))
        length = max(len(row) for row, *_ in rows)
        length = -(-length // 32) * 32
        fill = (self.tok.pad_token_id, -100, -1, 0)
        ids, labels, owners, places = (
            torch.tensor([row[k] + [fill[k]] * (length - len(row[k])) for row in rows]) for k in range(4)
        )
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        same = (owners[:, :, None] == owners[:, None, :]) | (owners[:, None, :] == 0)
        return ids, (causal & same)[:, None], places, labels
