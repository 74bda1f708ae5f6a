"""Verifies events that we have sent with the packages that apps use: `standardwebhooks` and `svix`.

In: JSON lines {secret, headers, body}. Out: one line for each, with what each package says: "ok", or why not.
"""

import json
import sys

from standardwebhooks.webhooks import Webhook as StandardWebhook
from svix.webhooks import Webhook as SvixWebhook


def said(webhook, question):
    try:
        webhook(question["secret"]).verify(question["body"].encode(), question["headers"])
        return "ok"
    except Exception as error:
        return str(error) or type(error).__name__


for line in sys.stdin:
    question = json.loads(line)
    answer = {"standardwebhooks": said(StandardWebhook, question), "svix": said(SvixWebhook, question)}
    print(json.dumps(answer), flush=True)
