"""What intervened runs must give: sweeps of the four targets, pathways, and single points of every kind."""
from __future__ import annotations

import torch

from cuts import additive, causal, cut_edges, pathway_blocks, target_series, window_layers
from groups import spans
from reference import Change, Prompt, Reference, Run


def figures(run: Run, base: int, truth: int) -> list[float]:
    p = run.probabilities
    return [float(p[base]), float(p[truth]), int(p.argmax())]


def sweeps(ref: Reference, prompt: Prompt, clean: Run, truth: int) -> tuple[dict[str, torch.Tensor], dict]:
    """Per style (and window, where it matters): new scores [series, L] of the base answer and of the truth."""
    size, layers = len(prompt.embeddings), ref.layers
    base = int(clean.logits[-1].argmax())
    series = target_series(prompt.groups)
    flat = [(name, additive(cut_edges(causal(size), pairs)))
            for cuts in series.values() for name, pairs in cuts.items()]
    tensors, memo = {}, {}
    for style in ref.spec["styles"]:
        windowed = style in ("center", "inverse")
        for width in ref.spec["windows"] if windowed else ref.spec["windows"][:1]:
            key = f"sweep.{style}.{width}" if windowed else f"sweep.{style}"
            scores = torch.zeros(len(flat), layers, 2)
            answers = torch.zeros(len(flat), layers, dtype=torch.int32)
            whole = torch.zeros(len(flat), layers, clean.logits.shape[1])
            for s, (name, mask) in enumerate(flat):
                for center in range(layers):
                    at = tuple(window_layers(center, width, style, layers))
                    if (name, at) not in memo:
                        memo[name, at] = ref.run(prompt.embeddings, {i: mask for i in at}).probabilities
                    p = memo[name, at]
                    scores[s, center] = p[[base, truth]]
                    answers[s, center] = p.argmax()
                    whole[s, center] = p
            old = clean.probabilities[[base, truth]]
            tensors |= {f"{key}.new_score": scores[..., 0], f"{key}.new_score_gt": scores[..., 1],
                        f"{key}.relative_diff": 100 * (scores[..., 0] - old[0]) / old[0],
                        f"{key}.relative_diff_gt": 100 * (scores[..., 1] - old[1]) / old[1],
                        f"{key}.new_answer": answers}
            if ref.spec["details"] and key == f"sweep.center.{ref.spec['windows'][0]}":
                tensors[f"{key}.probabilities"] = whole
    names = {target: list(cuts) for target, cuts in series.items()}
    return tensors, {"sweeps": {"targets": names, "windows": ref.spec["windows"], "styles": ref.spec["styles"]}}


def pathways(ref: Reference, prompt: Prompt, truth: int, base: int) -> tuple[dict[str, torch.Tensor], dict]:
    """The pathway alone, and as many edges cut at random in each layer, video ... last."""
    size, layers, keep = len(prompt.embeddings), ref.layers, ref.spec["pathways"]
    allowed = [cut_edges(causal(size), pairs) & causal(size)
               for pairs in pathway_blocks(prompt.groups, keep, layers)]
    edges = layers * size * (size + 1) // 2
    left = sum(int(a.sum()) for a in allowed)
    run = ref.run(prompt.embeddings, {i: additive(a) for i, a in enumerate(allowed)})
    tensors = {"pathway.probabilities": run.probabilities}
    facts = {"keep": keep, "edgesLeft": left / edges, "edgesLeftCount": left, "edges": edges,
             "pathway": figures(run, base, truth)}
    if ref.spec["random_control"]:
        generator = torch.Generator().manual_seed(ref.spec["seed"])
        start = prompt.groups["video"][0]
        pool = [q * size + k for q in range(start, size) for k in range(start, q + 1)]
        drawn, masks = [], {}
        for layer, mine in enumerate(allowed):
            count = int(causal(size).sum() - mine.sum())
            picked = torch.tensor(pool)[torch.randperm(len(pool), generator=generator)[:count]].sort().values
            free = causal(size)
            free.view(-1)[picked] = False
            masks[layer] = additive(free)
            drawn.append(picked.int())
        random_run = ref.run(prompt.embeddings, masks)
        tensors["random.edges"] = torch.cat(drawn)
        tensors["random.probabilities"] = random_run.probabilities
        facts |= {"random": figures(random_run, base, truth), "randomEdgesPerLayer": [len(d) for d in drawn]}
    return tensors, {"pathways": facts}


def points(ref: Reference, prompt: Prompt, clean: Run, truth: int, other: Run) -> tuple[dict[str, torch.Tensor], dict]:
    """Single branches of every kind; `other` is the run of the reversed clip, to patch from."""
    size, heads, last_layer = len(prompt.embeddings), clean.attention.shape[1], ref.layers - 1
    base = int(clean.logits[-1].argmax())
    told, probabilities, changed, at_last, vectors, looks = [], [], [], [], {}, {}
    for name, blocks, changes in plan(prompt.groups, size, heads, ref.layers, clean, other):
        allowed = {}
        for block in blocks:
            for layer in block["layers"]:
                mine = allowed.setdefault(layer, causal(size).expand(heads, -1, -1).clone())
                for head in range(heads) if block["heads"] is None else block["heads"]:
                    cut_edges(mine[head], [(block["queries"], block["keys"])])
        run = ref.run(prompt.embeddings, {i: additive(a) for i, a in allowed.items()}, changes)
        probabilities.append(run.probabilities)
        changed.append((run.residual != clean.residual).any(-1))
        at_last.append(run.hidden[:, -1])
        if ref.spec["details"] and name in ("last-sees-nothing", "several-at-once"):
            looks[f"points.{name}.attention_last"] = run.attention[:, :, -1]
        residual = []
        for i, change in enumerate(changes):
            key = f"points.{name}.vectors.{i}"
            vectors[key] = change.vectors
            residual.append({"kind": "add" if change.add else "set", "layers": change.layers,
                             "positions": spans(change.positions), "vectors": key})
        for block in blocks:
            block |= {"queries": spans(block["queries"]), "keys": spans(block["keys"])}
        told.append({"name": name, "blocks": blocks, "residual": residual, "figures": figures(run, base, truth)})
    assert all(not c.all() for c in changed) and last_layer > 0
    tensors = {"points.probabilities": torch.stack(probabilities), "points.changed": torch.stack(changed).byte(),
               "points.hidden_last": torch.stack(at_last), **vectors, **looks}
    return tensors, {"points": told}


def plan(groups: dict, size: int, heads: int, layers: int, clean: Run, other: Run):
    """(name, blocks, changes of the residual stream) of every point."""
    video, question, last = groups["video"], groups["question"], groups["last"]
    word = next(v for k, v in groups.items() if k.startswith("keyword:"))
    frames = [v for k, v in groups.items() if k.startswith("frame:")]
    every, late = list(range(layers)), list(range(1, layers))
    width = clean.residual.shape[-1]

    def block(queries, keys, at, of=None):
        return {"queries": queries, "keys": keys, "layers": at, "heads": of}

    steady = torch.Generator().manual_seed(5)
    nudge = torch.randn(1, width, generator=steady) * clean.residual[0].std()
    yield "last-sees-nothing", [block(last, list(range(size)), [1, 2])], []
    yield "first-sees-nothing", [block([0], [0], [0])], []
    # Uniform over all positions, later ones included: what was changed after it reaches back.
    yield "first-sees-nothing-late", [block(frames[1], frames[0], [0]), block([0], [0], [layers - 2])], []
    yield "word-sees-nothing", [block(word[:1], list(range(size)), [0, 1])], []
    yield "one-head", [block(last, video, every, [1])], []
    yield "two-heads", [block(question, video, late, [0, heads - 1])], []
    yield "frame-pair", [block(frames[-1], frames[0], every[:-1])], []
    yield "keyword", [block(last, word, late), block(word, video, every[:2])], []
    yield "several-at-once", [block(question, video, every[:2]), block(last, question, late),
                              block(last, video, [0, layers - 1], [0]), block(frames[1], frames[0], [1])], []
    yield "zero-frame", [], [Change([0], frames[1], torch.zeros(len(frames[1]), width))]
    yield "zero-input-word", [], [Change([-1], word, torch.zeros(len(word), width))]
    yield "patch-frame", [], [Change([1], frames[0], other.residual[1][frames[0]])]
    yield "add-at-last", [], [Change([0, layers - 1], last, nudge, add=True)]
    yield "zero-word-and-cut", [block(last, question, late)], [
        Change([0], word, torch.zeros(len(word), width)), Change([1], last, 0.5 * nudge, add=True)]
