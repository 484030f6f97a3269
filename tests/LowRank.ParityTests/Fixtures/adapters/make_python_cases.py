"""Writes python_cases.json: how Python writes floats and strings in JSON, and which paths its regular expressions match
whole (null: Python refuses the pattern). Run with Python 3.11 or newer: python3 make_python_cases.py > python_cases.json
"""
import json, random, re, struct, warnings

warnings.simplefilter("ignore")
rng = random.Random(3)
floats = [
    0.0, -0.0, 1.0, 8.0, 0.05, 0.1, 1e-5, 1.5e-5, 0.0001, 0.00012345, 123456789012345.0, 1e15, 1e16,
    123456789012345680.0, 1.7976931348623157e308, 5e-324, -2.5, 1 / 3, 1e22, 9007199254740993.0, 0.30000000000000004,
    100.0, 1e-4, 9.999e-5,
]
while len(floats) < 150:
    number = struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))[0]
    if number == number and abs(number) != float("inf"):
        floats.append(number)
    floats.append(round(rng.uniform(-10, 10), rng.randint(0, 6)) * 10 ** rng.randint(-8, 18))

values = [
    {}, [], {"b": [], "a": {}}, [1, [2.0, [None, True]], "x"], {"é": 1, "z": 2, "Z": 3, "": 4, "\U0001f600": 5, "\ufb01": 6},
    "".join(map(chr, range(0x80))), "\u2028\x7f\xa0\ud7ff\ue000\uffff\U00010000\U0010ffff", 12345678901234567890123, -0, 1e300, [[], {}, [{}]],
]

paths = [
    "model.layers.0.self_attn.q_proj", "model.layers.11.mlp.down_proj", "lm_head", "transformer.h.3.attn.c_attn", "a.b",
    "q_proj", "aab", "[x]", "a-b", "a1a1", "abab",
]
patterns = [
    r".*q_proj", r".*\.(q|k)_proj", r"(?P<n>ab)(?P=n)", r"(ab)\1", r"(?<n>ab)\k<n>", r".*\d{,2}\..*", r"a{,2}b",
    r"a{2,}b", r"x{,}lm_head", r"(?i)LM_HEAD", r"LM_(?i:HEAD)", r"lm(?i)_HEAD", r"(?x) l m _ head", r"\Alm_head\Z",
    r"lm_head\z", r"^lm_head$", r"[[]x[]]", r"[][x]+", r"[a-z-[b]]+", r"a[-]b", r"a[\-]b", r"(?#note)lm_head",
    r"\p{L}+_head", r"\w+", r"[^\W\d]+", r"(?:lm|LM)_head", r"(?=lm)lm_head", r"(?!x).*", r".*(?<=attn)",
    r".*(?<!x)_proj", r"(a)?(?(1)\.b|q_proj)", r"(?P<a>a)?(?(a)\.b|q_proj)", r"\x6cm_head", r"\u006cm_head",
    r"\U0000006cm_head", r"\154m_head", r"lm\_head", r"lm\ehead", r"(?>lm)_head", r"a*+b", r"a++b", r"(?'n'a)b",
    r"(?P<n>a)(?P<n>b)", r"(", r"a)b", r"[a", r"a**", r"*a", r"\N{LATIN SMALL LETTER L}m_head", r"(?P>n)",
    r"(?P=n)(?P<n>a)", r"\2(a)", r"a|lm_head", r"", r".", r"model\.layers\.(?:0|11)\..*",
    r"model\.layers\.([0-9]|1[0-1])\.(self_attn|mlp)\.[a-z]+_proj", r"(?s).*", r"(?m)^a.b$", r"(?a)\w+", r"(?L)a",
    r"(?-i:a).b", r"(?i-s:A).b", r"(?ix)a", r"[\d_a-z.]+", r"[\b]", r"\bq_proj\b", r".*\Bproj", r"[\Z]", r"a\\", r"\\",
    r"a{1", r"a{1,2", r"a{x}b", r"(?P<1a>a)", r"(?P<n", r"(?P<n>a).\g<n>", r"a.b(?#", r"[^]x]+", r"[\]x\[]+", r"\0",
    r"(ab)\1|(?P<x>q)_proj",
]


def matches(pattern):
    try:
        return [path for path in paths if re.fullmatch(pattern, path)]
    except re.error:
        return None
    except ValueError:
        return None


print(json.dumps({
    "floats": [[struct.unpack("<q", struct.pack("<d", x))[0], repr(x)] for x in floats],
    "values": [[json.dumps(value), json.dumps(value, indent=2, sort_keys=True)] for value in values],
    "paths": paths,
    "patterns": [[pattern, matches(pattern)] for pattern in patterns],
}, indent=1))
