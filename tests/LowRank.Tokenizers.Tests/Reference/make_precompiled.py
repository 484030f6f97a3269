"""Writes Fixtures/precompiled.jsonl: what the tokenizers library's Precompiled normalizer makes of texts, with the map of a
sentencepiece model.

usage: python3 make_precompiled.py MODEL CASES OUTPUT
"""
import json
import sys

from tokenizers.normalizers import Precompiled


def fields(message):
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        elif tag & 7 == 2:
            size = varint()
            yield tag >> 3, message[at:at + size]
            at += size
        else:
            size = 4 if tag & 7 == 5 else 8
            yield tag >> 3, message[at:at + size]
            at += size


model, cases, output = sys.argv[1:]
spec = next(value for number, value in fields(open(model, "rb").read()) if number == 3)
normalizer = Precompiled(bytes(next(value for number, value in fields(spec) if number == 2)))
extra = ["e\u0301", "\ufb01", "\u1100\u1161\u11a8", "\u0e33", "\u00a0", "\uff21\u0301", "\u200d\u2764\ufe0f", "\u3300", "\u0958"]
with open(output, "w", encoding="utf-8") as file:
    for text in [json.loads(line)["text"] for line in open(cases, encoding="utf-8")] + extra:
        file.write(json.dumps({"text": text, "normalized": normalizer.normalize_str(text)}) + "\n")
