"""Compares real answers with an OpenAPI document, by jsonschema-rs.

In: JSON lines. The first is {document}, and is answered by {problems: []}. Then come answers of the service
{method, path, status, headers, body}, where `path` is a path of the document, and values {schema, value}, where `schema`
names a schema of the document. Out: one line {problems: [text]} for each.
"""

import json
import sys

import jsonschema_rs

document = {}


def resolve(value):
    while "$ref" in value:
        found = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def mismatches(schema, value):
    # The references of the schema begin at the root of the document.
    root = {"allOf": [schema], "components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(root, validate_formats=True)
    return [f"{list(error.instance_path)}: {error.message}" for error in validator.iter_errors(value)]


def problems(answer):
    operation = document["paths"].get(answer["path"], {}).get(answer["method"].lower())
    if operation is None:
        return ["the operation is not in the document"]
    response = operation["responses"].get(str(answer["status"]))
    if response is None:
        return [f"the status {answer['status']} is not in the document"]
    headers = answer["headers"]
    found = [
        f"the header {name} is missing"
        for name, header in response.get("headers", {}).items()
        if resolve(header).get("required") and name.lower() not in headers
    ]
    # What depends on the code is described, where it is sent.
    described = {name.lower() for name in response.get("headers", {})}
    found += [
        f"the header {name} is not in the document"
        for name in ("retry-after", "www-authenticate")
        if name in headers and name not in described
    ]
    content = response.get("content")
    if content is None:
        return found + (["there is a body"] if answer["body"] else [])
    media_type = headers.get("content-type", "").split(";")[0]
    if media_type not in content:
        return found + [f"the content type {media_type!r} is not in the document"]
    body = json.loads(answer["body"]) if media_type.endswith("json") else answer["body"]
    return found + mismatches(content[media_type]["schema"], body)


for line in sys.stdin:
    asked = json.loads(line)
    if "document" in asked:
        document = asked["document"]
        found = []
    elif "schema" in asked:
        found = mismatches({"$ref": f"#/components/schemas/{asked['schema']}"}, asked["value"])
    else:
        found = problems(asked)
    print(json.dumps({"problems": found}), flush=True)
