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

/** What a connection works with. */
export interface ConnectionOptions {
  http: Http;
  tokens: Tokens;
  currentUser: (options: { signal: AbortSignal }) => Promise<User>;
}

/** Without a byte of the stream for so long, it is dead, in seconds: the service sends a heartbeat every 15 s. */
const silence = 40;
/** Without any byte for so long after it was opened, in seconds, something between holds the stream back. */
const firstByte = 20;
const pollEvery = 60_000;
const pollPendingEvery = 2000;

/** What follows the current user. */
export interface Connection {
  /** Opens a connection. One that is open already stays until the new one has taken its place. */
  connect(): void;
  disconnect(): void;
  isOpen(): boolean;
}

/** One connection, as those see it who read from it. */
interface Reading {
  signal: AbortSignal;
  last: { id?: string | undefined };
  tell(...event: Event): void;
}

/** `isShown` says whether what was told last is still on the screen. */
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
    const tell = (...event: Event) => {
      if (signal.aborted) return;
      if (event[0] === "open") {
        if (open !== mine) open?.abort();
        open = mine;
      }
      // The token has expired, and the service ends the stream now: that is no fault.
      if (event[0] === "wake") mine.abort();
      dispatch(...event);
    };
    const error = await withToken(tokens.get, async (token) => {
      tell("token", claimsOf(token).sub, tokens.dueIn());
      // The service leaves out what a client says that it knows.
      if (!isShown()) last.id = undefined;
      const reading = { signal, last, tell };
      isHeldBack ||= !(await readStream(http, token, reading));
      if (isHeldBack) await poll(currentUser, reading);
    }).catch((error: UsersyncError) => error);
    tell("failed", Math.random(), error || undefined);
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

/** Reads the stream until it ends. `false`: no stream comes through, so `poll` is to be used. */
async function readStream(http: Http, token: string, { signal, last, tell }: Reading): Promise<boolean> {
  let hasBytes = false;
  try {
    return await within(firstByte, signal, async (signal, extend) => {
      const headers = { accept: "text/event-stream", ...(last.id && { "last-event-id": last.id }) };
      const response = await http.send("/v1/users/current/stream", token, signal, "GET", headers);
      if (!response.headers.get("content-type")?.startsWith("text/event-stream")) throw notUsersync(response);
      // React Native's own `fetch` has no body to read.
      if (!response.body) return false;
      tell("open", true);
      const onBytes = () => {
        hasBytes = true;
        extend(silence);
      };
      await readEvents(response.body, onBytes, (type, data, id) => {
        last.id = id;
        if (type === "user") tell(type, parse(data));
        if (type === "expired") tell("wake");
        // An event of a later version means nothing here.
        if (type === "pending" || type === "deleted") tell(type);
      });
      return true;
    });
  } catch (error) {
    const { code, kind } = error as Partial<UsersyncError>;
    // Too many streams are open at this address, or nothing came through: the answers to single questions do.
    if (code === "too_many_requests" || (kind === "timeout" && !hasBytes)) return false;
    // Silence, or the end of a stream that had begun, is a connection that broke.
    if (kind && kind !== "timeout") throw error;
    return true;
  }
}

/** Asks again and again where no stream comes through. */
async function poll(ask: ConnectionOptions["currentUser"], { signal, tell }: Reading): Promise<void> {
  while (!signal.aborted) {
    const user = await ask({ signal }).catch((error: UsersyncError) => {
      if (error.code !== "user_not_synced") throw error;
    });
    tell("open", false);
    if (user) tell("user", user);
    else tell("pending");
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
