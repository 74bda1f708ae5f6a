import { sleep, within } from "./clock";
import { notUsersync } from "./error";
import type { UsersyncError } from "./error";
import { withToken } from "./http";
import type { Http } from "./http";
import { claimsOf } from "./jwt";
import type { Event } from "./machine";
import { readEvents } from "./sse";
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
const pollEvery = 60_000;
const pollPendingEvery = 2000;

/** The connection that receives the changes of the current user. */
export interface Connection {
  /** Opens a connection. An open one stays until the new one has replaced it. */
  connect(): void;
  disconnect(): void;
  isOpen(): boolean;
}

/** One connection, for the functions that read from it. */
interface Reading {
  signal: AbortSignal;
  last: { id?: string | undefined };
  emit(...event: Event): void;
}

/** `isShown` returns whether the last event is still on the screen. */
export function createConnection(
  { http, tokens, currentUser }: ConnectionOptions,
  dispatch: (...event: Event) => void,
  isShown: () => boolean,
): Connection {
  let open: AbortController | undefined;
  let opening: AbortController | undefined;
  let isHeldBack = false;
  const last: Reading["last"] = {};

  const follow = async (mine: AbortController) => {
    const { signal } = mine;
    const emit = (...event: Event) => {
      if (signal.aborted) return;
      if (event[0] === "open") {
        if (open !== mine) open?.abort();
        open = mine;
      }
      // The token has expired, and the service ends the stream now: that is not a failure.
      if (event[0] === "wake") mine.abort();
      dispatch(...event);
    };
    const error = await withToken(tokens.get, async (token) => {
      emit("token", claimsOf(token).sub, tokens.dueIn());
      // The service does not send again what the client has already received.
      if (!isShown()) last.id = undefined;
      const reading = { signal, last, emit };
      isHeldBack ||= !(await readStream(http, token, reading));
      if (isHeldBack) await poll(currentUser, reading);
    }).catch((error: UsersyncError) => error);
    emit("failed", Math.random(), error || undefined);
    mine.abort();
  };

  return {
    connect() {
      if (opening !== open) opening?.abort();
      opening = new AbortController();
      void follow(opening);
    },
    disconnect() {
      open?.abort();
      opening?.abort();
      isHeldBack = false;
      last.id = undefined;
    },
    isOpen: () => open?.signal.aborted === false,
  };
}

/** Reads the stream until it ends. `false`: streams do not work here, so use `poll`. */
async function readStream(http: Http, token: string, { signal, last, emit }: Reading): Promise<boolean> {
  let hasBytes = false;
  try {
    return await within(firstByte, signal, async (signal, extend) => {
      const headers = { accept: "text/event-stream", ...(last.id && { "last-event-id": last.id }) };
      const response = await http.send("/v1/users/current/stream", token, signal, "GET", headers);
      if (!response.headers.get("content-type")?.startsWith("text/event-stream")) throw notUsersync(response);
      // React Native's own `fetch` has no body to read.
      if (!response.body) return false;
      emit("open", true);
      const onBytes = () => {
        hasBytes = true;
        extend(silence);
      };
      await readEvents(response.body, onBytes, (type, data, id) => {
        last.id = id;
        if (type === "user") emit(type, parse(data));
        if (type === "expired") emit("wake");
        // Events of a later version are ignored.
        if (type === "pending" || type === "deleted") emit(type);
      });
      return true;
    });
  } catch (error) {
    const { code, kind } = error as Partial<UsersyncError>;
    // Too many streams are open at this address, or the stream is blocked: single requests still work.
    if (code === "too_many_requests" || (kind === "timeout" && !hasBytes)) return false;
    // Silence, or the end of a stream that had begun, is a connection that broke.
    if (kind && kind !== "timeout") throw error;
    return true;
  }
}

/** Polls if streams do not work. */
async function poll(ask: ConnectionOptions["currentUser"], { signal, emit }: Reading): Promise<void> {
  while (!signal.aborted) {
    const user = await ask({ signal }).catch((error: UsersyncError) => {
      if (error.code !== "user_not_synced") throw error;
    });
    emit("open", false);
    if (user) emit("user", user);
    else emit("pending");
    await sleep(user ? pollEvery : pollPendingEvery, signal);
  }
}

function parse(data: string): User {
  try {
    return JSON.parse(data) as User;
  } catch (cause) {
    throw notUsersync(undefined, { cause });
  }
}
