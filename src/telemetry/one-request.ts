/**
 * What an HTTP server gets of a connection: one request, and nothing behind it. Node's parser makes
 * a request and an answer of all that one read brought, whatever its server still wants of the
 * connection: 2,300 of them and 63 ms for 64 KiB (measured).
 *
 *     socket ── the head, to its blank line ── the body ──▶ parser      the rest is dropped
 *            ◀────────────────────── the answer ──────────
 */
import assert from "node:assert/strict";
import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";

/** Ends a head (RFC 9112, 2.1). Node's parser refuses other line ends. */
const BLANK_LINE = "\r\n\r\n";
/** A body goes on in pieces of so much: what the last one has behind its end is 20 requests at most. */
const PIECE_BYTES = 512;

/**
 * Gives the server connections that hold one request each. To be called on a new server.
 *
 * @param bodies Whether its requests may have one; else what follows a head is dropped.
 */
export function takeOneRequest(server: Server, { bodies }: { readonly bodies: boolean }): void {
  const [serve, ...others] = server.listeners("connection");
  assert(serve !== undefined && others.length === 0, "node:http listens once");
  server.removeAllListeners("connection");
  server.on("connection", (socket) => {
    socket.setTimeout(server.timeout, () => socket.destroy());
    // An HTTP server takes any Duplex (node:http, Event: 'connection').
    serve.call(server, new OneRequest(socket));
  });
  server.on("request", (request) => {
    if (request.socket instanceof OneRequest) request.socket.begin(request, bodies);
  });
}

class OneRequest extends Duplex {
  readonly #socket: Socket;
  /** The last bytes of the head so far: its blank line may come in parts. */
  #last: Buffer = Buffer.alloc(0);
  #headIsWhole = false;
  #request: IncomingMessage | undefined;
  #takesBody = false;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("end", () => this.push(null));
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy());
  }

  begin(request: IncomingMessage, takesBody: boolean): void {
    this.#request = request;
    this.#takesBody = takesBody;
  }

  /** As a socket's, which node:http calls when the last answer is written. */
  destroySoon(): void {
    this.end(() => this.destroy());
  }

  #take(bytes: Buffer): void {
    const headEnd = this.#headIsWhole ? 0 : this.#endOfHead(bytes);
    let isRead = headEnd === 0 || this.push(bytes.subarray(0, headEnd));
    for (let at = headEnd; at < bytes.length && this.#headIsWhole; at += PIECE_BYTES) {
      if (this.#request !== undefined && !this.#wantsMore(this.#request)) break;
      isRead = this.push(bytes.subarray(at, at + PIECE_BYTES));
      if (this.#request === undefined) break; // HTTP/2's head is refused with what follows it.
    }
    if (!isRead) this.#socket.pause();
  }

  #wantsMore({ complete }: IncomingMessage): boolean {
    return this.#takesBody && !complete && !this.destroyed;
  }

  #endOfHead(bytes: Buffer): number {
    const known = Buffer.concat([this.#last, bytes]);
    const at = known.indexOf(BLANK_LINE);
    this.#headIsWhole = at !== -1;
    const end = at + BLANK_LINE.length - this.#last.length;
    this.#last = known.subarray(1 - BLANK_LINE.length);
    return this.#headIsWhole ? end : bytes.length;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(bytes, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
