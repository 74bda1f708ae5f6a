/** One Server-Sent Event. */
export interface ServerSentEvent {
  event: string;
  data: string;
  id: string | undefined;
}

/** Longer lines than this are not usersync's. */
const longestLine = 1 << 20;

/**
 * Reads Server-Sent Events (the WHATWG's HTML standard, 9.2.6) as they come in. `onBytes` is called for everything
 * that arrives, comments too. An event that is not ended by a blank line is dropped.
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void,
): AsyncGenerator<ServerSentEvent, void, void> {
  const reader = body.getReader();
  // A byte order mark at the beginning is dropped by the decoder.
  const decoder = new TextDecoder();
  let rest = "";
  let event = "";
  let data: string[] = [];
  let id: string | undefined;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      onBytes();
      rest += decoder.decode(value, { stream: true });
      for (;;) {
        const end = /\r\n|\n|\r(?=[^])/.exec(rest);
        if (!end) break;
        const line = rest.slice(0, end.index);
        rest = rest.slice(end.index + end[0].length);
        if (line === "") {
          if (data.length > 0) yield { event: event || "message", data: data.join("\n"), id };
          event = "";
          data = [];
          continue;
        }
        const [, field, text = ""] = /^([^:]*)(?:: ?([^]*))?$/.exec(line) ?? [];
        if (field === "event") event = text;
        else if (field === "data") data.push(text);
        else if (field === "id" && !text.includes("\0")) id = text;
      }
      if (rest.length > longestLine) throw new RangeError("a line of the stream is longer than 1 MiB");
    }
  } finally {
    // Ends the connection if whoever reads has stopped. It may be broken already.
    reader.cancel().catch(() => {});
  }
}
