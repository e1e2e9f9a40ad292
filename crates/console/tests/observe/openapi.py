"""Whether a document is OpenAPI, and answers are what it describes: openapi.py DOCUMENT ANSWERS."""

import json
import sys

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate


def resolved(document, item):
    while "$ref" in item:
        place = document
        for part in item["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        item = place
    return item


def check(document, answer, given):
    where = f"{answer['method']} {answer['path']} {answer['status']} {answer['body']}"
    operation = document["paths"][answer["path"]][answer["method"]]
    responses = operation["responses"]
    status = str(answer["status"])
    assert status in responses, f"{where} is not described"
    given.add((answer["path"], answer["method"], status))
    response = resolved(document, responses[status])
    if "content" not in response:
        assert not answer["body"], f"{where} has a body"
        return
    assert answer["type"] in response["content"], f"{where}: {answer['type']} is not described"
    # A schema with the document around it, so that its references lead somewhere.
    schema = dict(response["content"][answer["type"]]["schema"], components=document["components"])
    Draft202012Validator(schema).validate(json.loads(answer["body"]))
    headers = {"Retry-After": answer["retry_after"], "WWW-Authenticate": answer["authenticate"]}
    for name, header in response.get("headers", {}).items():
        value = headers[name]
        assert value is not None, f"{where} has no {name}"
        if header["schema"].get("type") == "integer":
            value = int(value)
        Draft202012Validator(header["schema"]).validate(value)


def main():
    document, answers = (json.load(open(name, encoding="utf-8")) for name in sys.argv[1:])
    validate(document)
    given = set()
    for answer in answers:
        check(document, answer, given)
    described = {
        (path, method, status)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        for status in operation["responses"]
    }
    assert described == given, f"described and never given: {sorted(described - given)}"
    print("every described answer was given, and each is as described")


main()
