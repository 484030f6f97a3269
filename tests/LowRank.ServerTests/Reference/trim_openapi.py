"""Cuts the schemas that the tests need out of OpenAI's openapi.yaml (MIT licence, github.com/openai/openai-openapi) and
writes them as one JSON Schema (draft 2020-12): python3 trim_openapi.py openapi.yaml ../Fixtures/openai.json

Descriptions and examples are left out. nullable becomes a null of the type. Of the items and tools of Responses, those
that this server has are kept: messages, calls of functions, thoughts, functions."""

import json
import sys

import yaml

WANTED = [
    "CreateChatCompletionResponse", "CreateChatCompletionStreamResponse", "CreateCompletionResponse",
    "CreateEmbeddingResponse", "Model", "ListModelsResponse", "ErrorResponse", "Response",
    "ResponseCreatedEvent", "ResponseInProgressEvent", "ResponseOutputItemAddedEvent", "ResponseContentPartAddedEvent",
    "ResponseTextDeltaEvent", "ResponseTextDoneEvent", "ResponseContentPartDoneEvent", "ResponseOutputItemDoneEvent",
    "ResponseFunctionCallArgumentsDeltaEvent", "ResponseFunctionCallArgumentsDoneEvent", "ResponseCompletedEvent",
    "ResponseIncompleteEvent", "ResponseFailedEvent", "ResponseReasoningTextDeltaEvent",
    "ResponseReasoningTextDoneEvent",
]
KEPT = {
    "OutputItem": ["OutputMessage", "FunctionToolCall", "ReasoningItem"],
    "OutputContent": ["OutputTextContent", "ReasoningTextContent"],
    "OutputMessageContent": ["OutputTextContent"],
    "Tool": ["FunctionTool"],
    "InputItem": ["EasyInputMessage"],
}
DROPPED = {
    "description", "example", "examples", "deprecated", "default", "title", "discriminator", "format", "xml",
    "propertyNames",
}


def clean(node, is_properties=False):
    if isinstance(node, list):
        return [clean(item) for item in node]
    if not isinstance(node, dict):
        return node
    if is_properties:
        return {name: clean(value) for name, value in node.items()}
    cleaned = {}
    for name, value in node.items():
        if name in DROPPED or name.startswith("x-") or name == "nullable":
            continue
        if name == "$ref":
            cleaned[name] = "#/$defs/" + value.rsplit("/", 1)[1]
        else:
            cleaned[name] = clean(value, name == "properties")
    if node.get("nullable") is True:
        if "enum" in cleaned and None not in cleaned["enum"]:
            cleaned["enum"] = cleaned["enum"] + [None]
        if isinstance(cleaned.get("type"), str):
            cleaned["type"] = [cleaned["type"], "null"]
        elif "$ref" in cleaned or "anyOf" in cleaned or "allOf" in cleaned or "oneOf" in cleaned:
            cleaned = {"anyOf": [cleaned, {"type": "null"}]}
    return cleaned


def references(node):
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value.rsplit("/", 1)[1]
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def main(source, target):
    with open(source, encoding="utf-8") as file:
        schemas = yaml.safe_load(file)["components"]["schemas"]
    for name, kinds in KEPT.items():
        if name in schemas:
            schemas[name] = {"anyOf": [{"$ref": f"#/components/schemas/{kind}"} for kind in kinds]}
    found, left = {}, list(WANTED)
    while left:
        name = left.pop()
        if name not in found:
            found[name] = clean(schemas[name])
            left.extend(references(found[name]))
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "From OpenAI's openapi.yaml, MIT licence, Copyright (c) OpenAI; made by Reference/trim_openapi.py.",
        "$defs": dict(sorted(found.items())),
    }
    with open(target, "w", encoding="utf-8") as file:
        json.dump(whole, file, indent=1, ensure_ascii=False)
        file.write("\n")
    print(len(found), "schemas")


main(*sys.argv[1:])
