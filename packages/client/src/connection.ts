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
/** Without any byte for this time after it was requested, in seconds, a proxy is buffering the stream. */
const firstByte = 20;
const pollEvery = 60_000;
/** After this time streams are tried again, in milliseconds. */
const pollsFor = 600_000;

/** The connection that receives the changes of the current user. */
export interface Connection {
  /** Opens a connection. An open one stays until the new one has replaced it. */
  connect(): Promise<void>;
  disconnect(): void;
  /** Whether the last one has ended, and no other is open or being opened. */
  hasEnded(): boolean | undefined;
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
  let pollsUntil = 0;
  const isPolling = () => Date.now() < pollsUntil;

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
      let isBlocked = true;
      try {
        await within(firstByte, signal, async (signal, extend) => {
          // The service does not send again what the client has already received.
          const headers = { accept: "text/event-stream", ...(isShown() && lastId && { "last-event-id": lastId }) };
          const response = await http.send("/v1/users/current/stream", token, signal, headers);
          if (!response.headers.get("content-type")?.startsWith("text/event-stream")) throw notUsersync(response);
          // React Native's own `fetch` has no body to read.
          if (!response.body) return;
          open?.abort();
          open = mine;
          emit("open");
          const onBytes = () => {
            isBlocked = false;
            extend(silence);
          };
          await readEvents(response.body, onBytes, onEvent);
          // It was ended before anything was to be sent.
          isBlocked = false;
        });
      } catch (error) {
        const { status, kind } = error as Partial<UsersyncError>;
        if (kind && kind !== "timeout" && status !== 429) throw error;
        // A connection that broke.
        isBlocked &&= !!kind;
      }
      // Too many streams are open at this address, or nothing of a stream arrives: single requests still work.
      if (isBlocked) pollsUntil = Date.now() + pollsFor;
    };

    try {
      await withToken(tokens.get, async (token) => {
        emit("token", claimsOf(token).sub, tokens.dueIn());
        if (!isPolling()) await readStream(token);
      });
      if (isPolling()) {
        // One request instead, and again later.
        const user = await currentUser({ signal });
        emit("open", pollEvery);
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
      pollsUntil = 0;
    },
    hasEnded: () => opening?.signal.aborted,
  };
}

function parse(data: string | undefined): User {
  try {
    return JSON.parse(data!) as User;
  } catch (cause) {
    throw notUsersync(undefined, { cause });
  }
}
