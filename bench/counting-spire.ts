/**
 * Counts the calls that a SPIRE Server gets: it moves the server's socket aside, takes its path, and
 * passes every call on. Whoever connects by that path from then on is counted.
 */
import { rename } from "node:fs/promises";
import { type SpireApi, spireApi } from "../src/spire-api/client.ts";
import { serveSpireApi } from "../src/spire-api/server.ts";

type Method = (request: unknown) => unknown;
type Methods = Readonly<Record<string, Method>>;

export class CountingSpire {
  /** Calls by method, as `batchSetFederatedBundle`, since the last `reset`. */
  readonly counts = new Map<string, number>();
  readonly #close: () => Promise<void>;

  private constructor(close: () => Promise<void>) {
    this.#close = close;
  }

  static async at(socketPath: string): Promise<CountingSpire> {
    const aside = `${socketPath}.real`;
    await rename(socketPath, aside);
    const api = spireApi({ socketPath: aside });
    const counting = new CountingSpire(async () => {
      await listener.close();
      api.close();
      await rename(aside, socketPath);
    });
    const listener = await serveSpireApi(socketPath, counting.#passOn(api));
    return counting;
  }

  /** Gives the server its socket back. */
  async close(): Promise<void> {
    await this.#close();
  }

  reset(): void {
    this.counts.clear();
  }

  /** Calls that change a row or may. */
  get writes(): number {
    return this.counts
      .entries()
      .filter(([method]) => method.startsWith("batch") && method.endsWith("FederatedBundle"))
      .reduce((sum, [, count]) => sum + count, 0);
  }

  #passOn(api: SpireApi) {
    const services = Object.entries(api).filter(([name]) => name !== "close");
    const counted = services.map(([service, client]) => [
      service,
      Object.fromEntries(
        Object.entries(client as Methods).map(([name, call]) => [name, this.#counted(name, call)]),
      ),
    ]);
    return Object.fromEntries(counted) as Parameters<typeof serveSpireApi>[1];
  }

  #counted(method: string, call: Method): Method {
    return (request) => {
      this.counts.set(method, (this.counts.get(method) ?? 0) + 1);
      return call(request);
    };
  }
}
