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
/** A body goes on in pieces of so much: what the last one has behind its end is 28 requests at most. */
const PIECE_BYTES = 512;
/** So many listeners of each kind are no leak yet. */
const LISTENERS = 64;

export interface OneRequestOptions {
  /** Whether a request may have a body; else what follows its head is dropped. */
  readonly bodies: boolean;
  /** Told of each connection; it is the `socket` of its request. */
  readonly onConnection: (connection: Duplex) => void;
}

/** Gives the server connections that hold one request each. To be called on a new server. */
export function takeOneRequest(server: Server, { bodies, onConnection }: OneRequestOptions): void {
  const [serve, ...others] = server.listeners("connection");
  assert(serve !== undefined && others.length === 0, "node:http listens once");
  server.removeAllListeners("connection");
  server.on("connection", (socket) => {
    socket.setTimeout(server.timeout, () => socket.destroy());
    const connection = new OneRequest(socket);
    serve.call(server, connection); // It takes any Duplex (node:http, Event: 'connection').
    onConnection(connection);
  });
  server.on("request", (request) => begin(request, bodies));
  server.on("checkExpectation", (request, response) => {
    begin(request, false);
    response.writeHead(417, { connection: "close" }).end(); // As Node does, but it would read on.
  });
}

function begin(request: IncomingMessage, takesBody: boolean): void {
  if (request.socket instanceof OneRequest) request.socket.begin(request, takesBody);
}

class OneRequest extends Duplex {
  readonly #socket: Socket;
  /** The last bytes of the head so far: its blank line may come in parts. */
  #last: Buffer = Buffer.alloc(0);
  #headIsWhole = false;
  #request: IncomingMessage | undefined;
  #takesBody = false;
  /** The head made no request, and the parser has what came next. */
  #isRefused = false;

  constructor(socket: Socket) {
    super();
    this.setMaxListeners(LISTENERS); // Node's server adds some for each.
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
    for (let at = headEnd; at < bytes.length && this.#takesMore(); at += PIECE_BYTES) {
      isRead = this.push(bytes.subarray(at, at + PIECE_BYTES));
    }
    if (!isRead) this.#socket.pause();
  }

  #takesMore(): boolean {
    if (this.#request !== undefined) return this.#takesBody && !this.#request.complete;
    const isFirst = !this.#isRefused;
    this.#isRefused = true;
    return isFirst; // HTTP/2's head is refused with what follows it.
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
