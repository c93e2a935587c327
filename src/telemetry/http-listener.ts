/**
 * A listener for monitoring: a few pages without parameters, for GET and HEAD. It is off by default,
 * on loopback by default, and shows nothing secret; the limits keep whoever reaches it from costing
 * the daemon more than a little.
 */
import { once } from "node:events";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import { Fault } from "../fault.ts";
import type { Logger } from "./log.ts";
import { takeOneRequest } from "./one-request.ts";
import { WaitingConnections } from "./waiting-connections.ts";

/** A scraper and a kubelet need two. Above: the oldest that has not sent its request is closed. */
const CONNECTIONS_MAX = 64;
/** Node's own default is 16 KiB; neither of those two sends 1. Above: 431. */
const HEADER_BYTES_MAX = 8 * 1024;
/** For a whole request, and for reading on in its answer. After that: closed. */
const REQUEST_DEADLINE_MS = 5_000;
const READ_DEADLINE_MS = 5_000;
/** How often Node looks at those deadlines. */
const DEADLINE_CHECK_MS = 1_000;

export interface Page {
  readonly status: 200 | 500;
  readonly contentType: string;
  readonly body: string;
}

/** By path, such as `/metrics`. */
export type Pages = ReadonlyMap<string, () => Page | Promise<Page>>;

export interface ListenerOptions {
  readonly host: string;
  /** 0: any free port, see {@link HttpListener.port}. */
  readonly port: number;
}

export class HttpListener {
  readonly #options: ListenerOptions;
  readonly #pages: Pages;
  readonly #log: Logger;
  readonly #server: Server;
  readonly #waiting = new WaitingConnections(CONNECTIONS_MAX);

  constructor(options: ListenerOptions, pages: Pages, log: Logger) {
    this.#options = options;
    this.#pages = pages;
    this.#log = log;
    this.#server = createServer({
      maxHeaderSize: HEADER_BYTES_MAX,
      requestTimeout: REQUEST_DEADLINE_MS,
      connectionsCheckingInterval: DEADLINE_CHECK_MS,
    });
    this.#server.timeout = READ_DEADLINE_MS;
    const onConnection = this.#waiting.add.bind(this.#waiting);
    takeOneRequest(this.#server, { bodies: false, onConnection });
    this.#server.on("request", (request, response) => void this.#onRequest(request, response));
  }

  /** The port that it listens on, once started. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : this.#options.port;
  }

  /** @throws {Fault} `CANNOT_CREATE` when the address is in use or not one of this host. */
  async start(): Promise<void> {
    const { host, port } = this.#options;
    try {
      const listening = once(this.#server, "listening");
      this.#server.listen({ host, port });
      await listening;
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
      throw new Fault("CANNOT_CREATE", `cannot listen on ${host} port ${port}: ${code}`, {
        details: { host, port },
        advice: "Set a free port and an address of this host under `telemetry` or `health_checks`.",
        cause,
      });
    }
    this.#server.on("error", (error) => this.#log.warn({ error }, "Monitoring listener failed"));
  }

  /** Closes the listener and every connection. Resolves at once when it never started. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "" } = request;
    this.#waiting.onRequest(request.socket); // No page reads a body.
    response.setHeader("connection", "close");
    const page = this.#pages.get(url.split("?", 1)[0] ?? "");
    if (page === undefined) {
      response.writeHead(404).end();
    } else if (method !== "GET" && method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
    } else {
      const { status, contentType, body } = await this.#made(page);
      response
        .writeHead(status, {
          "content-type": contentType,
          "content-length": Buffer.byteLength(body),
          "cache-control": "no-store",
          "x-content-type-options": "nosniff",
        })
        .end(method === "GET" ? body : undefined);
    }
  }

  async #made(page: () => Page | Promise<Page>): Promise<Page> {
    try {
      return await page();
    } catch (error) {
      this.#log.error({ error }, "Page failed");
      return { status: 500, contentType: "text/plain", body: "" };
    }
  }
}
