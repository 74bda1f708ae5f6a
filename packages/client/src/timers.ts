import type { Timer } from "./machine";

/** A timer cannot be longer than 2^31 ms. */
const longest = 12 * 3_600_000;

export interface Timers {
  schedule(timer: Timer, ms: number): void;
  cancel(timer: Timer): void;
}

export function createTimers(onTimer: (timer: Timer) => void): Timers {
  const running: { [timer in Timer]?: ReturnType<typeof setTimeout> } = {};
  const cancel = (timer: Timer) => clearTimeout(running[timer]);
  return {
    cancel,
    schedule(timer, ms) {
      cancel(timer);
      running[timer] = setTimeout(() => onTimer(timer), Math.min(ms, longest));
    },
  };
}
