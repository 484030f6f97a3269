"""OpenAI's client for Python, by pytest. Run by tests/clients/run, which reads the lines of report.py."""

import json
import os
import re
import time
import urllib.request

import openai
import pytest

root, model, key = os.environ["LOWRANK_URL"], os.environ["LOWRANK_MODEL"], os.environ["LOWRANK_KEY"]
client = openai.OpenAI(base_url=root + "v1", api_key=key, max_retries=0)
ask = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
look = {"type": "object", "properties": {"id": {"enum": ["a", "b"]}}, "required": ["id"], "additionalProperties": False}
tools = [{"type": "function", "function": {"name": "look", "parameters": look}}]


def running():
    page = urllib.request.urlopen(urllib.request.Request(root + "metrics", headers={"Authorization": "Bearer " + key}))
    return float(re.search(r"^lowrank_requests_running(?:\{.*\})? (\S+)$", page.read().decode(), re.M).group(1))


def test_chat():
    made = client.chat.completions.create(**ask, max_tokens=5, temperature=0, logprobs=True, top_logprobs=3, n=2)
    assert [choice.finish_reason for choice in made.choices] == ["length"] * 2
    assert made.choices[0].message.content == made.choices[1].message.content
    scores = made.choices[0].logprobs.content
    assert len(scores) == 5 and all(len(score.top_logprobs) == 3 for score in scores)
    assert made.usage.completion_tokens == 10


def test_stream():
    whole = client.chat.completions.create(**ask, max_tokens=9, temperature=0)
    parts = list(client.chat.completions.create(
        **ask, max_tokens=9, temperature=0, stream=True, stream_options={"include_usage": True}))
    assert "".join(part.choices[0].delta.content or "" for part in parts[:-1]) == whole.choices[0].message.content
    assert parts[-1].choices == [] and parts[-1].usage == whole.usage.model_copy(
        update={"prompt_tokens_details": parts[-1].usage.prompt_tokens_details})


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "look"}}])
def test_tools(choice):
    made = client.chat.completions.create(**ask, tool_choice=choice, parallel_tool_calls=False, tools=tools)
    called = made.choices[0].message.tool_calls[0]
    assert called.function.name == "look" and json.loads(called.function.arguments)["id"] in ("a", "b")
    answered = client.chat.completions.create(
        model=model, tools=tools, max_tokens=3, extra_body={"ignore_eos": True},
        messages=[*ask["messages"], made.choices[0].message, {"role": "tool", "tool_call_id": called.id, "content": "A door."}])
    assert answered.choices[0].finish_reason == "length"


def test_tools_stream():
    with client.chat.completions.stream(**ask, tool_choice="required", parallel_tool_calls=False, tools=tools) as stream:
        made = stream.get_final_completion()
    assert made.choices[0].finish_reason == "tool_calls" and made.choices[0].message.tool_calls[0].function.name == "look"


def test_schema():
    made = client.chat.completions.create(
        **ask, response_format={"type": "json_schema", "json_schema": {"name": "place", "schema": look}})
    assert json.loads(made.choices[0].message.content)["id"] in ("a", "b")


def test_completions():
    made = client.completions.create(model=model, prompt=["a", "b"], max_tokens=3, echo=True, logprobs=1, temperature=0)
    assert [choice.index for choice in made.choices] == [0, 1] and made.choices[1].text.lstrip().startswith("b")


def test_embeddings():
    made = client.embeddings.create(model=os.environ["LOWRANK_BASE"], input=["a", "b"])  # base64 unless told otherwise
    plain = client.embeddings.create(model=os.environ["LOWRANK_BASE"], input=["a", "b"], encoding_format="float")
    assert abs(sum(value * value for value in made.data[0].embedding) - 1) < 1e-5
    assert made.data[1].embedding == pytest.approx(plain.data[1].embedding, abs=1e-6)


def test_models():
    assert {os.environ["LOWRANK_BASE"], model} <= {one.id for one in client.models.list()}


def test_responses():
    made = client.responses.create(model=model, input="Hello", max_output_tokens=5, extra_body={"ignore_eos": True})
    assert made.status == "incomplete" and made.usage.output_tokens == 5


def test_errors():
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="nobody", messages=ask["messages"])
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(**ask, temperature=9)
    assert wrong.value.param == "temperature"
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=root + "v1", api_key="wrong", max_retries=0).models.list()


def test_cancellation():
    stream = client.chat.completions.create(**ask, stream=True, extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()
    for _ in range(100):
        if running() == 0:
            return
        time.sleep(0.05)
    raise AssertionError("the server still writes")
