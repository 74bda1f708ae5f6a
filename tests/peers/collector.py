"""Is a collector: takes traces by OTLP over HTTP, and reads them with the official messages of `opentelemetry-proto`.

Out, first: {url}. In: JSON lines {}, or {status} for its answer to the next requests. Out: one line for each, with
{requests, headers, spans}: how many requests came, the headers of the last one, and all spans with their resource.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

state = {"requests": 0, "headers": {}, "spans": []}
reply = {"status": 200}


def attributes_of(holder):
    # Each value is an object with its type as the only key.
    return {one.key: next(iter(MessageToDict(one.value).values()), None) for one in holder.attributes}


def spans_of(request):
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "resource": attributes_of(resource.resource),
                    "scope": scope.scope.name,
                    "name": span.name,
                    "kind": span.SpanKind.Name(span.kind),
                    "trace": span.trace_id.hex(),
                    "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "state": span.trace_state,
                    "status": span.status.StatusCode.Name(span.status.code),
                    "nanoseconds": span.end_time_unix_nano - span.start_time_unix_nano,
                    "attributes": attributes_of(span),
                    "events": len(span.events),
                    # Everything of it as text, to look for what must not be there.
                    "text": str(span),
                }


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        state["requests"] += 1
        state["headers"] = {name.lower(): value for name, value in self.headers.items()}
        if self.path == "/v1/traces" and reply["status"] == 200:
            state["spans"] += spans_of(ExportTraceServiceRequest.FromString(body))
        self.send_response(reply["status"] if self.path == "/v1/traces" else 404)
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
for line in sys.stdin:
    reply.update(json.loads(line))
    print(json.dumps(state), flush=True)
