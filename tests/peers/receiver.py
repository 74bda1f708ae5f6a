"""Runs the receiver in Python of `docs/events.md`, with the package `standardwebhooks` and without Flask and a database.

In: JSON lines {headers, body}. Out: one line for each, {status, calls}: the answer, and what it did in the app.
"""

import json
import os
import re
import sys
import types
from contextlib import contextmanager
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "events.md"

request = types.SimpleNamespace(headers={}, get_data=lambda: b"")
routes = []
calls = []


class Flask:
    def __init__(self, name):
        pass

    def post(self, path):
        return routes.append


class Transaction:
    sequences = {}

    def last_sequence(self, user):
        return self.sequences.get(user, 0)

    def set_last_sequence(self, user, sequence):
        self.sequences[user] = sequence

    def save_profile(self, user):
        calls.append(["save", user["externalId"]])

    def delete_profile(self, user_id):
        calls.append(["delete", user_id])


class Database:
    @contextmanager
    def transaction(self):
        yield Transaction()


secret = json.loads(sys.stdin.readline())["secret"]
os.environ["APP_WEBHOOK_SECRET"] = secret
sys.modules["flask"] = types.SimpleNamespace(Flask=Flask, request=request)
[sample] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
names = {"database": Database(), "list_all_users_again": lambda: calls.append(["list"]), "__name__": "app"}
exec(compile(sample, str(PAGE), "exec"), names)
[receive] = routes
print(json.dumps({"ready": True}), flush=True)

for line in sys.stdin:
    question = json.loads(line)
    request.headers = question["headers"]
    body = question["body"].encode()
    request.get_data = lambda: body
    calls.clear()
    _, status = receive()
    print(json.dumps({"status": status, "calls": calls}), flush=True)
