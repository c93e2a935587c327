/**
 * The client end of SPIRE Server's API over its Unix socket: gRPC, so HTTP/2, without TLS.
 *
 * One connection carries all calls. It is opened by path when a call needs it, so the same client
 * goes on after the server was restarted. What a call rejects with is a `ConnectError`; `src/spire`
 * says what each code means.
 */
import { connect } from "node:net";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Fault } from "../fault.ts";
import {
  BundleService,
  EntryService,
  HealthService,
  LocalAuthorityService,
  SvidService,
  TrustDomainService,
} from "./services.ts";

/** Longest wait for one answer. The slowest call measured is a page of rows, at 10 ms. */
export const CALL_DEADLINE_MS = 5_000;
/**
 * Largest request. SPIRE Server refuses more than 4 MiB with code 8; from 10 MiB on the call hangs
 * and spoils the connection (measured). Above: `ResourceExhausted`, and nothing is sent.
 */
export const REQUEST_BYTES_MAX = 3 * 1024 * 1024;
/**
 * Largest answer: a page of 100 rows is 0.4 MB as measured, and SPIRE's largest row on MySQL is
 * 16 MiB. Above: `ResourceExhausted`.
 */
export const RESPONSE_BYTES_MAX = 64 * 1024 * 1024;

/** Longest path of a Unix socket on Linux (unix(7)), without the closing NUL. */
const SOCKET_PATH_BYTES_MAX = 107;

/** gRPC needs an authority; over a Unix socket nobody looks at it. */
const AUTHORITY = "http://localhost";

export interface SpireApi {
  readonly bundle: Client<typeof BundleService>;
  readonly trustDomain: Client<typeof TrustDomainService>;
  readonly svid: Client<typeof SvidService>;
  readonly entry: Client<typeof EntryService>;
  readonly localAuthority: Client<typeof LocalAuthorityService>;
  readonly health: Client<typeof HealthService>;
  /** Ends calls under way with code `Canceled`, as every later one, and lets go of the socket. */
  close(): void;
}

export interface SpireApiOptions {
  /** Path of SPIRE Server's API socket. Not touched before the first call. */
  readonly socketPath: string;
  /** Deadline of every call, {@link CALL_DEADLINE_MS} unless given. */
  readonly deadlineMs?: number;
}

/**
 * Makes the clients of one SPIRE Server. Every call ends within its deadline.
 *
 * @throws {Fault} `CONFIG_INVALID` when no socket can have that path: connect would try it for ever
 *   without a pause (measured).
 */
export function spireApi({ socketPath, deadlineMs = CALL_DEADLINE_MS }: SpireApiOptions): SpireApi {
  if (Buffer.byteLength(socketPath) > SOCKET_PATH_BYTES_MAX) {
    throw new Fault(
      "CONFIG_INVALID",
      `a socket's path has at most ${SOCKET_PATH_BYTES_MAX} bytes: ${socketPath}`,
    );
  }
  const sessions = new Http2SessionManager(
    AUTHORITY,
    {},
    { createConnection: () => connect({ path: socketPath }) },
  );
  let closed = false;
  const transport = createGrpcTransport({
    baseUrl: AUTHORITY,
    sessionManager: sessions,
    defaultTimeoutMs: deadlineMs,
    writeMaxBytes: REQUEST_BYTES_MAX,
    readMaxBytes: RESPONSE_BYTES_MAX,
    interceptors: [
      (next) => async (request) => {
        if (closed) throw new ConnectError("the client is closed", Code.Canceled);
        return await next(request);
      },
    ],
    acceptCompression: [], // On one machine compression costs more than it saves.
  });
  return {
    bundle: createClient(BundleService, transport),
    trustDomain: createClient(TrustDomainService, transport),
    svid: createClient(SvidService, transport),
    entry: createClient(EntryService, transport),
    localAuthority: createClient(LocalAuthorityService, transport),
    health: createClient(HealthService, transport),
    close() {
      closed = true;
      sessions.abort();
    },
  };
}
