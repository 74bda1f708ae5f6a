import { notUsersync } from "./error";

/** Longer events than this are not from usersync. */
const longest = 1 << 20;

/** The fields of an event, such as `event`, `data` and `id`. The `id` lasts until an event has another one. */
export interface StreamEvent {
  [field: string]: string | undefined;
}

/**
 * Reads Server-Sent Events (the WHATWG's HTML standard, 9.2.6) as they come in. `onBytes` is called for everything
 * that arrives, comments too. An event that is not ended by a blank line is dropped.
 */
export async function readEvents(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void,
  onEvent: (event: StreamEvent) => void,
): Promise<void> {
  const reader = body.getReader();
  // A byte order mark at the beginning is dropped by the decoder.
  const decoder = new TextDecoder();
  let rest = "";
  let event: StreamEvent = {};
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      onBytes();
      const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?=[^])/);
      rest = lines.pop()!;
      for (const line of lines) {
        const [, field, text = ""] = /^([^:]+):? ?([^]*)/.exec(line) ?? [];
        if (field) event[field] = field === "data" && event.data ? `${event.data}\n${text}` : text;
        if (line) continue;
        if (event.data) onEvent(event);
        event = { id: event.id };
      }
      if ((rest + event.data).length > longest) throw notUsersync();
    }
  } finally {
    // Ends the connection if the reader has stopped. It may already be broken.
    reader.cancel().catch(() => {});
  }
}
