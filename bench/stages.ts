/** Where the time of a rotation goes, from the events that the daemons tell of themselves. */
import { watchAdmin } from "../src/admin-contract/client.ts";
import type { WatchEvent, WatchEventName } from "../src/admin-contract/watch-event.ts";
import type { Bench } from "./sites.ts";

/** The watched events of some daemons, from `begin` until `end`. */
export class Stages {
  readonly #ended = new AbortController();
  readonly #events = new Map<Bench, WatchEvent[]>();

  static async begin(benches: readonly Bench[]): Promise<Stages> {
    const stages = new Stages();
    for (const bench of benches) await stages.#watch(bench);
    return stages;
  }

  end(): void {
    this.#ended.abort();
  }

  /** Forgets what happened so far. */
  reset(): void {
    for (const events of this.#events.values()) events.splice(0);
  }

  /** When the first such event about a trust domain was told, as Unix time in milliseconds. */
  timeOf(at: Bench, name: WatchEventName, about: Bench): number | undefined {
    const found = this.#events
      .get(at)
      ?.find(({ event, trust_domain }) => event === name && trust_domain === about.trustDomain);
    return found && Date.parse(found.t);
  }

  async #watch(bench: Bench): Promise<void> {
    const events: WatchEvent[] = [];
    this.#events.set(bench, events);
    const stream = await watchAdmin(bench.site.adminSocket, this.#ended.signal);
    void collect(stream, events);
  }
}

/** Ends quietly with the stream: without its events a stage is only not told. */
async function collect(stream: AsyncIterable<WatchEvent>, into: WatchEvent[]): Promise<void> {
  try {
    for await (const event of stream) into.push(event);
  } catch (error) {
    process.stderr.write(`events are missing: ${String(error)}\n`);
  }
}
