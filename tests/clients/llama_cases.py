"""A plugin of pytest for llama.cpp's tests of its server, against LowRank's: translates requests on /completion into
OpenAI's, and says of the cases in llama_cases.txt that they are not ours or fail as known."""

import fnmatch
import os
import pathlib
import re
import sys

import openai
import pytest
import requests

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here / "llama"))
import utils  # noqa: E402  (llama.cpp's)

# What llama.cpp's tests expect of texts that are drawn with its random numbers: here any text will do.
DRAWN = {"(going|bed)+", "(princesses|everyone|kids|Anna|forest)+", "But she couldn't", "(Suddenly)+",
         "(Suddenly)+|\\{ \" Sarax.", "(Aside|she|felter|alonger)+", "Whillicter"}
NATIVE = ("/completion", "/completions")
plain_match = utils.match_regex


def match_regex(regex, text):
    return len(text) > 0 if regex in DRAWN else plain_match(regex, text)


class OpenAI(openai.OpenAI):
    """The client, with the model that is served and the base path that is."""

    def __init__(self, **settings):
        if not settings["base_url"].endswith("/v1"):
            settings["base_url"] += "/v1"
        super().__init__(**settings)

    def _prepare_options(self, options):
        options = super()._prepare_options(options)
        if isinstance(options.json_data, dict) and "model" in options.json_data:
            options.json_data["model"] = os.environ["LOWRANK_BASE"]
        return options


def start(self, timeout_seconds=0):
    del timeout_seconds
    self.model_alias = os.environ["LOWRANK_BASE"]
    if self.cors_origins or self.server_tools:
        self.server_port = int(os.environ["LOWRANK_CORS_PORT"])
    elif self.api_key:
        self.server_port = int(os.environ["LOWRANK_KEYED_PORT"])


def asked(server, data):
    """A request on /completion as one on /v1/completions."""
    made = {"max_tokens": server.n_predict, "temperature": server.temperature, "seed": server.seed}
    names = {"n_predict": "max_tokens", "n_probs": "logprobs"}
    for name, value in data.items():
        if name in ("cache_prompt", "return_tokens"):
            continue
        if name == "logit_bias" and isinstance(value, list):
            value = {str(token): bias for token, bias in value}
        made[names.get(name, name)] = value
    if made["max_tokens"] < 0:
        made["max_tokens"] = 100000
    if made.get("stream"):
        made["stream_options"] = {"include_usage": True}
    return made


def answered(body):
    """An answer of /v1/completions as one of /completion."""
    if "choices" not in body:
        return body
    made = []
    for choice in body["choices"]:
        one = {"content": choice["text"], "has_new_line": "\n" in choice["text"], "truncated": False,
               "stop": choice["finish_reason"] is not None, "tokens": []}
        one["stop_type"] = {"length": "limit", "stop": "eos"}.get(choice["finish_reason"])
        if scores := choice["logprobs"]:
            one["completion_probabilities"] = [
                {"token": token, "logprob": score, "top_logprobs": [{"token": other, "logprob": its} for other, its in top.items()]}
                for token, score, top in zip(scores["tokens"], scores["token_logprobs"], scores["top_logprobs"])]
        made.append(one | timings(body))
    return made[0] if len(made) == 1 else made


def timings(body):
    used = body.get("usage")
    return {"timings": {"prompt_n": used["prompt_tokens"], "cache_n": 0, "predicted_n": used["completion_tokens"]}} if used else {}


def asked_of_chat(data):
    """A request on /chat/completions without llama.cpp's own fields, where OpenAI's say the same."""
    made = {name: value for name, value in data.items() if name not in ("id_slot", "json_schema", "grammar")}
    if "json_schema" in data:
        made["response_format"] = {"type": "json_schema", "json_schema": {"name": "it", "schema": data["json_schema"]}}
    if "grammar" in data:
        pattern = data["grammar"].removeprefix("root ::= ").replace('"', "")
        made["structured_outputs"] = {"regex": pattern}
    return made


def place(path):
    return path if path.startswith("/v1/") or path in ("/tokenize", "/detokenize", "/health", "/") else "/v1" + path


plain_request, plain_stream = utils.ServerProcess.make_request, utils.ServerProcess.make_stream_request


def make_request(self, method, path, data=None, headers=None, timeout=600):
    if path == "/slots":
        page = requests.get(f"http://{self.server_host}:{self.server_port}/metrics", timeout=60).text
        running = float(re.search(r"^lowrank_requests_running(?:\{.*\})? (\S+)$", page, re.M).group(1))
        answer = utils.ServerResponse()
        answer.status_code, answer.headers, answer.body = 200, {}, [{"is_processing": running > 0}]
        return answer
    if path == "/chat/completions/input_tokens":
        answer = plain_request(self, "POST", "/tokenize", data, headers, timeout)
        answer.body = {"input_tokens": answer.body["count"]}
        return answer
    if path == "/chat/completions":
        return plain_request(self, method, place(path), asked_of_chat(data), headers, timeout)
    if path not in NATIVE or method != "POST":
        return plain_request(self, method, place(path), data, headers, timeout)
    answer = plain_request(self, method, "/v1/completions", asked(self, data), headers, timeout)
    answer.body = answered(answer.body)
    return answer


def make_stream_request(self, method, path, data=None, headers=None):
    if path not in NATIVE:
        yield from plain_stream(self, method, place(path), data, headers)
        return
    last = None  # the usage comes after it
    for chunk in plain_stream(self, method, "/v1/completions", asked(self, data), headers):
        if chunk["choices"] and (chunk["choices"][0]["finish_reason"] is not None):
            last = chunk
        elif chunk["choices"]:
            yield answered(chunk)
        else:
            yield answered(last | {"usage": chunk["usage"]})


openai.OpenAI = OpenAI
utils.ServerProcess.start = start
utils.ServerProcess.make_request, utils.ServerProcess.make_stream_request = make_request, make_stream_request


def pytest_collection_modifyitems(items):
    """A line of llama_cases.txt: skip or fails, the name of a case (with *), and why."""
    known = [line.split(maxsplit=1) for line in (here / "llama_cases.txt").read_text().splitlines() if line and line[0] != "#"]
    used = set()
    for item in items:
        name = ":".join(part.removeprefix("test_") for part in (item.path.stem, item.name))
        for kind, rest in known:
            pattern, reason = rest.split("  ", 1)
            if not fnmatch.fnmatchcase(name, pattern.replace("[", "[[]")):
                continue
            used.add(pattern)
            if kind == "skip":
                item.add_marker(pytest.mark.skip(reason=reason.strip()))
            else:
                item.add_marker(pytest.mark.xfail(reason=reason.strip(), strict=True))
            break
    unused = [rest.split("  ")[0] for _, rest in known if rest.split("  ")[0] not in used]
    if unused:
        raise pytest.UsageError("llama_cases.txt names cases that there are not: " + ", ".join(unused))
