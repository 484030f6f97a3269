"""Writes tokenizer_components.jsonl: what each normalizer, pre-tokenizer, decoder and added-token flag of Hugging Face's tokenizers does to small texts.

Run: python3 make_tokenizer_components.py > tokenizer_components.jsonl
A line: {"kind", "json", "cases": [[input, output], ...]}; inputs are texts (decoders: lists of tokens), outputs texts, pieces or [ids, decoded].
"""
import json
from tokenizers import Tokenizer

TEXTS = ["", " ", "Hello, World!", "  two  blanks ", "tab\tnew\nline\r\n", "İstanbul ΑΣ Straße ǅ", "é e\u0301 Å ﬁ ½ ㎏", "naïve Ñandú", "東京は2024年 日本語",
         "😀👍🏽 ok", "x=1;y+2$3", "don't I'll WE'VE", "a\u00a0b\u2003c\u200bd", "a\u0000b\u0007c\u00add\ufffde", "١٢٣ ⅷ ² 12345", "a--b—c…d", "▁a▁ b", "abcabc", "-a-b--c-", "\u2028x\u0085y", "café_9 ﷺ",
         "A\u0301\u0327 שָׁ", "  ", "\n\n x", "a b-c d", "हिन्दी", "\ue000 \U0001d7d8"]
EMPTY = {"type": "BPE", "vocab": {"a": 0}, "merges": []}

def build(**parts):
    root = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None, "model": EMPTY}
    root.update(parts)
    return Tokenizer.from_str(json.dumps(root))

def show(kind, part, cases):
    print(json.dumps({"kind": kind, "json": part, "cases": cases}))

S = lambda s: {"String": s}
R = lambda s: {"Regex": s}
NORMALIZERS = [
    {"type": "Lowercase"}, {"type": "StripAccents"}, {"type": "Nmt"}, {"type": "Prepend", "prepend": "▁"},
    *({"type": "Strip", "strip_left": l, "strip_right": r} for l in (True, False) for r in (True, False)),
    {"type": "Replace", "pattern": S("a"), "content": "$0"}, {"type": "Replace", "pattern": R("[0-9]+"), "content": "#"}, {"type": "Replace", "pattern": R(" {2,}"), "content": "▁▁"},
    {"type": "Replace", "pattern": R(r"\s"), "content": "_"}, {"type": "Replace", "pattern": R(r"."), "content": "."},
    {"type": "Sequence", "normalizers": [{"type": "StripAccents"}, {"type": "Lowercase"}, {"type": "Prepend", "prepend": "x"}]}, {"type": "Sequence", "normalizers": []},
    *({"type": "BertNormalizer", "clean_text": c, "handle_chinese_chars": h, "strip_accents": a, "lowercase": l} for c, h, a, l in
      [(True, True, False, True), (True, True, None, False), (False, True, False, True), (True, False, False, False), (False, False, False, True)]),
    {"type": "ByteLevel"},
]
for part in NORMALIZERS:
    tokenizer = build(normalizer=part)
    show("normalizer", part, [[text, tokenizer.normalizer.normalize_str(text)] for text in TEXTS])

BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
PRE = [
    *({"type": "ByteLevel", "add_prefix_space": p, "trim_offsets": True, "use_regex": u} for p in (True, False) for u in (True, False)),
    *({"type": "Metaspace", "replacement": "▁", "prepend_scheme": p, "split": s} for p in ("always", "first", "never") for s in (True, False)),
    {"type": "Whitespace"}, {"type": "WhitespaceSplit"}, {"type": "BertPreTokenizer"}, {"type": "CharDelimiterSplit", "delimiter": "-"},
    {"type": "Digits", "individual_digits": True}, {"type": "Digits", "individual_digits": False},
    *({"type": "Punctuation", "behavior": b} for b in BEHAVIORS),
    *({"type": "Split", "pattern": p, "behavior": b, "invert": i} for p in (S("-"), R(r"\s+"), R(r"[ab]")) for b in BEHAVIORS for i in (False, True)),
    {"type": "Split", "pattern": S("."), "behavior": "Isolated", "invert": False}, {"type": "Split", "pattern": R(r"\w+"), "behavior": "Isolated", "invert": False},
    {"type": "Split", "pattern": R(r"\p{L}+|\p{N}{1,2}"), "behavior": "Isolated", "invert": False}, {"type": "Split", "pattern": R(r"."), "behavior": "Isolated", "invert": False},
    {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "Digits", "individual_digits": True}]},
    {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}]},
    {"type": "Sequence", "pretokenizers": [{"type": "Punctuation", "behavior": "Isolated"}, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}]},
    {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}, {"type": "Digits", "individual_digits": True}]},
]
for part in PRE:
    tokenizer = build(pre_tokenizer=part)
    # Regular expressions on characters beyond U+FFFF, and many more of them, are in make_split_patterns.js.
    texts = [text for text in TEXTS if "\\\\" not in json.dumps(part) or all(ord(c) < 0x10000 for c in text)]
    show("pre_tokenizer", part, [[text, [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]] for text in texts])

TOKENS = [["Hello", "Ġworld"], ["▁Hey", "▁you", "▁▁x"], ["<0xE6>", "<0x9D>", "<0xB1>", "a"], ["<0xE6>", "<0x9D>", "b", "<0xFF>", "<0xZZ>"], ["he", "##llo", "##", "wor", "."], ["a</w>", "b", "c</w>"],
          ["do", "n't", "it", "'s", "!", "do", "not"], [""], ["ÃĦ", "Ã", "x"], ["日本", "Ġa"], ["  ab  ", "▁▁▁", " "], ["a▁b▁", "▁c"], ["<0x0a>", "<0x41>"], ["Ċ", "ł"]]
DECODERS = [
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, {"type": "ByteFallback"}, {"type": "Fuse"},
    *({"type": "Metaspace", "replacement": "▁", "prepend_scheme": p, "split": True} for p in ("always", "first", "never")),
    *({"type": "WordPiece", "prefix": "##", "cleanup": c} for c in (True, False)), {"type": "BPEDecoder", "suffix": "</w>"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0}, {"type": "Strip", "content": " ", "start": 5, "stop": 1}, {"type": "Strip", "content": "▁", "start": 2, "stop": 2},
    {"type": "Replace", "pattern": S("▁"), "content": " "}, {"type": "Replace", "pattern": R("[ab]"), "content": "$0"}, 
    {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": S("▁"), "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
]
for part in DECODERS:
    tokenizer = build(decoder=part)
    cases = []
    for tokens in TOKENS:
        try:
            cases.append([tokens, tokenizer.decoder.decode(tokens)])
        except BaseException:  # Strip panics on a token that it empties: no behaviour to follow
            assert part["type"] == "Strip"
    show("decoder", part, cases)

letters = [chr(c) for c in range(33, 127)] + [" ", "▁", "é", "<unk>"]
MODEL = {"type": "BPE", "unk_token": "<unk>", "fuse_unk": False, "vocab": {c: i for i, c in enumerate(letters)}, "merges": []}
ADDED = ["a<m>b", "a <m> b", "<m><m>", " <m>", "<m> ", "x<m> <m>y", "<m", "<M>", "  <m>\t\n<m>  ", "9<m>", "_<m>_", "é<m>é", "(<m>)", "<m>.", "a <mask><m>", "<m>ask>", "<mm>", "a\u00a0<m>\u3000b", "<m>\u0301"]
for flags in range(16):
    for normalizer in (None, {"type": "Lowercase"}, {"type": "Replace", "pattern": S(" "), "content": "▁"}):
        lstrip, rstrip, single, normalized = (bool(flags >> i & 1) for i in range(4))
        tokens = [{"id": 200 + i, "content": c, "single_word": single, "lstrip": lstrip, "rstrip": rstrip, "normalized": normalized, "special": i == 0} for i, c in enumerate(["<m>", "<mask>", "m>b"])]
        base = {c: i for c, i in MODEL["vocab"].items()}
        # Added ids follow the vocabulary, as the library assigns them.
        for i, token in enumerate(tokens): token["id"] = len(base) + i
        part = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": normalizer, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": {"type": "Fuse"}, "model": MODEL}
        tokenizer = Tokenizer.from_str(json.dumps(part))
        def both(text):
            ids = tokenizer.encode(text).ids
            return [ids, tokenizer.decode(ids, skip_special_tokens=False), tokenizer.decode(ids, skip_special_tokens=True)]
        show("added", part, [[text, both(text)] for text in ADDED])
for settings in [{"unk_token": "<unk>", "fuse_unk": True}, {"unk_token": "<unk>", "fuse_unk": False}, {"unk_token": None}, {"continuing_subword_prefix": "##", "unk_token": "<unk>"}, {"end_of_word_suffix": "</w>", "unk_token": "<unk>"},
                 {"byte_fallback": True, "unk_token": "<unk>", "fuse_unk": True}, {"ignore_merges": True, "unk_token": "<unk>"}]:
    vocab = ["<unk>", "a", "b", "c", "ab", "abc", "bc", "abcd", "##b", "##c", "##bc", "abc</w>", "c</w>", "b</w>", "<0xC3>", "<0xA9>", "d", "ca"]
    merges = [["b", "c"], ["a", "b"], ["ab", "c"], ["a", "bc"], ["c", "a"]]
    if "continuing_subword_prefix" in settings: merges = [["##b", "##c"], ["a", "##b"], ["a", "##bc"]]
    if "end_of_word_suffix" in settings: merges = [["ab", "c</w>"], ["a", "b"]]
    model = {"type": "BPE", "dropout": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, **settings, "vocab": {t: i for i, t in enumerate(vocab)}, "merges": merges}
    part = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": {"type": "Fuse"}, "model": model}
    tokenizer = Tokenizer.from_str(json.dumps(part))
    show("added", part, [[text, [tokenizer.encode(text).ids, tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False), tokenizer.decode(tokenizer.encode(text).ids)]]
                         for text in ["abc", "abcabc", "bcabca", "aébc", "éé", "zzz", "abcd", "azzb é", "c", "bbbccc", "caab", "😀a😀😀", "abc abc", "aaabcbcbc"]])
