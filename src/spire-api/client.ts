/**
 * The client end of SPIRE Server's API over its Unix socket: gRPC, so HTTP/2, without TLS.
 *
 * One connection carries all calls. It is opened by path when a call needs it, so the same client
 * goes on after the server was restarted. What a call rejects with is a `ConnectError`; `src/spire`
 * says what each code means.
 */
import { type Client, createClient } from "@connectrpc/connect";
import { createNodeHttpClient } from "@connectrpc/connect-node";
import { boundedTransport } from "./bounded-transport.ts";
import {
  BundleService,
  EntryService,
  HealthService,
  LocalAuthorityService,
  SvidService,
  TrustDomainService,
} from "./services.ts";
import { SocketSession } from "./socket-session.ts";

/** Longest wait for one answer. The slowest call measured is a page of rows, at 10 ms. */
const CALL_DEADLINE_MS = 5_000;
/**
 * Largest request. SPIRE Server refuses more than 4 MiB with code 8; from 10 MiB on the call hangs
 * and spoils the connection (measured). Above: `ResourceExhausted`, and nothing is sent.
 */
export const REQUEST_BYTES_MAX = 3 * 1024 * 1024;
/**
 * Largest answer: a page of 50 rows is 0.2 MB as measured, and SPIRE's largest row on MySQL is
 * 16 MiB; this is two of them. Above: `ResourceExhausted`.
 */
const RESPONSE_BYTES_MAX = 32 * 1024 * 1024;
/**
 * Largest answer with an X509-SVID and its chain, of some kilobytes, or the health. Above:
 * `ResourceExhausted`.
 */
const SMALL_RESPONSE_BYTES_MAX = 1 * 1024 * 1024;

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
  /** Deadline of every call; 5 s unless given. */
  readonly deadlineMs?: number;
}

/** Makes the clients of one SPIRE Server. Every call ends within its deadline. */
export function spireApi({ socketPath, deadlineMs = CALL_DEADLINE_MS }: SpireApiOptions): SpireApi {
  const session = new SocketSession(socketPath);
  const options = {
    httpClient: createNodeHttpClient({ httpVersion: "2", sessionProvider: () => session }),
    baseUrl: session.authority,
    useBinaryFormat: true,
    interceptors: [],
    defaultTimeoutMs: deadlineMs,
    writeMaxBytes: REQUEST_BYTES_MAX,
    readMaxBytes: RESPONSE_BYTES_MAX,
    acceptCompression: [], // On one machine compression costs more than it saves.
    sendCompression: null,
    compressMinBytes: 0,
    binaryOptions: { readUnknownFields: false }, // Nobody would look at them.
  };
  const transport = boundedTransport(options);
  const small = boundedTransport({ ...options, readMaxBytes: SMALL_RESPONSE_BYTES_MAX });
  return {
    bundle: createClient(BundleService, transport),
    trustDomain: createClient(TrustDomainService, transport),
    svid: createClient(SvidService, small),
    entry: createClient(EntryService, transport),
    localAuthority: createClient(LocalAuthorityService, transport),
    health: createClient(HealthService, small),
    close: () => session.close(),
  };
}
