/**
 * Watches the rows of other trust domains, and who else keeps them: read every 10 s and on demand,
 * as any program with the socket may write them and SPIRE tells nobody.
 */
import type { ListedRow } from "../core/mesh/row-order.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { Fault } from "../fault.ts";
import type { SpireServer } from "../ports/spire-server.ts";
import { Outage } from "./outage.ts";
import { type Pace, backOffMs, realPace } from "./pace.ts";
import { orFault } from "./spire-fault.ts";
import { TurnLoop } from "./turn-loop.ts";

/** 10,000 rows take about 0.5 s to list (3,000 in 0.15 s, measured). */
const READ_INTERVAL_MS = 10_000;

type RowLists = Pick<SpireServer, "listFederatedBundles" | "listFederationRelationships">;

export interface RowWatcherEvents {
  onRowsRead(rows: readonly ListedRow[], relationships: readonly TrustDomain[]): void;
  /**
   * When the lists cannot be read, for each demand, and when the reason is another; they are tried
   * again with a back-off.
   */
  onRowsUnread(fault: Fault): void;
}

export class RowWatcher {
  readonly #pace: Pace;
  readonly #server: RowLists;
  readonly #events: RowWatcherEvents;
  readonly #loop: TurnLoop;
  readonly #outage = new Outage();
  /** Who wants a read that begins from now on; they share one. */
  #asked: PromiseWithResolvers<void> | undefined;

  constructor(
    { pace = realPace }: { readonly pace?: Pace },
    server: RowLists,
    events: RowWatcherEvents,
  ) {
    this.#pace = pace;
    this.#server = server;
    this.#events = events;
    this.#loop = new TurnLoop(async () => await this.#turn(), pace);
  }

  start(): void {
    this.#loop.start();
  }

  /**
   * Reads once more from the start, now or right after the read under way. Resolves when the events
   * have told what came of it, or at the stop.
   */
  async readNow(): Promise<void> {
    this.#asked ??= Promise.withResolvers();
    const { promise } = this.#asked;
    this.#loop.wake();
    await promise;
  }

  /** Resolves when the read under way has ended; no event comes after the call. */
  async stop(): Promise<void> {
    await this.#loop.stop();
    this.#asked?.resolve();
  }

  async #turn(): Promise<number> {
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked !== undefined) this.#outage.end();
    try {
      return await this.#readOnce();
    } finally {
      asked?.resolve();
    }
  }

  async #readOnce(): Promise<number> {
    const lists = await orFault(this.#read());
    if (this.#loop.stopped) return 0;
    if (lists instanceof Fault) {
      if (this.#outage.fail(lists)) this.#events.onRowsUnread(lists);
      return backOffMs(this.#outage.failures, this.#pace);
    }
    this.#outage.end();
    this.#events.onRowsRead(lists.rows, lists.relationships);
    return READ_INTERVAL_MS;
  }

  async #read() {
    const rows = await this.#server.listFederatedBundles();
    return { rows, relationships: await this.#server.listFederationRelationships() };
  }
}
