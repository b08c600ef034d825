"""The tokenizer: whole task words, and a character fallback for any other text. Whitespace separates only."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from words import WORDS

SPECIAL = ["<pad>", "<unk>", "<s>", "</s>", "<image>"]


def vocabulary() -> dict[str, int]:
    printable = [chr(c) for c in range(33, 127)] + [chr(c) for c in range(0xC0, 0x100)]
    pieces = SPECIAL + printable + ["##" + c for c in printable if c.isalnum()] + WORDS
    return {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}


def build() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(vocabulary(), unk_token="<unk>", max_input_chars_per_word=100))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", SPECIAL.index("<s>"))]
    )
    tokenizer.add_special_tokens(SPECIAL)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>",
        additional_special_tokens=["<image>"], extra_special_tokens={"image_token": "<image>"},
        model_max_length=2048, padding_side="left", clean_up_tokenization_spaces=False,
    )
