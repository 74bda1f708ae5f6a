import { within } from "./clock";
import { notUsersync } from "./error";
import type { UsersyncError } from "./error";
import { withToken } from "./http";
import type { Http } from "./http";
import { claimsOf } from "./jwt";
import type { Event } from "./machine";
import { readEvents } from "./sse";
import type { StreamEvent } from "./sse";
import type { Tokens } from "./token";
import type { User } from "./types";

/** The dependencies of a connection. */
export interface ConnectionOptions {
  http: Http;
  tokens: Tokens;
  currentUser: (options: { signal: AbortSignal }) => Promise<User>;
}

/** The stream is dead after this time without a byte, in seconds: the service sends a heartbeat every 15 s. */
const silence = 40;
/** Without any byte for this time after it was opened, in seconds, a proxy is buffering the stream. */
const firstByte = 20;

/** The connection that receives the changes of the current user. */
export interface Connection {
  /** Opens a connection. An open one stays until the new one has replaced it. */
  connect(): Promise<void>;
  disconnect(): void;
}

/** `isShown` returns whether the last event is still on the screen. */
export function createConnection(
  { http, tokens, currentUser }: ConnectionOptions,
  dispatch: (...event: Event) => void,
  isShown: () => boolean,
): Connection {
  let open: AbortController | undefined;
  let opening: AbortController | undefined;
  let lastId: string | undefined;
  let isHeldBack = false;

  const connect = async () => {
    if (opening !== open) opening?.abort();
    const mine = (opening = new AbortController());
    const { signal } = mine;
    const emit = (...event: Event) => {
      if (!signal.aborted) dispatch(...event);
    };

    const onEvent = ({ event, data, id }: StreamEvent) => {
      lastId = id;
      if (event === "user") emit(event, parse(data));
      else if (event === "pending" || event === "deleted") emit(event);
      else if (event === "expired") {
        // The service ends the stream now: that is not a failure.
        emit("wake");
        mine.abort();
      }
      // Events of a later version are ignored.
    };

    /** Reads the stream until it ends. */
    const readStream = async (token: string) => {
      let hasBytes = false;
      try {
        await within(firstByte, signal, async (signal, extend) => {
          // The service does not send again what the client has already received.
          const headers = { accept: "text/event-stream", ...(isShown() && lastId && { "last-event-id": lastId }) };
          const response = await http.send("/v1/users/current/stream", token, signal, headers);
          if (!response.headers.get("content-type")?.startsWith("text/event-stream")) throw notUsersync(response);
          // React Native's own `fetch` has no body to read.
          isHeldBack ||= !response.body;
          if (!response.body) return;
          open?.abort();
          open = mine;
          emit("open", true);
          await readEvents(response.body, () => {
            hasBytes = true;
            extend(silence);
          }, onEvent);
        });
      } catch (error) {
        const { status, kind } = error as Partial<UsersyncError>;
        // Too many streams are open at this address, or the stream is blocked: single requests still work.
        isHeldBack ||= status === 429 || (kind === "timeout" && !hasBytes);
        // Silence, or the end of a stream that had begun, is a connection that broke.
        if (!isHeldBack && kind && kind !== "timeout") throw error;
      }
    };

    try {
      await withToken(tokens.get, async (token) => {
        emit("token", claimsOf(token).sub, tokens.dueIn());
        if (!isHeldBack) await readStream(token);
      });
      if (isHeldBack) {
        // One request instead. The state machine decides when the next one is due.
        const user = await currentUser({ signal });
        emit("open", false);
        emit("user", user);
      } else emit("failed", Math.random());
    } catch (error) {
      emit("failed", Math.random(), error as UsersyncError);
    }
    mine.abort();
  };

  return {
    connect,
    disconnect() {
      open?.abort();
      opening?.abort();
      isHeldBack = false;
    },
  };
}

function parse(data: string | undefined): User {
  try {
    return JSON.parse(data!) as User;
  } catch (cause) {
    throw notUsersync(undefined, { cause });
  }
}
