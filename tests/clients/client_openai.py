"""OpenAI's client for Python. Run by tests/clients/run."""

import json
import os
import sys

import openai

base, model, key = os.environ["LOWRANK_URL"] + "v1", os.environ["LOWRANK_MODEL"], os.environ["LOWRANK_KEY"]
client = openai.OpenAI(base_url=base, api_key=key, max_retries=0)
messages = [{"role": "user", "content": "Hello"}]
look = {"type": "object", "properties": {"id": {"enum": ["a", "b"]}}, "required": ["id"], "additionalProperties": False}


def chat():
    made = client.chat.completions.create(model=model, messages=messages, max_tokens=5, temperature=0, logprobs=True)
    assert made.choices[0].finish_reason == "length" and len(made.choices[0].logprobs.content) == 5


def stream():
    whole = client.chat.completions.create(model=model, messages=messages, max_tokens=9, temperature=0)
    parts = client.chat.completions.create(model=model, messages=messages, max_tokens=9, temperature=0, stream=True)
    text = "".join(part.choices[0].delta.content or "" for part in parts)
    assert text == whole.choices[0].message.content, text


def tools():
    made = client.chat.completions.create(
        model=model, messages=messages, tool_choice="required", parallel_tool_calls=False,
        tools=[{"type": "function", "function": {"name": "look", "parameters": look}}])
    assert json.loads(made.choices[0].message.tool_calls[0].function.arguments)["id"] in ("a", "b")


def schema():
    made = client.chat.completions.create(
        model=model, messages=messages,
        response_format={"type": "json_schema", "json_schema": {"name": "place", "schema": look}})
    assert json.loads(made.choices[0].message.content)["id"] in ("a", "b")


def embeddings():
    made = client.embeddings.create(model=os.environ["LOWRANK_BASE"], input=["a", "b"])
    assert abs(sum(value * value for value in made.data[0].embedding) - 1) < 1e-5


def responses():
    made = client.responses.create(model=model, input="Hello", max_output_tokens=5)
    assert made.status == "incomplete" and made.usage.output_tokens == 5


def errors():
    try:
        client.chat.completions.create(model="nobody", messages=messages)
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error.code
        return
    raise AssertionError("it did not fail")


failed = 0
for case in (chat, stream, tools, schema, embeddings, responses, errors):
    try:
        case()
        print(f"passed  python openai: {case.__name__}")
    except Exception as error:
        failed += 1
        print(f"FAILED  python openai: {case.__name__}: {type(error).__name__} {error}")
sys.exit(1 if failed else 0)
