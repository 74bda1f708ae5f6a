import { sleep } from "./clock";
import { UsersyncError, notUsersync } from "./error";
import { isTokenRefused, pause, tokenFailed } from "./http";
import type { Http } from "./http";
import { claimsOf } from "./jwt";
import { initial, transition } from "./machine";
import type { ClaimsAfter, Command, Event, State, Timer } from "./machine";
import { openStream } from "./stream";
import type { Tokens } from "./token";
import type { AuthInput, Session, User } from "./types";

/** Who is signed in, for any framework: a snapshot, and a subscription to its changes. */
export interface SessionStore {
  /** The same object as long as nothing has changed. */
  getSnapshot(): Session;
  /** Calls the listener after each change, until the returned function is called. */
  subscribe(listener: () => void): () => void;
  /** What the sign-in library says; `null` when nobody is signed in. Calling it again with the same is free. */
  setAuth(auth: AuthInput | null): void;
  /** Tries again now, instead of when the next attempt is due. */
  retry(): void;
  /** Ends every connection and timer, for good. */
  close(): void;
}

/** What the store works with. */
export interface StoreOptions {
  http: Http;
  tokens: Tokens;
  currentUser: (signal: AbortSignal) => Promise<User>;
  storeCurrentUser: (signal: AbortSignal) => Promise<User>;
  claimsAfter: ClaimsAfter;
  onDeleted: ((event: { sub: string }) => void) | undefined;
}

/** Without a byte of the stream for so long, it is dead: the service sends a heartbeat every 15 s. */
const silence = 40_000;
/** Without any byte for so long after it was opened, something between holds the stream back. */
const firstByte = 20_000;
const pollEvery = 60_000;
/** How long a page may be hidden before its connection is given back. */
const hiddenFor = 30_000;
/** A timer cannot be longer than 2^31 ms. */
const longestTimer = 12 * 3_600_000;

interface Connection {
  controller: AbortController;
  isOpen: boolean;
}

/** Does what the state machine says. */
export class Store implements SessionStore {
  readonly #options: StoreOptions;
  #state: State = initial;
  #listeners = new Set<() => void>();
  #timers = new Map<Timer, ReturnType<typeof setTimeout>>();
  /** The connection that tells of the user, and one that is about to take its place. */
  #connections = new Set<Connection>();
  #lastEventId: string | undefined;
  #isStreamHeldBack = false;
  #isClosed = false;
  #stopListening: (() => void) | undefined;
  #channel: { name: string; channel: BroadcastChannel } | undefined;

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  getSnapshot = (): Session => this.#state.session;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  setAuth = (auth: AuthInput | null): void => {
    if (this.#isClosed) return;
    this.#options.tokens.fetch = auth?.fetchToken;
    this.#stopListening ??= this.#listenToPage();
    const { isLoading, isAuthenticated, sessionKey, subject = null } = auth ?? nobody;
    this.#dispatch({ type: "auth", auth: { isLoading, isAuthenticated, sessionKey, subject } });
  };

  retry = (): void => this.#dispatch({ type: "wake" });

  close = (): void => {
    this.#isClosed = true;
    this.#disconnect(true);
    this.#stopListening?.();
    this.#channel?.channel.close();
    this.#listeners.clear();
  };

  #dispatch(event: Event): void {
    if (this.#isClosed) return;
    const before = this.#state;
    const [state, commands] = transition(before, event, this.#options.claimsAfter);
    this.#state = state;
    const { status } = state.session;
    // The service leaves out what a client says that it knows. It knows what it shows.
    if (status !== "signedIn" && status !== "pending") this.#lastEventId = undefined;
    if (state.subject !== before.subject) this.#listenToTabs(state.subject);
    for (const command of commands) this.#do(command);
    if (status === "signedOut" && before.subject !== null) this.#tell("signedOut", before.subject);
    if (state.session === before.session) return;
    for (const listener of [...this.#listeners]) listener();
  }

  #do(command: Command): void {
    switch (command.do) {
      case "connect":
        this.#connect(command.force);
        break;
      case "disconnect":
        this.#disconnect(command.forget);
        break;
      case "store":
        void this.#store();
        break;
      case "cancel":
        clearTimeout(this.#timers.get(command.timer));
        break;
      case "schedule": {
        const { timer, ms } = command;
        clearTimeout(this.#timers.get(timer));
        const run = () => this.#dispatch({ type: "timer", timer });
        this.#timers.set(timer, setTimeout(run, Math.min(ms, longestTimer)));
        break;
      }
      case "announceDeletion":
        this.#tell("deleted", command.subject);
        this.#options.onDeleted?.({ sub: command.subject });
    }
  }

  #disconnect(forget: boolean): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const { controller } of this.#connections) controller.abort();
    this.#connections.clear();
    if (forget) this.#options.tokens.forget();
  }

  /** Opens a connection. One that is open already stays until the new one has taken its place. */
  #connect(force: boolean): void {
    for (const one of this.#connections) if (!one.isOpen) this.#end(one);
    const connection: Connection = { controller: new AbortController(), isOpen: false };
    this.#connections.add(connection);
    this.#follow(connection, force)
      .catch((error: unknown) => {
        if (this.#connections.has(connection)) this.#dispatch(this.#trouble(error));
      })
      .finally(() => this.#end(connection));
  }

  #end(connection: Connection): void {
    this.#connections.delete(connection);
    connection.controller.abort();
  }

  async #follow(connection: Connection, force: boolean): Promise<void> {
    const isOver = () => !this.#connections.has(connection);
    let token = await this.#token(force);
    if (isOver()) return;
    if (token === null) return this.#dispatch({ type: "noToken" });
    this.#dispatch(this.#tokenEvent(token));
    if (isOver()) return;
    try {
      await this.#read(connection, token);
    } catch (error) {
      if (isOver() || force || !(error instanceof UsersyncError) || !isTokenRefused(error)) throw error;
      // A token that the service refuses is asked for anew, once.
      const another = await this.#token(true);
      if (isOver()) return;
      if (another === null) return this.#dispatch({ type: "noToken" });
      if (another === token) throw error;
      token = another;
      this.#dispatch(this.#tokenEvent(token));
      if (!isOver()) await this.#read(connection, token);
    }
  }

  async #token(force: boolean): Promise<string | null> {
    return this.#options.tokens.get(force).catch((cause: unknown) => {
      throw tokenFailed(cause);
    });
  }

  #tokenEvent(token: string): Event {
    const { tokens, http } = this.#options;
    const { refreshAt } = tokens;
    const refreshIn = refreshAt === undefined ? undefined : refreshAt - http.clock.now() - Math.random() * 5000;
    const subject = claimsOf(token)?.sub;
    return {
      type: "token",
      subject: typeof subject === "string" ? subject : null,
      refreshIn: refreshIn && Math.max(1000, refreshIn),
    };
  }

  /** Reads the stream until it ends, or asks again and again where no stream comes through. */
  async #read(connection: Connection, token: string): Promise<void> {
    if (this.#isStreamHeldBack) return this.#poll(connection);
    const { controller } = connection;
    let watchdog: ReturnType<typeof setTimeout> | undefined;
    let isHeldBack = false;
    const onSilence = () => {
      isHeldBack = true;
      controller.abort();
    };
    const watch = (ms: number) => {
      clearTimeout(watchdog);
      watchdog = setTimeout(onSilence, ms);
    };
    let bytes = 0;
    const onBytes = () => {
      bytes += 1;
      watch(silence);
    };
    watch(firstByte);
    try {
      const { http } = this.#options;
      const lastEventId = this.#lastEventId;
      const events = await openStream(http, { token, lastEventId, signal: controller.signal, onBytes });
      if (!events) return await this.#pollInstead(connection);
      if (!this.#takePlace(connection)) return;
      for await (const event of events) {
        if (!this.#connections.has(connection)) return;
        if (event.id) this.#lastEventId = event.id;
        this.#dispatch(event);
        if (event.type === "deleted" || event.type === "expired") return;
      }
      this.#lost(connection);
    } catch (error) {
      // Too many streams are open at this address, or nothing came through: the answers to single questions do.
      if (error instanceof UsersyncError && error.code === "too_many_requests") return this.#pollInstead(connection);
      if (isHeldBack && bytes === 0) {
        connection.controller = new AbortController();
        return this.#pollInstead(connection);
      }
      if (isHeldBack) return this.#lost(connection);
      throw error;
    } finally {
      clearTimeout(watchdog);
    }
  }

  /** The stream broke off, as it does when the service is restarted. */
  #lost(connection: Connection): void {
    if (!this.#connections.has(connection)) return;
    const { failures } = this.#state;
    const retryIn = failures === 0 ? 500 + Math.random() * 2500 : pause(undefined, failures + 1);
    this.#dispatch({ type: "unavailable", error: undefined, retryIn });
  }

  #pollInstead(connection: Connection): Promise<void> {
    this.#isStreamHeldBack = true;
    return this.#poll(connection);
  }

  async #poll(connection: Connection): Promise<void> {
    while (this.#connections.has(connection)) {
      const { signal } = connection.controller;
      let event: Event;
      try {
        event = { type: "user", user: await this.#options.currentUser(signal) };
      } catch (error) {
        const code = error instanceof UsersyncError ? error.code : "";
        if (code === "user_not_synced") event = { type: "pending" };
        else if (code === "user_deleted") event = { type: "deleted" };
        else throw error;
      }
      if (!this.#takePlace(connection)) return;
      this.#dispatch(event);
      await sleep(this.#state.session.status === "pending" ? 2000 : pollEvery, signal);
    }
  }

  /** A connection that works ends the one before it; whether it is wanted at all. */
  #takePlace(connection: Connection): boolean {
    if (!this.#connections.has(connection)) return false;
    connection.isOpen = true;
    for (const other of this.#connections) if (other !== connection) this.#end(other);
    this.#dispatch({ type: "open", isLive: !this.#isStreamHeldBack });
    return true;
  }

  async #store(): Promise<void> {
    const connection = [...this.#connections].at(-1);
    if (!connection) return;
    try {
      const user = await this.#options.storeCurrentUser(connection.controller.signal);
      if (this.#state.session.status === "pending") this.#dispatch({ type: "user", user });
    } catch (error) {
      if (connection.controller.signal.aborted) return;
      const trouble = this.#trouble(error);
      if (trouble.type !== "unavailable" || !trouble.error) return this.#dispatch(trouble);
      this.#dispatch({ type: "storeFailed", error: trouble.error, retryIn: trouble.retryIn });
    }
  }

  /** What an error means for the session. */
  #trouble(cause: unknown): Event {
    const error = cause instanceof UsersyncError ? cause : notUsersync(undefined, { cause, retryable: true });
    const failures = this.#state.failures + 1;
    const unavailable: Event = { type: "unavailable", error, retryIn: pause(error, failures) };
    if (error.code === "user_deleted") return { type: "deleted" };
    if (error.code === "user_not_synced") return { type: "pending" };
    if (isTokenRefused(error)) return { type: "refused", error };
    if (error.retryable || error.status >= 500) return unavailable;
    return { type: "misconfigured", error };
  }

  /** A page that sleeps misses its timers; when it wakes, everything is looked at again. */
  #listenToPage(): () => void {
    const target: Partial<Pick<Window, "addEventListener" | "removeEventListener" | "document">> = globalThis;
    if (!target.addEventListener) return () => {};
    let hidden: ReturnType<typeof setTimeout> | undefined;
    let isSuspended = false;
    const wake = () => {
      clearTimeout(hidden);
      if (target.document?.visibilityState === "hidden") {
        hidden = setTimeout(() => {
          isSuspended = true;
          this.#dispatch({ type: "hidden" });
        }, hiddenFor);
      } else if (isSuspended || this.#needsCare()) {
        isSuspended = false;
        this.#dispatch({ type: "wake" });
      }
    };
    const online = () => this.#dispatch({ type: "wake" });
    const events = { visibilitychange: wake, focus: wake, pageshow: wake, online } as const;
    const targets = [target, target.document];
    for (const [name, listener] of Object.entries(events)) {
      for (const one of targets) one?.addEventListener?.(name, listener);
    }
    return () => {
      clearTimeout(hidden);
      for (const [name, listener] of Object.entries(events)) {
        for (const one of targets) one?.removeEventListener?.(name, listener);
      }
    };
  }

  /** Whether there is no working connection, or the token's time is over although its timer has not run. */
  #needsCare(): boolean {
    const { tokens, http } = this.#options;
    const isDue = tokens.refreshAt !== undefined && http.clock.now() >= tokens.refreshAt;
    return isDue || ![...this.#connections].some((one) => one.isOpen);
  }

  /** Other tabs of the same user tell of a deletion and of a sign-out. */
  #listenToTabs(subject: string | null): void {
    this.#channel?.channel.close();
    this.#channel = undefined;
    if (subject === null || typeof BroadcastChannel === "undefined") return;
    const name = `usersync:${subject}`;
    const channel = new BroadcastChannel(name);
    // Node would wait for a channel; browsers know no such thing.
    (channel as { unref?: () => void }).unref?.();
    channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (data === "deleted") this.#dispatch({ type: "deleted" });
      // The sign-in library of this tab is asked again: its token may be gone.
      if (data === "signedOut") {
        this.#options.tokens.forget();
        this.#dispatch({ type: "wake" });
      }
    };
    this.#channel = { name, channel };
  }

  #tell(what: "deleted" | "signedOut", subject: string): void {
    if (typeof BroadcastChannel === "undefined") return;
    const channel = new BroadcastChannel(`usersync:${subject}`);
    channel.postMessage(what);
    channel.close();
  }
}

const nobody: Omit<AuthInput, "fetchToken"> = { isLoading: false, isAuthenticated: false, sessionKey: null };
