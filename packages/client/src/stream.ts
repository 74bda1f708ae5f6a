import { notUsersync } from "./error";
import type { Http } from "./http";
import { readEvents } from "./sse";
import type { User } from "./types";

/** One event of `GET /v1/users/current/stream`. */
export type StreamEvent =
  | { type: "pending" | "deleted" | "expired"; id: string | undefined }
  | { type: "user"; user: User; id: string | undefined };

/**
 * Opens the stream; resolves once the service has taken the token. `undefined` where `fetch` gives no body to read,
 * as in React Native.
 */
export async function openStream(
  http: Http,
  options: { token: string; lastEventId: string | undefined; signal: AbortSignal; onBytes: () => void },
): Promise<AsyncGenerator<StreamEvent, void, void> | undefined> {
  const headers: Record<string, string> = {
    accept: "text/event-stream",
    authorization: `Bearer ${options.token}`,
  };
  if (options.lastEventId) headers["last-event-id"] = options.lastEventId;
  const response = await http.send("/v1/users/current/stream", { headers, signal: options.signal });
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) throw notUsersync(response);
  return response.body ? decode(response.body, options.onBytes) : undefined;
}

async function* decode(body: ReadableStream<Uint8Array>, onBytes: () => void): AsyncGenerator<StreamEvent, void, void> {
  for await (const { event: type, data, id } of readEvents(body, onBytes)) {
    if (type === "user") yield { type, user: parse(data), id };
    // An event of a later version means nothing here.
    else if (type === "pending" || type === "deleted" || type === "expired") yield { type, id };
  }
}

function parse(data: string): User {
  try {
    return JSON.parse(data) as User;
  } catch (cause) {
    throw notUsersync(undefined, { cause });
  }
}
