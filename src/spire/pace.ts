/** Time and chance as the moving parts of this room take them: real in the daemon, made up in tests. */
import { setTimeout } from "node:timers/promises";

export interface Pace {
  /** Milliseconds of a clock that never goes back. */
  nowMs(): number;
  /** Resolves after `delayMs`, or as soon as the signal aborts. Never rejects. */
  sleep(delayMs: number, signal: AbortSignal): Promise<void>;
  /** From 0 to below 1. */
  random(): number;
}

export const realPace: Pace = {
  nowMs: () => performance.now(),
  random: () => Math.random(),
  async sleep(delayMs, signal) {
    await setTimeout(delayMs, undefined, { signal }).catch(() => undefined); // Aborted: woken early.
  },
};

const BACK_OFF_FIRST_MS = 250;
/** Short, as all it spares is one connect to a local socket, and a restarted server is seen soon. */
const BACK_OFF_MAX_MS = 2_000;

/**
 * How long to wait after so many failures in a row (1 or more): twice as long each time, up to 2 s,
 * of which a random half is taken off, so that daemons beside one server do not knock together.
 */
export function backOffMs(failures: number, pace: Pace): number {
  const wholeMs = Math.min(BACK_OFF_FIRST_MS * 2 ** (failures - 1), BACK_OFF_MAX_MS);
  return wholeMs * (1 - pace.random() / 2);
}
