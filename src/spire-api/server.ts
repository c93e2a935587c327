/**
 * The server end of SPIRE Server's API over a Unix socket, for what stands in for a SPIRE Server:
 * peers/embedded-spire and tests. The daemon itself serves none of this.
 */
import { once } from "node:events";
import { createServer, type ServerHttp2Session } from "node:http2";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  BundleService,
  EntryService,
  HealthService,
  LocalAuthorityService,
  SvidService,
  TrustDomainService,
} from "./services.ts";

/** grpc-go's default, which SPIRE Server keeps (measured). Above: refused with code 8. */
const REQUEST_BYTES_MAX = 4 * 1024 * 1024;

/**
 * The answers of a server. A method that is left out answers `Unimplemented`; one that throws a
 * `ConnectError` answers its code and message.
 */
export interface SpireApiImplementation {
  readonly bundle?: Partial<ServiceImpl<typeof BundleService>>;
  readonly trustDomain?: Partial<ServiceImpl<typeof TrustDomainService>>;
  readonly svid?: Partial<ServiceImpl<typeof SvidService>>;
  readonly entry?: Partial<ServiceImpl<typeof EntryService>>;
  readonly localAuthority?: Partial<ServiceImpl<typeof LocalAuthorityService>>;
  readonly health?: Partial<ServiceImpl<typeof HealthService>>;
}

export interface SpireApiListener {
  /** Ends every connection at once, calls under way included, and removes the socket. */
  close(): Promise<void>;
}

/**
 * Serves on a Unix socket; resolves once it takes connections. What is at the path is the caller's
 * to remove first. Rejects with Node's error when the socket cannot be bound.
 */
export async function serveSpireApi(
  socketPath: string,
  implementation: SpireApiImplementation,
): Promise<SpireApiListener> {
  const server = createServer(
    connectNodeAdapter({
      grpc: true,
      grpcWeb: false,
      connect: false,
      readMaxBytes: REQUEST_BYTES_MAX,
      acceptCompression: [],
      fallback: answerUnimplemented,
      routes: (router) => {
        router.service(BundleService, implementation.bundle ?? {});
        router.service(TrustDomainService, implementation.trustDomain ?? {});
        router.service(SvidService, implementation.svid ?? {});
        router.service(EntryService, implementation.entry ?? {});
        router.service(LocalAuthorityService, implementation.localAuthority ?? {});
        router.service(HealthService, implementation.health ?? {});
      },
    }),
  );
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  server.listen(socketPath);
  await once(server, "listening");
  return {
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
}

type Fallback = NonNullable<Parameters<typeof connectNodeAdapter>[0]["fallback"]>;

/** An unknown service or method: a status and nothing else, as grpc-go answers (trailers only). */
function answerUnimplemented(...[{ url }, response]: Parameters<Fallback>): void {
  response.setHeader("content-type", "application/grpc");
  response.setHeader("grpc-status", String(Code.Unimplemented));
  response.setHeader("grpc-message", encodeURIComponent(`unknown method ${url ?? ""}`));
  response.end();
}
