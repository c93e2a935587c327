/**
 * Where log lines go: stderr, which takes what it can at once and is never waited for.
 *
 *     line ──▶ written before the call returns, so that a crash loses nothing
 *       │ nobody reads, or the disk is full
 *       ├─▶ kept in order, tried again
 *       └─▶ beyond that dropped and counted; once all that was kept is written, a line says how many
 *
 * A terminal is held up by ^S, or by whoever reads a container's `tty: true`. What alone is waited for
 * is one that belongs to another user, and a datagram socket, which no starter of daemons gives.
 */
import { constants, fstatSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import pino from "pino";

const STDERR = 2;
/** A thousand lines; ten minutes of a busy mesh. Above: dropped and counted. */
const BUFFERED_BYTES_MAX = 256 * 1_024;
/** A pipe of 64 KiB takes 640 KB a second so; each new line is another try. */
const RETRY_MS = 100;
/** At the stop there is no time to lose. */
const FLUSH_RETRY_MS = 10;

export class LogOutput {
  readonly #stream: ReturnType<typeof pino.destination>;
  readonly #onLost: (count: number) => void;
  /** Lines dropped since the last one that was not. */
  #lost = 0;
  /** While the last write failed. */
  #retry: NodeJS.Timeout | undefined;

  /** @param onLost Logs that so many lines were lost. */
  constructor(onLost: (count: number) => void) {
    this.#onLost = onLost;
    this.#stream = pino.destination({
      dest: openStderr(),
      sync: true,
      maxLength: BUFFERED_BYTES_MAX,
      retryEAGAIN: () => false, // It would sleep, and with it the whole daemon.
    });
    this.#stream.removeAllListeners("error"); // pino's own writes nothing more after an EPIPE.
    this.#stream.on("error", () => this.#tryLater());
    this.#stream.on("drop", () => void (this.#lost += 1));
    this.#stream.on("drain", () => this.#onWritten());
  }

  /** Takes one line, with its line break. */
  write(line: string): void {
    if (this.#lost > 0) this.#lost += 1;
    else this.#stream.write(line);
  }

  /** Resolves when all is written, or after so long. */
  async flush(deadlineMs: number): Promise<void> {
    const endMs = performance.now() + deadlineMs;
    while (this.#retry !== undefined && performance.now() < endMs) {
      await sleep(FLUSH_RETRY_MS);
      this.#tryAgain();
    }
  }

  #tryLater(): void {
    this.#retry ??= setTimeout(() => this.#tryAgain(), RETRY_MS).unref();
  }

  #tryAgain(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#stream.write(""); // What is kept goes first.
  }

  #onWritten(): void {
    if (this.#retry !== undefined || this.#lost === 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    this.#onLost(lost);
  }
}

/**
 * A description of our own, which does not block: the one that we were given may be that of a shell,
 * which needs it blocking. A file never blocks, and whoever else writes by the given description
 * goes on where we stopped.
 */
function openStderr(): number {
  const { O_WRONLY, O_NOCTTY, O_NONBLOCK } = constants;
  try {
    if (fstatSync(STDERR).isFile()) return STDERR;
    return openSync(`/proc/self/fd/${STDERR}`, O_WRONLY | O_NOCTTY | O_NONBLOCK);
  } catch {
    // A socket, or not ours to open. Node makes it non-blocking when it opens its own stream on it.
    void process.stderr;
    return STDERR;
  }
}
