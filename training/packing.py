"""Packs several questions behind one shared prefix (the system text and the video, or a caption in words)."""

import numpy as np
import torch

from model import FRAMES, VIDEO_TOKENS
from prompts import multiple_choice, open_ended

CHOICE, WORDS, CAPTION, MOST = 56, 24, 16, 4  # lengths of the parts, and the most options
COUNT = "object count"
STORY = ["What happens in the video?", "Describe the video."]


def counted(text: dict, number: int) -> dict:
    """A counting clip shows two kinds of objects: even numbers ask for the clip's own kind, odd ones for the other."""
    kinds = text["story"].split(" then ")
    own = next(k for k in kinds if k in text["sentence"])
    kind = next((k for k in kinds if k != own), own) if number % 2 else own
    count = kinds.count(kind)
    return {"question": text["question"].replace(own, kind), "options": text["options"], "answer": str(count),
            "sentence": f"{count} {kind}{'s' if count > 1 else ''}", "story": text["story"]}


def frame_ends(prefix: torch.Tensor) -> torch.Tensor:
    """The last token of each frame of a prefix that ends with the video."""
    return prefix[:, -VIDEO_TOKENS:].unflatten(1, (FRAMES, -1))[:, :, -1]


class Packer:
    def __init__(self, tokenizer, seed: int):
        self.tok, self.rng, self.known = tokenizer, np.random.default_rng(seed), {}
        self.image, self.bos = tokenizer.convert_tokens_to_ids("<image>"), tokenizer.bos_token_id
        self.letters = tokenizer.convert_tokens_to_ids(list("ABCD"))
        self.start = torch.tensor(self.ids(multiple_choice("?", ["?"]).split("<image>")[0]))
        self.start = torch.cat([torch.tensor([self.bos]), self.start])
        # Whole words and punctuation are tokens of their own here, so the pieces' tokens are the whole prompt's.
        whole = tokenizer(multiple_choice("What is it?", ["Up", "from snow to beach"])).input_ids
        ids, *_ = self.choice("What is it?", ["Up", "from snow to beach"], "Up", shuffle=False)
        assert whole == [*self.start.tolist(), self.image, *ids]

    def ids(self, text: str) -> list[int]:
        if text not in self.known:
            self.known[text] = self.tok(text, add_special_tokens=False).input_ids
        return self.known[text]

    def choice(self, question: str, options: list[str], answer: str, shuffle: bool = True):
        """A multiple-choice question: ids, last token of every option, and the number of the true one."""
        if shuffle:
            options = [options[i] for i in self.rng.permutation(len(options))]
        after = multiple_choice("Q?", ["X"]).split("<image>")[1]
        row = [*self.ids(after.split("Q?")[0]), *self.ids(question), *self.ids("Options:")]
        ends = []
        for letter, option in zip("ABCD", options):
            row += [*self.ids(f"({letter})"), *self.ids(option)]
            ends.append(len(row) - 1)
        return row + self.ids(after.split("(A) X")[1]), ends, options.index(answer)

    def choices(self, questions: list[list[tuple]]) -> dict:
        """Rows of (question, options, answer) to padded tensors."""
        shape = (len(questions), len(questions[0]))
        ids = np.full((*shape, CHOICE), self.tok.pad_token_id)
        ends, last, true = np.full((*shape, MOST), -1), np.zeros(shape, int), np.zeros(shape, int)
        for b, row in enumerate(questions):
            for n, asked in enumerate(row):
                tokens, stops, right = self.choice(*asked)
                ids[b, n, : len(tokens)], ends[b, n, : len(stops)] = tokens, stops
                last[b, n], true[b, n] = len(tokens) - 1, right
        return {name: torch.tensor(value) for name, value in
                {"choice": ids, "ends": ends, "last": last, "true": true}.items()}

    def words(self, asked: list[list[tuple[str, str]]]) -> dict:
        """Rows of (question, answer in words) to padded ids and next-token labels."""
        ids = np.full((len(asked), len(asked[0]), WORDS), self.tok.pad_token_id)
        labels = np.full(ids.shape, -100)
        for b, row in enumerate(asked):
            for n, (question, answer) in enumerate(row):
                before = self.ids(open_ended(question).split("<image>")[1])
                after = [*self.ids(answer), self.tok.eos_token_id]
                ids[b, n, : len(before) + len(after) - 1] = [*before, *after[:-1]]
                labels[b, n, len(before) - 1 : len(before) + len(after) - 1] = after
        return {"words": torch.tensor(ids), "labels": torch.tensor(labels)}

    def clips(self, texts: list[dict], choices: int, words: int) -> dict:
        kinds = self.rng.integers(2, size=len(texts))
        of = lambda n, b: counted(texts[b], n + kinds[b]) if texts[b]["task"] == COUNT else texts[b]
        asked = [[of(n, b) for n in range(choices)] for b in range(len(texts))]
        made = self.choices([[(t["question"], t["options"], t["answer"]) for t in row] for row in asked])
        if words:
            spoken = [[of(n, b) for n in range(words - 1)] for b in range(len(texts))]
            made |= self.words([[*((t["question"], t["sentence"]) for t in row), (self.story(), row[0]["story"])]
                                for row in spoken])
        return made

    def moments(self, texts: list[dict]) -> torch.Tensor:
        """(clips, FRAMES) the word that a caption after each frame would begin with; the first frame has none."""
        ids = [self.tok.convert_tokens_to_ids(text["moments"]) for text in texts]
        labels = torch.tensor(ids)
        labels[:, 0] = -100
        return labels

    def story(self) -> str:
        return STORY[self.rng.integers(len(STORY))]

    def captions(self, texts: list[dict], recall, choices: int) -> tuple[torch.Tensor, dict]:
        """The answer stands in words where the video would: the task's own sentence, or a random phrase."""
        rows, asked = np.full((len(texts), CAPTION), self.tok.pad_token_id), []
        for b, text in enumerate(texts):
            phrase, question = self.ids(text["sentence"]), (text["question"], text["options"], text["answer"])
            questions = [question] * choices
            if self.rng.random() < 0.4:
                count, words = int(self.rng.integers(2, 5)), int(self.rng.integers(1, 5))
                phrases = recall.options(count, words)
                questions = []
                for _ in range(choices):
                    names = [" ".join(map(str, p)) for p in phrases]
                    for name, ids in zip(names, phrases):
                        self.known[name] = ids
                    questions.append(("What happens in the video?", names, names[0]))
                phrase = phrases[0]
            phrase = phrase[: CAPTION - 1]
            at = 1 + int(self.rng.integers(0, CAPTION - len(phrase)))
            rows[b, 0] = self.bos
            rows[b, at : at + len(phrase)] = phrase
            asked.append(questions)
            if len(self.known) > 50_000:
                self.known.clear()
        return torch.tensor(rows), self.choices(asked)
