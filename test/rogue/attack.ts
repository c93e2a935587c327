/** What every strategy gets and tells, and the pace at which it does what it does. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection, Stream } from "@libp2p/interface";
import { type Rogue, startRogue } from "./rogue-node.ts";

export interface AttackOptions {
  /** Multiaddr of the victim, with its peer id. */
  readonly address: string;
  /** Node key of the rogue. 32 bytes. */
  readonly seed: Uint8Array;
  /** The attack ends after so long. */
  readonly seconds: number;
  /** Actions a second; 0 is as many as go out. */
  readonly rate: number;
  /** The attack ends after so many actions. */
  readonly count: number;
  /** Goes on after it was cut off. */
  readonly persistent: boolean;
  /** The address to connect from. */
  readonly from: string | undefined;
  /** Ends the attack. */
  readonly signal: AbortSignal;
}

/** What came of an attack. */
export interface Outcome {
  /** Actions done: what one is, the strategy says. */
  actions: number;
  bytes: number;
  connections: number;
  /** Connections or streams that could not be made. */
  refused: number;
  /** When the victim first closed a connection or a stream. */
  cutOffAfterS: number | undefined;
}

export type Strategy = (attack: Attack) => Promise<void>;

const BETWEEN_ATTEMPTS_MS = 100;
const TICK_MS = 10;
/** How long one send may wait for a victim that does not read. */
const DRAIN_MS = 1_000;

export class Attack {
  readonly options: AttackOptions;
  readonly outcome: Outcome = {
    actions: 0,
    bytes: 0,
    connections: 0,
    refused: 0,
    cutOffAfterS: undefined,
  };
  readonly #beganMs = performance.now();
  readonly #rogues: Rogue[] = [];

  constructor(options: AttackOptions) {
    this.options = options;
  }

  get secondsGone(): number {
    return (performance.now() - this.#beganMs) / 1_000;
  }

  get over(): boolean {
    const { seconds, count, signal, persistent } = this.options;
    return (
      signal.aborted ||
      this.secondsGone >= seconds ||
      this.outcome.actions >= count ||
      (!persistent && this.outcome.cutOffAfterS !== undefined)
    );
  }

  async rogue({ seed = this.options.seed, deaf = false } = {}): Promise<Rogue> {
    const rogue = await startRogue({ seed, deaf, from: this.options.from });
    this.#rogues.push(rogue);
    return rogue;
  }

  cutOff(): void {
    this.outcome.cutOffAfterS ??= this.secondsGone;
  }

  did(bytes: number, actions = 1): void {
    this.outcome.actions += actions;
    this.outcome.bytes += bytes;
  }

  /** Connects, or waits a moment. Its end counts as cut off, unless the rogue is to end it. */
  async connect(rogue: Rogue, endsItself = false): Promise<Connection | undefined> {
    try {
      const connection = await rogue.dial(this.options.address);
      this.outcome.connections += 1;
      connection.addEventListener("close", () => {
        if (!endsItself && !this.over) this.cutOff();
      });
      return connection;
    } catch {
      this.outcome.refused += 1;
      await sleep(BETWEEN_ATTEMPTS_MS);
      return undefined;
    }
  }

  /** Waits for a condition, as long as the attack goes on. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds() && !this.over) await sleep(1);
  }

  /** Does one thing again and again at the rate of the attack, until it is over or says false. */
  async paced(action: () => Promise<boolean>): Promise<void> {
    const { rate } = this.options;
    const beganMs = performance.now();
    let done = 0;
    while (!this.over) {
      const due = rate === 0 ? done + 1 : ((performance.now() - beganMs) * rate) / 1_000;
      while (done < due && !this.over) {
        if (!(await action())) return;
        done += 1;
      }
      await (rate === 0 ? sleep(0) : sleep(TICK_MS));
    }
  }

  /** Sends, and waits while the victim is slow. False when the stream is no more. */
  async send(
    stream: Pick<Stream, "send" | "onDrain" | "status">,
    bytes: Uint8Array,
  ): Promise<boolean> {
    if (stream.status !== "open") return false;
    try {
      if (!stream.send(bytes)) await stream.onDrain({ signal: AbortSignal.timeout(DRAIN_MS) });
    } catch (error) {
      if (stream.status !== "open") return false;
      if (!(error instanceof Error) || error.name !== "TimeoutError") throw error;
    }
    this.did(bytes.length);
    return true;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#rogues.map(async (rogue) => await rogue.stop()));
  }
}
