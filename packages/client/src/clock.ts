import { UsersyncError } from "./error";

/** The service's clock, as far as its answers tell: a token's expiry is judged by it and not by the device's. */
export interface ServerClock {
  /** Milliseconds since 1970 at the service. */
  now(): number;
  /** Learns from an answer. Browsers show its `Date` where the service exposes it. The last three count. */
  observe(headers: Headers): void;
}

export function createClock(): ServerClock {
  let differences: number[] = [];
  return {
    now: () => Date.now() - ([...differences].sort((a, b) => a - b)[differences.length >> 1] ?? 0),
    observe(headers) {
      const difference = Date.now() - Date.parse(headers.get("date") ?? "");
      // The header has whole seconds: a smaller difference is none.
      if (difference) differences = [...differences.slice(-2), Math.abs(difference) < 2000 ? 0 : difference];
    },
  };
}

/** Calls a function when the signal is aborted, or at once if it is already. Returns what takes it back. */
export function onAbort(signal: AbortSignal | undefined, stop: () => void): () => void {
  signal?.addEventListener("abort", stop);
  if (signal?.aborted) stop();
  return () => signal?.removeEventListener("abort", stop);
}

/** A signal that is aborted with another one, and when its time is over. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** From now on so many seconds. */
  extend(seconds: number): void;
  end(): void;
}

// `AbortSignal.any` and `AbortSignal.timeout` are not there in React Native and in older browsers.
export function createDeadline(parent: AbortSignal | undefined, seconds: number): Deadline {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = (seconds: number) => {
    controller.abort(new UsersyncError("timeout", "timeout", `No answer within ${seconds} s.`, { retryable: true }));
  };
  const extend = (seconds: number) => {
    clearTimeout(timer);
    timer = setTimeout(late, seconds * 1000, seconds);
  };
  extend(seconds);
  const forget = onAbort(parent, () => controller.abort(parent?.reason));
  return {
    signal: controller.signal,
    extend,
    end() {
      clearTimeout(timer);
      forget();
    },
  };
}

/** Resolves after some time, or at once when the signal is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const deadline = createDeadline(signal, ms / 1000);
    onAbort(deadline.signal, () => {
      deadline.end();
      resolve();
    });
  });
}
