import { UsersyncError } from "./error";

/** The service's clock, estimated from its answers: it decides when a token expires, and not the device's clock. */
export interface ServerClock {
  /** Milliseconds since 1970 at the service. */
  now(): number;
  /** Reads the time of an answer, if the browser allows reading `Date`. The last three answers count. */
  observe(headers: Headers): void;
}

export function createClock(): ServerClock {
  let differences: number[] = [];
  return {
    now: () => Date.now() - ([...differences].sort((a, b) => a - b)[differences.length >> 1] ?? 0),
    observe(headers) {
      const difference = Date.now() - Date.parse(headers.get("date")!);
      // The header has whole seconds: a smaller difference is ignored.
      if (difference) differences = [...differences.slice(-2), Math.abs(difference) < 2000 ? 0 : difference];
    },
  };
}

/**
 * Runs something with a signal that is aborted with another one, or with an error after a timeout. `extend` sets
 * how long it has from now on.
 */
// `AbortSignal.any` and `AbortSignal.timeout` do not exist in React Native and in older browsers.
export async function within<T>(
  seconds: number,
  parent: AbortSignal | undefined,
  run: (signal: AbortSignal, extend: (seconds: number) => void) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const stop = () => controller.abort(parent?.reason);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const extend = (seconds: number) => {
    clearTimeout(timer);
    const late = () => controller.abort(new UsersyncError("timeout", "timeout", "No answer in time.", { retryable: true }));
    timer = setTimeout(late, seconds * 1000);
  };
  extend(seconds);
  parent?.addEventListener("abort", stop);
  if (parent?.aborted) stop();
  try {
    return await run(controller.signal, extend);
  } finally {
    clearTimeout(timer);
    parent?.removeEventListener("abort", stop);
  }
}

/** Ends when the signal is aborted; never, without one. */
export function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    signal?.addEventListener("abort", () => resolve());
    if (signal?.aborted) resolve();
  });
}

/** Ends after some time, or at once when the signal is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return within(ms / 1000, signal, aborted);
}
