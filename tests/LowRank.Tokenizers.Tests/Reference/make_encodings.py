"""Writes Fixtures/encodings.jsonl: full encodings by the tokenizers library of nasty texts, singly, in pairs, cut and filled.

usage: python3 make_encodings.py TOKENIZERS_FOLDER OUTPUT
Offsets are in UTF-16 units, as in .NET (the library's are code points).
"""
import json
import os
import sys

from tokenizers import Tokenizer

TEXTS = [
    "", " ", "Hello, world!", " leading and trailing  ", "tabs\tand\nnewlines\r\n", "caf\u00e9 cafe\u0301 na\u00efve", "\u4f60\u597d\uff0c\u4e16\u754c",
    "emoji \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 end", "control \u0001\u0007 chars\u200b here", "\uac00\ub098 \u1112\u1161\u11ab",
    "\ufb01ne \uff21\uff22\uff23 \u2460", "I'm don't we'll", "1234567890 3.14 1,000", "a_b-c/d\\e", "\u00df \u0130stanbul \u01c6", "\u0915\u094d\u0937 \u0e01\u0e33",
    "x\u0301\u0323y", "\U0001d518\U0001d52b\U0001d526", "  double  spaces  ", "a" * 120, "unusualwordnobodyknows", "\u00a0nbsp\u3000wide",
    "<s> and [CLS] or </s> [MASK] <|endoftext|> inline", "[MASK]", "e\u0301", "\u00e9", "\u2581metaspace \u2581", "\n\n", "Q: who? A: me.",
]
PAIRS = [(2, 3), (5, 7), (13, 2), (0, 2), (2, 0), (22, 11), (20, 18)]
LONG = "the quick brown fox jumps over the lazy dog and runs away"
SHORT = "who runs?"


def units(text):
    """Code point index to UTF-16 index."""
    places = [0]
    for character in text:
        places.append(places[-1] + (2 if ord(character) > 0xFFFF else 1))
    return places


def plain(encoding, texts):
    maps = [units(text) for text in texts]
    offsets = []
    for (start, end), sequence in zip(encoding.offsets, encoding.sequence_ids):
        offsets.append([0, 0] if sequence is None else [maps[sequence][start], maps[sequence][end]])
    return {
        "ids": encoding.ids, "types": encoding.type_ids, "mask": encoding.attention_mask, "special": encoding.special_tokens_mask,
        "offsets": offsets, "sequences": [-1 if s is None else s for s in encoding.sequence_ids],
    }


def main(folder, output):
    with open(output, "w", encoding="utf-8") as file:
        def write(name, texts, options, encodings, windows=None):
            row = {"tokenizer": name, "texts": texts, "options": options, "encodings": [plain(e, texts) for e in encodings]}
            if windows:
                row["windows"] = [window.ids for window in windows]
            file.write(json.dumps(row, ensure_ascii=True, separators=(",", ":")) + "\n")

        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name, "tokenizer.json")
            if not os.path.exists(path):
                continue
            tokenizer = Tokenizer.from_file(path)
            tokenizer.no_truncation()
            tokenizer.no_padding()
            for text in TEXTS:
                write(name, [text], {}, [tokenizer.encode(text)])
            for first, second in PAIRS:
                texts = [TEXTS[first], TEXTS[second]]
                write(name, texts, {}, [tokenizer.encode(*texts)])
            write(name, [SHORT, LONG], {"special": False}, [tokenizer.encode(SHORT, LONG, add_special_tokens=False)])
            for strategy in ("longest_first", "only_second"):
                for side in ("right", "left"):
                    for stride in (0, 2):
                        # encode() stops early when it truncates; whole encodings, cut afterwards, have all their windows.
                        whole_texts = [tokenizer.encode(text, add_special_tokens=False) for text in (SHORT, LONG)]
                        tokenizer.enable_truncation(14, stride=stride, strategy=strategy, direction=side)
                        options = {"max_length": 14, "strategy": strategy, "side": side, "stride": stride}
                        for texts in ([SHORT, LONG], [LONG]):
                            try:
                                whole = tokenizer.encode(*texts)
                            except Exception:  # the first text alone is too long
                                continue
                            windows = None
                            if len(texts) == 2:
                                cut = tokenizer.post_process(*whole_texts)
                                windows = [cut] + cut.overflowing
                            write(name, texts, options, [whole], windows)
                        tokenizer.no_truncation()
            for side in ("right", "left"):
                tokenizer.enable_padding(direction=side, pad_id=0, pad_token="x", length=40)
                write(name, [SHORT, LONG], {"pad_to": 40, "pad_side": side}, [tokenizer.encode(SHORT, LONG)])
                tokenizer.no_padding()


main(*sys.argv[1:])
