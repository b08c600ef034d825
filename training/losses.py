"""The losses of the kinds of batches: recall of letters, captions in place of video, clips, and flags alone."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

import decoder
from auxiliary import EVENT_LAYER, OPTION_LAYER, Heads, events
from curriculum import Recall
from packing import COUNT, Packer, frame_ends
from pools import Pools
from tasks import IDENTITY, TASKS
from tracking import FLAG_LAYERS, Flags

RECALLS, CAPTIONS = 16, 8


def letter_loss(net, packer, segments, made):
    at = made["last"][..., None, None].expand(*made["last"].shape, 1, segments.shape[-1])
    logits = net.lm_head(segments.gather(2, at)[:, :, 0])
    wanted = torch.tensor(packer.letters)[made["true"]]
    right = logits.argmax(-1) == wanted
    return F.cross_entropy(logits.flatten(0, 1), wanted.flatten()), right.float().mean(1)


class Tally:
    """Means of what was said since the last look."""

    def __init__(self):
        self.sums = {}

    def add(self, name: str, value: float, number: float = 1) -> None:
        total, count = self.sums.get(name, (0.0, 0.0))
        self.sums[name] = total + value * number, count + number

    def take(self) -> dict[str, float]:
        means = {name: round(total / count, 4) for name, (total, count) in self.sums.items()}
        self.sums.clear()
        return means


class Losses:
    """`of(kind, aux, flag)` draws a batch of that kind; `aux` and `flag` weigh the auxiliary losses."""

    def __init__(self, net, tok, plan: dict, pools: list[str], seed: int, run=decoder.compiled):
        self.net, self.plan, self.data = net, plan, Pools(pools)
        self.decode = partial(decoder.decode, net, run=run)
        self.packer, self.recall, self.rng = Packer(tok, seed), Recall(tok, seed), np.random.default_rng(seed)
        width = net.config.text_config.hidden_size
        self.heads, self.flags, self.tally = Heads(width), Flags(width), Tally()
        self.share = self.data.weights(plan.get("weights"))
        self.followed = self.data.weights({task: 1.0 for task in IDENTITY}) if "flags" in plan["shares"] else None
        start = self.packer.start
        self.start = torch.cat([start[:1], start[-plan.get("system", len(start)) :]])

    def of(self, kind: str, aux: float, flag: float) -> torch.Tensor:
        return {"recall": self.recalls, "text": self.captions, "clips": self.clips, "flags": self.following}[kind](aux, flag)

    def rows(self, number: int, share) -> np.ndarray:
        return self.rng.choice(len(self.data.texts), number, replace=False, p=share)

    def prefix(self, rows) -> torch.Tensor:
        start = self.net.get_input_embeddings()(self.start)
        return torch.cat([start.expand(len(rows), -1, -1), self.data.video(rows)], 1)

    def recalls(self, aux: float, flag: float) -> torch.Tensor:
        ids, labels = self.recall.batch("d", RECALLS)
        hidden, _, _ = self.decode(self.net.get_input_embeddings()(ids))
        at = labels >= 0
        logits = self.net.lm_head(hidden[at])
        self.tally.add("recall", (logits.argmax(-1) == labels[at]).float().mean().item())
        return F.cross_entropy(logits, labels[at])

    def captions(self, aux: float, flag: float) -> torch.Tensor:
        texts, embed = [self.data.texts[i] for i in self.rows(CAPTIONS, self.share)], self.net.get_input_embeddings()
        ids, made = self.packer.captions(texts, self.recall, 6)
        _, (choice,), seen = self.decode(embed(ids), [embed(made["choice"])], (OPTION_LAYER,))
        loss, right = letter_loss(self.net, self.packer, choice, made)
        self.tally.add("text", right.mean().item())
        return loss + aux * self.heads.option_loss(seen[OPTION_LAYER][1][0], made)

    def flag_loss(self, seen: dict, rows) -> torch.Tensor:
        total, right = self.flags.loss(seen, torch.tensor(self.data.objects[rows]), self.plan.get("flags_from", 0))
        self.tally.add("flag loss", total.item() / len(FLAG_LAYERS))
        for layer, frames in zip(FLAG_LAYERS, right.tolist()):
            for frame in (0, 1, 3, 7):
                self.tally.add(f"L{layer} f{frame}", frames[frame], len(rows))
        return total

    def following(self, aux: float, flag: float) -> torch.Tensor:
        """Flags alone: no question, and only the layers up to the last watched one."""
        rows = self.rows(self.plan["flag_clips"], self.followed)
        _, _, seen = self.decode(self.prefix(rows), watch=FLAG_LAYERS, layers=max(FLAG_LAYERS) + 1)
        return flag * self.flag_loss({layer: prefix for layer, (prefix, _) in seen.items()}, rows)

    def clips(self, aux: float, flag: float) -> torch.Tensor:
        plan, rows, embed = self.plan, self.rows(self.plan["clips"], self.share), self.net.get_input_embeddings()
        rows = rows[np.argsort(~np.isin(self.data.tasks[rows], [TASKS.index(t) for t in IDENTITY]), kind="stable")]
        texts = [self.data.texts[i] for i in rows]
        made = self.packer.clips(texts, plan["choices"], plan["words"])
        parts = [embed(made["choice"]), embed(made["words"])]
        watch = {*((EVENT_LAYER, OPTION_LAYER) if aux > 0 else ()), *(FLAG_LAYERS if flag > 0 else ())}
        prefix, out, seen = self.decode(self.prefix(rows), parts, watch)
        loss, right = letter_loss(self.net, self.packer, out[0], made)
        self.tally.add("letter", loss.item())
        for text, value in zip(texts, right.tolist()):
            self.tally.add(text["task"], value)
        loss = loss + self.words(out[1], made, texts)
        if plan.get("moments"):
            labels = self.packer.moments(texts)
            logits = self.net.lm_head(frame_ends(prefix))
            asked = labels >= 0
            self.tally.add("moments", (logits.argmax(-1) == labels)[asked].float().mean().item())
            loss = loss + plan["moments"] * F.cross_entropy(logits[asked], labels[asked])
        number = sum(text["task"] in IDENTITY for text in texts)  # they come first
        if flag > 0 and number:
            loss = loss + flag * self.flag_loss({at: seen[at][0][:number] for at in FLAG_LAYERS}, rows[:number])
        if aux > 0:
            labels = torch.tensor(events(texts, self.data.objects[rows], self.data.scenes[rows]))
            event = self.heads.event_loss(seen[EVENT_LAYER][0], labels)
            option = self.heads.option_loss(seen[OPTION_LAYER][1][0], made)
            self.tally.add("event loss", event.item())
            self.tally.add("option loss", option.item())
            loss = loss + aux * (event + option)
        return loss

    def words(self, segments: torch.Tensor, made: dict, texts: list[dict]) -> torch.Tensor:
        """Answers in words; and once more the number itself, which is one word of many in a counting clip's answers."""
        chosen = made["labels"] >= 0
        logits = self.net.lm_head(segments[chosen])
        self.tally.add("words", (logits.argmax(-1) == made["labels"][chosen]).float().mean().item())
        loss = F.cross_entropy(logits, made["labels"][chosen])
        counting = [n for n, text in enumerate(texts) if text["task"] == COUNT]
        if not counting:
            return loss
        labels = made["labels"][counting, :-1].flatten(0, 1)
        places, first = torch.arange(len(labels)), (labels >= 0).int().argmax(1)
        numbers = self.net.lm_head(segments[counting, :-1].flatten(0, 1)[places, first])
        self.tally.add("number", (numbers.argmax(-1) == labels[places, first]).float().mean().item())
        return loss + F.cross_entropy(numbers, labels[places, first])
