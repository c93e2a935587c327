/**
 * Those who follow events. What a follower does not read waits in a buffer of limited size; who
 * lets it fill is dropped with a last line that says so, since the daemon waits for nobody.
 */
import type { ServerResponse } from "node:http";
import type { ErrorReply } from "../admin-contract/error-reply.ts";
import { Fault } from "../fault.ts";
import { printableJson } from "../printable.ts";
import type { AdminLimits } from "./limits.ts";
import type { MeshEvent, Operations } from "./operations.ts";

export class Watchers {
  readonly #limits: AdminLimits;
  readonly #operations: Operations;
  readonly #open = new Map<ServerResponse, () => void>();

  constructor(limits: AdminLimits, operations: Operations) {
    this.#limits = limits;
    this.#operations = operations;
  }

  /** Throws `BUSY` when there are too many. */
  checkRoom(): void {
    const { watchersMax } = this.#limits;
    if (this.#open.size < watchersMax) return;
    const advice = "End another `spire-mesh watch` first.";
    throw new Fault("BUSY", `There are ${watchersMax} watchers already.`, { advice });
  }

  /** Streams every event from now on into the response, until either side ends it. */
  add(response: ServerResponse): void {
    const headers = { "content-type": "application/x-ndjson", connection: "close" };
    response.writeHead(200, { ...headers, "cache-control": "no-store" });
    response.flushHeaders();
    const unsubscribe = this.#operations.watch((event) => this.#tell(response, event));
    this.#open.set(response, unsubscribe);
    response.on("error", () => response.destroy());
    response.on("close", () => this.#remove(response));
  }

  /** Ends every stream. */
  stop(): void {
    for (const response of this.#open.keys()) {
      this.#remove(response);
      response.end();
    }
  }

  #tell(response: ServerResponse, event: MeshEvent): void {
    if (response.writableLength <= this.#limits.watchBufferBytesMax) {
      response.write(`${printableJson(event)}\n`);
      return;
    }
    this.#unsubscribe(response);
    response.end(`${JSON.stringify(TOO_SLOW)}\n`);
    setTimeout(() => response.destroy(), this.#limits.lastWordsMs).unref();
  }

  /** A dropped watcher keeps its place until its connection is closed: its buffer is still held. */
  #unsubscribe(response: ServerResponse): void {
    this.#open.get(response)?.();
    this.#open.set(response, () => undefined);
  }

  #remove(response: ServerResponse): void {
    this.#open.get(response)?.();
    this.#open.delete(response);
  }
}

const TOO_SLOW: ErrorReply = {
  error: {
    code: "BUSY",
    message: "This watcher did not read its events in time and was dropped.",
    next: "Run `spire-mesh status` for what was missed, then watch again.",
  },
};
