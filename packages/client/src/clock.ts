/** The service's clock, as far as its answers tell: a token's expiry is judged by it and not by the device's. */
export class ServerClock {
  #differences: number[] = [];

  /** Milliseconds since 1970 at the service. */
  now(): number {
    const sorted = [...this.#differences].sort((a, b) => a - b);
    return Date.now() - (sorted[sorted.length >> 1] ?? 0);
  }

  /** Learns from an answer. Browsers show its `Date` where the service exposes it. The last three count. */
  observe(headers: Headers): void {
    const date = Date.parse(headers.get("date") ?? "");
    if (Number.isNaN(date)) return;
    const difference = Date.now() - date;
    // The header has whole seconds: a smaller difference is none.
    this.#differences = [...this.#differences.slice(-2), Math.abs(difference) < 2000 ? 0 : difference];
  }
}

/** Resolves after some time, or at once when the signal is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    if (signal?.aborted) done();
  });
}

/** Milliseconds before attempt number `failures`: 1, 2, 4 … 60 s, each 50 % more or less. */
export function backoff(failures: number, random: number): number {
  return Math.min(60_000, 1000 * 2 ** (failures - 1)) * (0.5 + random);
}
