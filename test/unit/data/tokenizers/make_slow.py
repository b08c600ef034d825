"""Remakes the fixtures of tokenizers without tokenizer.json: python make_slow.py.

Needs transformers 5.18, sentencepiece and tokenizers. One folder per design in slow/, as a checkpoint
saved by a slow class has it, with expected.json: ids and ranges of slow/texts.json.

Since transformers 5 has no slow class for LLaMA, its rules are stated here (`slow_llama`), as they
were in transformers 4.45 (`LlamaTokenizer.tokenize` and `_tokenize`; `PreTrainedTokenizer.tokenize`
for added tokens), over the `sentencepiece` package itself. Ranges are those of the fast tokenizer that
transformers' own `LlamaConverter` makes of the model, wherever its ids are the same; null elsewhere.
"""
import io
import json
import os
import random
import shutil
from pathlib import Path
from types import SimpleNamespace

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_OFFLINE"] = "1"

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as pb2
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, normalizers, trainers, Regex
from transformers import LlamaTokenizer, Qwen2Tokenizer
from transformers.convert_slow_tokenizer import LlamaConverter
from transformers.tokenization_python import Trie
from transformers.tokenization_utils_base import generate_merges

HERE = Path(__file__).parent / "slow"
COUNT = 600
WORDS = (
    "the a of to and in is it ball box moves left right up down which way did does red blue green circle square "
    "video frame question option answer best only give carefully watch pay attention cause sequence events detail "
    "movement objects action pose persons based observations select accurately addresses user assistant system "
    "happens before after first last how many times person picks puts opens closes door book table water cup"
).split()
CJK = ["红色的圆往哪里走", "视频中发生了什么", "猫が走る", "한국어 문장", "選択肢を選べ"]
PIECES = [
    *WORDS[:40], *CJK, "é", "e\u0301", "ß", "İ", "😀", "👍🏽", "👩‍👧", "🇫🇷", "½", "7²", "12", "345", "\u00a0", "\u3000",
    "\t", "\n", "\n\n", "\r\n", " ", "  ", "   ", "     ", ".", ",", "?", "!", "(A)", "(", ")", ":", "'s", "'LL", "I'M", "-", "_",
    "▁", "▁▁", "<", ">", "<0x0A>", "ا", "क्षि", "\ufeff", "\u200b", "\U00020000", "ﬁ", "aaaa", "Ω", "ABC", "x_y", "//",
]


def corpus():
    rng = random.Random(1)
    lines = []
    for _ in range(3000):
        words = [rng.choice(WORDS) for _ in range(rng.randint(4, 12))]
        words[0] = words[0].capitalize()
        lines.append(" ".join(words) + rng.choice([".", "?", ":", " (A) up", "'s", "  "]))
        if rng.random() < 0.1:
            lines.append(rng.choice(CJK))
    return lines


def texts(added):
    rng = random.Random(2)
    fixed = ["", " ", "  ", "a", " a", "  a", "a ", "a  ", "\n", "\n a", "▁", "▁a", " ▁a", *added]
    fixed += [f"a{t}b" for t in added] + [f"a {t} b" for t in added] + [f"{t} a" for t in added]
    fixed += [f" {t}" for t in added] + [f"{a}{b}" for a in added[:4] for b in added[:4]]
    fixed += [" ".join(WORDS[:30]), "Watch the video.\n USER: <image>\n USER: Question: What  happens?\nOptions:\n(A) Up\n(B) Down ASSISTANT:Best option:("]
    out = list(fixed)
    while len(out) < COUNT:
        parts = []
        for _ in range(rng.randint(1, 9)):
            if rng.random() < 0.15 and added:
                parts.append(rng.choice(added))
            elif rng.random() < 0.1:
                parts.append(chr(rng.choice([rng.randint(32, 0x2FF), rng.randint(0x400, 0xD7FF), rng.randint(0x1F300, 0x1F6FF)])))
            else:
                parts.append(rng.choice(PIECES) + rng.choice(["", "", " "]))
        out.append("".join(parts))
    return out


def train(**more):
    made = io.BytesIO()
    options = dict(
        sentence_iterator=iter(corpus()), model_writer=made, model_type="bpe", vocab_size=700, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=True, split_digits=True,
        allow_whitespace_only_pieces=True, character_coverage=0.998, hard_vocab_limit=False, num_threads=1,
        unk_id=0, bos_id=1, eos_id=2, pad_id=-1, minloglevel=2,
    )
    options.update(more)
    sentencepiece.SentencePieceTrainer.train(**options)
    proto = pb2.ModelProto.FromString(made.getvalue())
    proto.trainer_spec.ClearField("input")
    proto.ClearField("self_test_data")
    return proto.SerializeToString()


def utf16(text, at):
    return len(text[:at].encode("utf-16-le")) // 2


class Slow:
    """What transformers 4.45's slow class holds: the added tokens and the special ones among them."""

    def __init__(self, model, added, special, legacy, internlm2=False, add_prefix_space=True):
        """added: list of (id, AddedToken); special: texts of the named and additional special tokens."""
        self.legacy, self.internlm2, self.add_prefix_space = legacy, internlm2, add_prefix_space
        self.sp = sentencepiece.SentencePieceProcessor(model_proto=model)
        if not legacy and not internlm2:
            proto = pb2.ModelProto.FromString(model)
            proto.normalizer_spec.add_dummy_prefix = False
            self.sp = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
        self.added = {str(token): (index, token) for index, token in added}
        self.special = set(special)
        self.trie = Trie()
        for text in self.added:
            self.trie.add(text)

    def pieces(self, text):
        if self.legacy or self.internlm2 or not text.startswith(("▁", " ")):
            return self.sp.encode(text, out_type=str)
        return self.sp.encode("<unk>" + text, out_type=str)[len(self.sp.encode("<unk>")):]

    def sections(self, text):
        tokens = self.trie.split(text)
        for i, token in enumerate(tokens):
            if token not in self.added:
                continue
            known = self.added[token][1]
            if known.rstrip and i + 1 < len(tokens):
                tokens[i + 1] = tokens[i + 1].lstrip()
            if known.lstrip and i > 0:
                tokens[i - 1] = tokens[i - 1].rstrip()
        return [t for t in tokens if t]

    def ids(self, text):
        if self.legacy or self.internlm2 or text == "":
            found = self.raw(text)
        else:
            text = text.replace("▁", " ")
            found = self.raw("▁" + text if self.add_prefix_space else text)
            if len(found) > 1 and found[0] == "▁" and found[1] in self.special:
                found = found[1:]
        return [self.added[t][0] if t in self.added else self.sp.piece_to_id(t) for t in found]

    def raw(self, text):
        out = []
        for section in self.sections(text):
            out += [section] if section in self.added else self.pieces(section)
        return out


def fast_of(model, slow):
    """The fast tokenizer that transformers' `LlamaConverter` makes of the slow class: its own rules for
    white space, over the pieces and the merges that transformers takes from the model."""
    proto = pb2.ModelProto.FromString(model)
    vocab = {piece.piece: i for i, piece in enumerate(proto.pieces)}
    merges = generate_merges(vocab, {piece.piece: piece.score for piece in proto.pieces})
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=proto.trainer_spec.byte_fallback))
    converter = object.__new__(LlamaConverter)
    converter.original_tokenizer = SimpleNamespace(legacy=slow.legacy or slow.internlm2, add_prefix_space=slow.add_prefix_space)
    for part, made in [("normalizer", converter.normalizer(proto)), ("pre_tokenizer", converter.pre_tokenizer("▁", slow.add_prefix_space))]:
        if made is not None:
            setattr(tokenizer, part, made)
    for _, known in sorted(slow.added.values(), key=lambda v: v[0]):
        tokenizer.add_tokens([AddedToken(str(known), lstrip=known.lstrip, rstrip=known.rstrip, normalized=False, special=known.special)])
    assert all(tokenizer.token_to_id(t) == index for t, (index, _) in slow.added.items()), "ids of added tokens"
    return tokenizer


def token(text, special=True, **more):
    return AddedToken(text, special=special, normalized=False, **more)


def entry(known):
    return {"content": str(known), "lstrip": known.lstrip, "normalized": known.normalized, "rstrip": known.rstrip, "single_word": False, "special": known.special}


def write(name, files, model=None):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file, value in files.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1) + "\n"
        (folder / file).write_text(text, encoding="utf-8")
    if model is not None:
        (folder / "tokenizer.model").write_bytes(model)
    return folder


def expect(folder, slow, model, all_texts, before=(1,)):
    fast = fast_of(model, slow)
    cases, same = [], 0
    for text in all_texts:
        ids = slow.ids(text)
        made = fast.encode(text, add_special_tokens=False)
        offsets = None
        if made.ids == ids:
            same += 1
            offsets = [utf16(text, at) for pair in made.offsets for at in pair]
        cases.append([[*before, *ids], offsets])
    (folder / "expected.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    v5 = LlamaTokenizer.from_pretrained(folder)
    agrees = sum(v5(text, add_special_tokens=False).input_ids == case[0][len(before):] for text, case in zip(all_texts, cases))
    print(f"{folder.name}: {len(cases)} texts, ranges of {same}; transformers 5's class has the same ids for {agrees}")


def expect_fast(folder, fast, all_texts):
    v5 = LlamaTokenizer.from_pretrained(folder)
    cases = []
    for text in all_texts:
        made = fast.encode(text, add_special_tokens=False)
        assert v5(text, add_special_tokens=False).input_ids == made.ids, text
        cases.append([[1, *made.ids], [utf16(text, at) for pair in made.offsets for at in pair]])
    (folder / "expected.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    print(f"{folder.name}: {len(cases)} texts, all as transformers 5's class")


NAMED = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
BASE = [(0, token("<unk>")), (1, token("<s>")), (2, token("</s>"))]


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    model = train()
    size = sentencepiece.SentencePieceProcessor(model_proto=model).get_piece_size()
    # Phi-3's way, as Mini-InternVL-4B and InternVL2-4B keep it: added tokens after the vocabulary.
    phi = ["<|endoftext|>", "<|assistant|>", "<|end|>", "<|user|>", "<img>", "</img>", "<IMG_CONTEXT>", "<box>"]
    rstrips = {"<|assistant|>", "<|user|>", "<|end|>"}
    added = BASE + [(size + i, token(t, rstrip=t in rstrips)) for i, t in enumerate(phi)]
    added.append((size + len(phi), token("<plain>", special=False)))
    shown = [*phi, "<plain>", "<s>", "</s>", "<unk>", "<image>"]
    all_texts = texts(shown)
    (HERE / "texts.json").write_text(json.dumps(all_texts, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    images = ["<img>", "</img>", "<IMG_CONTEXT>", "<box>"]
    special = [*NAMED.values(), *images]
    config = {**NAMED, "add_bos_token": True, "add_eos_token": False, "additional_special_tokens": images,
              "added_tokens_decoder": {str(i): entry(t) for i, t in added}, "tokenizer_class": "LlamaTokenizer", "sp_model_kwargs": {}}
    for name, legacy in [("phi3", False), ("llama-legacy", True)]:
        folder = write(name, {"tokenizer_config.json": {**config, "legacy": legacy}}, model)
        expect(folder, Slow(model, added, special, legacy), model, all_texts)
    # The same saved by the fast class, without its tokenizer.json.
    folder = write("phi3-fast", {"tokenizer_config.json": {**config, "legacy": False, "tokenizer_class": "LlamaTokenizerFast"}}, model)
    expect_fast(folder, fast_of(model, Slow(model, added, special, False)), all_texts)
    # The older layout: added_tokens.json and special_tokens_map.json, the class's default for legacy.
    listed = [(i, AddedToken(str(t), normalized=str(t) not in special, special=str(t) in special)) for i, t in added[3:]]
    files = {
        "tokenizer_config.json": {"tokenizer_class": "InternLM2Tokenizer", "add_bos_token": True, "add_eos_token": False},
        "special_tokens_map.json": {**NAMED, "additional_special_tokens": images},
        "added_tokens.json": {str(t): i for i, t in listed},
    }
    folder = write("internlm2", files, model)
    expect(folder, Slow(model, BASE + listed, special, True, internlm2=True), model, all_texts)
    # No byte pieces, symbols of the model's own, spaces made one, and an added token that no file gives an id.
    odd = train(byte_fallback=False, remove_extra_whitespaces=True, user_defined_symbols=["<sep>", "abc", "ab"], vocab_size=500)
    size = sentencepiece.SentencePieceProcessor(model_proto=odd).get_piece_size()
    files = {"tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "legacy": True, "add_bos_token": False, "pad_token": "<pad>", **NAMED}}
    folder = write("symbols", files, odd)
    more = BASE + [(size, token("<pad>"))]
    slow = Slow(odd, more, [*NAMED.values(), "<pad>"], True)
    (folder / "expected.json").write_text(json.dumps([[slow.ids(t.replace("<box>", "<sep>")), None] for t in all_texts], separators=(",", ":")) + "\n")
    print("symbols: ids of sentencepiece alone")
    qwen2(all_texts)


def qwen2(all_texts):
    pattern = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.NFC()
    learner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    learner.train_from_iterator(corpus(), trainer)
    model = json.loads(learner.to_str())["model"]
    merges = "#version: 0.2\n" + "\n".join(" ".join(m) for m in model["merges"]) + "\n"
    size = len(model["vocab"])
    names = ["<|endoftext|>", "<|assistant|>", "<|end|>", "<|user|>", "<img>", "</img>", "<IMG_CONTEXT>", "<box>", "<s>"]
    added = [(size + i, token(t)) for i, t in enumerate(names)] + [(size + len(names), token("<plain>", special=False))]
    config = {"tokenizer_class": "Qwen2Tokenizer", "add_prefix_space": False, "bos_token": None, "eos_token": "<|end|>", "pad_token": "<|endoftext|>", "unk_token": None,
              "additional_special_tokens": names[1:], "added_tokens_decoder": {str(i): entry(t) for i, t in added}, "errors": "replace", "split_special_tokens": False}
    files = {"tokenizer_config.json": config, "vocab.json": json.dumps(model["vocab"], ensure_ascii=False), "merges.txt": merges}
    folder = write("qwen2", files)
    loaded = Qwen2Tokenizer.from_pretrained(folder)
    loaded.backend_tokenizer.pre_tokenizer[1].trim_offsets = False
    cases = []
    for text in all_texts:
        made = loaded.backend_tokenizer.encode(text, add_special_tokens=True)
        assert made.ids == loaded(text).input_ids
        cases.append([made.ids, [utf16(text, at) for pair in made.offsets for at in pair]])
    (folder / "expected.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    print(f"qwen2: {len(cases)} texts")


if __name__ == "__main__":
    main()
