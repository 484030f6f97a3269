"""Ports llama.cpp's tests of its server to OpenAI's interface, in a copy of them: llama_port.py FOLDER

The changes: what llama-server alone has (a build's name, its own words for errors) is left out or named as OpenAI does,
and texts that were drawn with llama.cpp's random numbers may be any text. Requests on its own route /completion are
translated by llama_cases.py.
"""

import pathlib
import re
import sys

# In which test file, what, by what, how often, and why.
CHANGES = [
    ("*", r"^ *assert [^\n]*system_fingerprint[^\n]*\n", "", 4, "the number of llama.cpp's build"),
    ("chat_completion", r'\["type"\] == "exceed_context_size_error"', '["code"] == "context_length_exceeded"', 2, "OpenAI's code"),
    ("chat_completion", r'^ *assert [^\n]*(n_prompt_tokens|"n_ctx"\]|server\.n_ctx is|server\.n_slots is)[^\n]*\n', "", 8,
     "fields that OpenAI's errors do not have"),
    ("*", r"from utils import \*\n", "from utils import *\nfrom llama_cases import match_regex\n", 6, "drawn texts"),
    ("embedding", r'assert "too large" in res', 'assert "context holds 512" in res', 1, "the server's own words"),
    ("chat_completion", '"codellama70b"', "None", 2, "names that are not served are refused"),
    ("completion", r'^ *assert [^\n]*(data\["tokens"\]|generation_settings|server\.n_predict is not None|len\(res\.body\["tokens"\]\))'
     r'[^\n]*\n( *assert all\(type\(tok\) == int for tok in data\["tokens"\]\)\n)?', "", 10, "settings and ids in answers"),
    ("completion", r'^ *assert "(id|bytes)" in (tok|prob) and [^\n]*\n', "", 12, "ids and bytes, which logprobs of OpenAI's completions lack"),
    ("completion", r"^    # mixed string and tokens\n.*?(?=^@pytest)", "\n\n", 1, "prompts of texts and ids mixed"),
    ("security", r'\("web\.mydomain\.fr", "Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"\)',
     '("web.mydomain.fr", "Access-Control-Allow-Methods", "GET, POST, DELETE")', 1, "OPTIONS needs no leave"),
    ("security", r'\("web\.mydomain\.fr", "Access-Control-Allow-Headers", "\*"\)',
     '("web.mydomain.fr", "Access-Control-Allow-Headers", "Authorization")', 1, "the header that is asked for"),
    ("security", r"(def test_cors_options.*?status_code) == 200", r"\1 == 204", 1, "an answer without a body"),
    ("security", r"(def test_cors_origins_localhost_reflects.*?status_code) == 200", r"\1 == 204", 1, "an answer without a body"),
    ("security", r"(def test_cors_origins_localhost_rejects.*?status_code) == 200", r"\1 == 403", 1, "other pages are refused"),
]


def main(folder):
    names = ["chat_completion", "completion", "tokenize", "embedding", "security", "compat_oai_responses"]
    sources = {name: (folder / "unit" / f"test_{name}.py") for name in names}
    wrong = []
    for where, old, new, expected, why in CHANGES:
        made = 0
        for name, path in sources.items():
            if where in ("*", name):
                text, count = re.subn(old, new, path.read_text(), flags=re.M | (re.S if ".*?" in old else 0))
                made += count
                path.write_text(text)
        if made != expected:
            wrong.append(f"{old} ({why}): {made} places, expected {expected}")
    # llama.cpp's fixtures load models; these servers run already.
    (folder / "conftest.py").write_text("")
    if wrong:
        sys.exit("The tests of llama.cpp have changed:\n" + "\n".join(wrong))


main(pathlib.Path(sys.argv[1]))
