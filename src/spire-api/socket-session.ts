/**
 * The one HTTP/2 connection to a Unix socket under all calls: opened by path when a call needs it,
 * and again after it closed.
 *
 * It takes the place of connect's own session manager, which was measured to end the process with an
 * uncaught error when something other than gRPC listens at the path, and to spin for ever on a path
 * that is too long for a socket. Keep-alive, its main work, is nothing that a local socket needs.
 */
import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionRequestOptions,
  type OutgoingHttpHeaders,
  connect as connectHttp2,
  constants,
} from "node:http2";
import { connect } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";

export class SocketSession {
  /** HTTP/2 wants the name of a host; over a Unix socket nobody looks at it. */
  readonly authority = "http://localhost";
  readonly #socketPath: string;
  #session: ClientHttp2Session | undefined;
  #opening: Promise<ClientHttp2Session> | undefined;
  #closed = false;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** Begins one call, on the open connection or a new one. Rejects with Node's error when there is none. */
  async request(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    options: Omit<ClientSessionRequestOptions, "signal">,
  ): Promise<ClientHttp2Stream> {
    const session = await this.#openSession();
    if (this.#closed) throw wasClosed();
    return session.request({ ...headers, ":method": method, ":path": path }, options);
  }

  /** Of use for keep-alive only. */
  notifyResponseByteRead(): void {}

  /** Ends every call as `Canceled`, now and later. */
  close(): void {
    this.#closed = true;
    this.#session?.destroy(wasClosed(), constants.NGHTTP2_CANCEL);
  }

  async #openSession(): Promise<ClientHttp2Session> {
    const session = this.#session;
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = undefined;
    });
    return await this.#opening;
  }

  async #connect(): Promise<ClientHttp2Session> {
    const socket = connect({ path: this.#socketPath });
    await once(socket, "connect");
    const session = connectHttp2(this.authority, {
      createConnection: () => socket,
      settings: { enablePush: false }, // gRPC has none, and nobody would read what is pushed.
    });
    session.on("error", () => undefined); // The calls under way hear of it from their streams.
    this.#session = session;
    if (this.#closed) this.close();
    return session;
  }
}

function wasClosed(): ConnectError {
  return new ConnectError("the client was closed", Code.Canceled);
}
