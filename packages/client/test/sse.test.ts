import { expect, test } from "vitest";

import { readEvents } from "../src/sse";
import type { StreamEvent } from "../src/sse";

async function read(chunks: (string | Uint8Array)[]) {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
      controller.close();
    },
  });
  const events: StreamEvent[] = [];
  let bytes = 0;
  await readEvents(body, () => (bytes += 1), (event) => events.push(event));
  expect(bytes).toBe(chunks.length);
  return events;
}

const ada = { event: "user", data: "ada", id: "1" };

test.each([
  ["line feeds", ["event: user\nid: 1\ndata: ada\n\n"]],
  ["carriage returns", ["event: user\rid: 1\rdata: ada\r\r\n"]],
  ["both", ["event: user\r\nid: 1\r\ndata: ada\r\n\r\n"]],
  ["both, split between the two", ["event: user\r", "\nid: 1\r", "\ndata: ada\r", "\n\r", "\n"]],
  ["a byte order mark", ["\ufeffevent: user\nid: 1\ndata: ada\n\n"]],
  ["no blank after the colon", ["event:user\nid:1\ndata:ada\n\n"]],
  ["comments and unknown fields", [": hello\nretry: 2000\nevent: user\n:\nid: 1\nfoo\ndata: ada\n\n:\n\n"]],
  ["one byte at a time", [..."event: user\nid: 1\ndata: ada\n\n"]],
])("an event is read with %s", async (_, chunks) => {
  expect(await read(chunks)).toMatchObject([ada]);
});

test("several lines of data are one text, and an id lasts until there is another", async () => {
  expect(await read(["id: 7\ndata: a\ndata:\ndata: b\n\ndata: c\n\n"])).toEqual([
    { data: "a\n\nb", id: "7" },
    { data: "c", id: "7" },
  ]);
});

test("a letter that is split over two pieces is one letter", async () => {
  const bytes = new TextEncoder().encode("data: 😀é\n\n");
  for (let at = 0; at < bytes.length; at++) {
    expect(await read([bytes.slice(0, at), bytes.slice(at)])).toMatchObject([{ data: "😀é" }]);
  }
});

test("an event that is not ended by a blank line is dropped", async () => {
  expect(await read(["data: a\n\ndata: half\n"])).toMatchObject([{ data: "a" }]);
});

test("a line of more than a mebibyte ends the stream", async () => {
  await expect(read(["data: ", "x".repeat(1 << 20)])).rejects.toMatchObject({ kind: "protocol" });
});
