import { notUsersync } from "./error";

/** Longer events than this are not from usersync. */
const longest = 1 << 20;

/**
 * Reads Server-Sent Events (the WHATWG's HTML standard, 9.2.6) as they come in. `onBytes` is called for everything
 * that arrives, comments too. An event that is not ended by a blank line is dropped.
 */
export async function readEvents(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void,
  onEvent: (type: string, data: string, id: string | undefined) => void,
): Promise<void> {
  const reader = body.getReader();
  // A byte order mark at the beginning is dropped by the decoder.
  const decoder = new TextDecoder();
  let rest = "";
  let type = "";
  let data = "";
  let id: string | undefined;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      onBytes();
      const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?=[^])/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [, field, text = ""] = /^([^:]*):? ?([^]*)/.exec(line) ?? [];
        if (field === "event") type = text;
        if (field === "data") data += `${text}\n`;
        if (field === "id") id = text;
        if (line) continue;
        if (data) onEvent(type, data.slice(0, -1), id);
        type = data = "";
      }
      if (rest.length + data.length > longest) throw notUsersync(undefined);
    }
  } finally {
    // Ends the connection if the reader has stopped. It may already be broken.
    reader.cancel().catch(() => {});
  }
}
