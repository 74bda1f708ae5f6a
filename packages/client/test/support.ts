import { vi } from "vitest";

import type { User } from "../src";

export function user(sub: string, more: Partial<User> = {}): User {
  return {
    id: `id-${sub}`,
    source: "dev",
    externalId: sub,
    name: sub,
    givenName: null,
    familyName: null,
    nickname: null,
    email: null,
    emailVerified: null,
    phoneNumber: null,
    phoneNumberVerified: null,
    pictureUrl: null,
    metadata: {},
    createdAt: null,
    updatedAt: "2026-01-01T00:00:00Z",
    syncedAt: "2026-01-01T00:00:00Z",
    ...more,
  };
}

export const base64url = (value: unknown) =>
  btoa(JSON.stringify(value)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

let serial = 0;

/** An unsigned token: only the service would look at the signature. */
export function token(sub: string, lifetimeSeconds: number | null = 3600, issuedAt = Date.now()): string {
  const iat = Math.floor(issuedAt / 1000);
  const exp = lifetimeSeconds === null ? {} : { exp: iat + lifetimeSeconds };
  return `${base64url({ alg: "RS256" })}.${base64url({ sub, iat, jti: ++serial, ...exp })}.x`;
}

export function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  const body = JSON.stringify({ code, status, title: code, detail: `detail of ${code}` });
  return new Response(body, { status, headers: { "content-type": "application/problem+json", ...headers } });
}

export function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
}

/** One stream that the fake service holds open. */
export interface OpenStream {
  token: string;
  lastEventId: string | null;
  isAborted: () => boolean;
  send: (event: string, data?: unknown, id?: string) => Promise<void>;
  raw: (text: string) => Promise<void>;
  end: () => void;
  fail: () => void;
}

/** A service that answers as the test says. */
export class FakeService {
  /** Every request: method and path. */
  readonly requests: string[] = [];
  readonly streams: OpenStream[] = [];
  /** Whether a proxy holds back everything of a stream. */
  isHeldBack = false;
  /** Answers instead of opening a stream; used once each. */
  readonly refusals: (Response | Error)[] = [];
  /** Answers everything that is no stream. */
  answer: (request: Request) => Response | Promise<Response> = () => problem(404, "not_found");

  readonly fetch = vi.fn(async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(new URL(String(input), "http://usersync.test"), init);
    const url = new URL(request.url);
    this.requests.push(`${request.method} ${url.pathname}${url.search}`);
    if (!url.pathname.endsWith("/stream")) return this.answer(request);
    const refusal = this.refusals.shift();
    if (refusal instanceof Error) throw refusal;
    if (refusal) return refusal;
    return this.#open(request, init?.signal ?? undefined);
  });

  get stream(): OpenStream {
    const last = this.streams.at(-1);
    if (!last) throw new Error("no stream is open");
    return last;
  }

  /** Lets time pass, in which every open stream has its heartbeats. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 15_000) {
      await vi.advanceTimersByTimeAsync(Math.min(left, 15_000));
      for (const stream of this.streams) if (!stream.isAborted()) await stream.raw(":\n\n").catch(() => {});
    }
    await settle();
  }

  #open(request: Request, signal: AbortSignal | undefined): Response {
    const encoder = new TextEncoder();
    let controller!: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({ start: (it) => void (controller = it) });
    let aborted = false;
    signal?.addEventListener("abort", () => {
      aborted = true;
      try {
        controller.error(signal.reason);
      } catch {
        // It had ended.
      }
    });
    const raw = async (text: string) => {
      controller.enqueue(encoder.encode(text));
      await settle();
    };
    this.streams.push({
      token: request.headers.get("authorization")?.replace("Bearer ", "") ?? "",
      lastEventId: request.headers.get("last-event-id"),
      isAborted: () => aborted,
      raw,
      send: (event, data = {}, id) =>
        raw(`event: ${event}\n${id ? `id: ${id}\n` : ""}data: ${JSON.stringify(data)}\n\n`),
      end: () => controller.close(),
      fail: () => controller.error(new TypeError("network")),
    });
    if (!this.isHeldBack) controller.enqueue(encoder.encode("retry: 2000\n\n"));
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }
}

/** Lets everything happen that waits for nothing but other promises. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await vi.advanceTimersByTimeAsync(0);
}
