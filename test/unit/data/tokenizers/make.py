"""Remakes the tokenizer fixtures: python make.py. Needs transformers and tokenizers; nothing else does.

One folder per design of tokenizer, tiny and trained on the texts below, as a checkpoint has it
(tokenizer.json, tokenizer_config.json), with expected.json: what transformers itself makes of every
text: ids, the range of characters of every token (in UTF-16 code units, as JavaScript counts), and
the ids decoded again. Offsets are compared untrimmed ("trim_offsets" off): a token of spaces keeps them.
"""
from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_OFFLINE"] = "1"

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)
from transformers import AutoTokenizer

HERE = Path(__file__).parent
SPECIALS = ["<unk>", "<s>", "</s>", "<image>"]
TEXTS = [
    "",
    " ",
    "Which way did the ball move?",
    "Watch the video.\n USER: <image>\n USER: Question: What  happens?\nOptions:\n(A) Up\n(B) Down ASSISTANT:Best option:(",
    "  two leading, two  inner, two trailing  ",
    "\n\nlines\n\n\n  and\tindents\r\n",
    "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m \u00df \u0130I\u0131",
    "cafe\u0301 nai\u0308ve A\u030angstro\u0308m e\u0323\u0302 q\u0323\u0307 a\u0327\u0301 \u00e9\u0323",
    "\u732b\u304c\u8d70\u308b\u3002\u72d7\uff1f the \u732b ran",
    "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab\u1100\u116e\u11a8",
    "ball \U0001f600\U0001f44d\U0001f3fd ball \U0001f469\u200d\U0001f469\u200d\U0001f467\U0001f1eb\U0001f1f7!",
    "<image>Question: directly<image> after",
    "<image> \u00e9<image>",
    "it's the dog's ball, they'll we've I'M 12 345 6\u00bd 7\u00b2",
    "x_y a-b (A) [B] {C} \"quoted\" \u201ccurly\u201d \u2026 \u2014 \u20ac5",
    "\ufb01ne \uff21\uff22 \u2460 \u212b \ufdfa",
    "ba<|end|>  ball <|wide|> ballball\n<|end|>\nball <mark> MARK Mark",
    "\u03a3\u039f\u03a6\u039f\u03a3 \u03a3",
    "word\u00a0nbsp\u3000wide\u200bzero \ufeffbom",
    "</s>the<unk>the<s>",
    "\u4e00\U00020000\U0002f800 \u0915\u093f\u0924\u093e\u092c",
    "\u0301start mark",
    "Table \u2013 left" * 2,
    "aaaa bbbb cccccccccccccccccccccccccccccccc",
]
QWEN_WORDS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
              r"|\s+(?!\S)|\s+")


def learned(vocab_size: int, alphabet: list[str], words: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Pieces and merges of a byte-pair encoding."""
    tokenizer = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, min_frequency=2, initial_alphabet=alphabet,
                                  limit_alphabet=len(alphabet), show_progress=False, max_token_length=6)
    tokenizer.train_from_iterator(words, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), [tuple(m) for m in model["merges"]]


def bpe(kind: str, byte_fallback: bool = False, fuse_unk: bool = False, ignore_merges: bool = False) -> models.BPE:
    text = "\n".join(TEXTS)
    if kind == "bytes":
        split = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN_WORDS), "isolated"),
                                         pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        words = [w for w, _ in split.pre_tokenize_str(text)]
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    else:
        words = text.replace("<image>", " ").replace(" ", " \u2581").split(" ")
        alphabet = [chr(c) for c in range(33, 127)] + ["\u2581", "\n", "\u00e9", "\u732b"]
    pieces, merges = learned(len(alphabet) + 60, alphabet, words)
    front = SPECIALS + ([f"<0x{b:02X}>" for b in range(256)] if byte_fallback else [])
    vocab = {p: i for i, p in enumerate(dict.fromkeys(front + pieces))}
    return models.BPE(vocab=vocab, merges=merges, unk_token=None if kind == "bytes" else "<unk>",
                      byte_fallback=byte_fallback, fuse_unk=fuse_unk, ignore_merges=ignore_merges)


def word_piece() -> models.WordPiece:
    letters = [chr(c) for c in range(33, 127)] + ["\u00e9", "\u732b", "\u03c3", "\uac00"]
    words = "watch the video ball which way did move question options user assistant best up down ran dog".split()
    pieces = SPECIALS + letters + ["##" + c for c in letters if c.isalnum()] + words + ["##ball", "##s"]
    vocab = {p: i for i, p in enumerate(dict.fromkeys(pieces))}
    return models.WordPiece(vocab, unk_token="<unk>", max_input_chars_per_word=20)


def bos() -> processors.TemplateProcessing:
    return processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])


def llama_decoder() -> decoders.Sequence:
    return decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                              decoders.Strip(" ", 1, 0)])


def byte_words(regex: bool, prefix: bool = False):
    level = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=not regex, trim_offsets=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN_WORDS), "isolated"), level]) if regex else level


def special(*texts: str, **flags) -> list[AddedToken]:
    return [AddedToken(t, **{"normalized": False, "special": True, **flags}) for t in texts]


def designs() -> dict[str, Tokenizer]:
    made = {}

    def add(name, model, normalizer=None, splitter=None, decoder=None, processor=None, added=None):
        tokenizer = Tokenizer(model)
        for key, value in [("normalizer", normalizer), ("pre_tokenizer", splitter), ("decoder", decoder),
                           ("post_processor", processor)]:
            if value is not None:
                setattr(tokenizer, key, value)
        for token in special(*SPECIALS) if added is None else added:
            (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
        made[name] = tokenizer

    legacy = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    add("llama-legacy", bpe("text", True, True), legacy, None, llama_decoder(), bos(),
        added=special(*SPECIALS) + special("<|end|>", normalized=True))
    add("llama-metaspace", bpe("text", True, True), None,
        pre_tokenizers.Metaspace(prepend_scheme="first", split=False), llama_decoder(), bos())
    add("metaspace-words", bpe("text", False, True), None, pre_tokenizers.Metaspace(prepend_scheme="always"),
        decoders.Metaspace(), bos())
    add("unknown-apart", bpe("text", False, False), normalizers.NFD(),
        pre_tokenizers.Metaspace(prepend_scheme="never"), decoders.Metaspace())
    add("gpt2", bpe("bytes"), None, byte_words(False, prefix=True), decoders.ByteLevel(),
        processors.ByteLevel(trim_offsets=False))
    add("qwen", bpe("bytes"), normalizers.NFC(), byte_words(True), decoders.ByteLevel(),
        processors.ByteLevel(trim_offsets=False),
        added=special(*SPECIALS) + special("<|end|>", special=False))
    add("llama3", bpe("bytes", ignore_merges=True), None, byte_words(True), decoders.ByteLevel(),
        processors.Sequence([processors.ByteLevel(trim_offsets=False), bos()]))
    add("smollm", bpe("bytes"), None,
        pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_words(False)]),
        decoders.ByteLevel())
    add("bert", word_piece(), normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(),
        decoders.WordPiece(prefix="##", cleanup=True), processors.BertProcessing(("</s>", 2), ("<s>", 1)))
    add("word-piece", word_piece(), None, pre_tokenizers.BertPreTokenizer(),
        decoders.WordPiece(prefix="##", cleanup=True), bos())
    add("added-tokens", bpe("text", True, True),
        normalizers.Sequence([normalizers.NFKC(), normalizers.StripAccents(), normalizers.Lowercase(),
                              normalizers.Replace("...", "!!"), normalizers.Replace(Regex(" {2,}"), " ")]),
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("merged_with_previous")]),
        llama_decoder(), bos(),
        added=special(*SPECIALS) + special("<|end|>", rstrip=True) + special("<|wide|>", lstrip=True, rstrip=True)
        + special("ball", special=False, single_word=True) + special("mark", special=False, normalized=True))
    add("splits", bpe("text", True, True), normalizers.Strip(),
        pre_tokenizers.Sequence([pre_tokenizers.Split("-", "merged_with_next"), pre_tokenizers.Digits(),
                                 pre_tokenizers.Split(Regex("[aeiou]+"), "contiguous"),
                                 pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Whitespace()]),
        llama_decoder(), bos())
    return made


def utf16(text: str, offset: int) -> int:
    return len(text[:offset].encode("utf-16-le")) // 2


def write(name: str, tokenizer: Tokenizer) -> None:
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
                "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings) + "\n")
    own = AutoTokenizer.from_pretrained(folder)
    cases = []
    for text in TEXTS:
        out = own(text, return_offsets_mapping=True)
        flat = [utf16(text, o) for pair in out["offset_mapping"] for o in pair]
        cases.append({"text": text, "ids": out["input_ids"], "offsets": flat,
                      "decoded": own.decode(out["input_ids"])})
    (folder / "expected.json").write_text(
        "[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")


if __name__ == "__main__":
    for name, tokenizer in designs().items():
        write(name, tokenizer)
    size = sum(p.stat().st_size for p in HERE.rglob("*.json"))
    print(f"{size / 1024:.0f} KiB")
