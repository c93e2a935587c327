/**
 * One embedded SPIRE Server: a datastore, its own authorities, and the API on a Unix socket.
 *
 * It stands in for SPIRE Server's socket API alone. There is no agent, no attestation, no TCP
 * endpoint and no bundle endpoint, so nothing of another trust domain arrives here by itself.
 */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import {
  serveSpireApi,
  type SpireApiImplementation,
  type SpireApiListener,
} from "../../src/spire-api/server.ts";
import { Code, ConnectError, ServingStatus } from "../../src/spire-api/services.ts";
import { logRefusal, refusal } from "./answers.ts";
import { bundleService } from "./bundle-service.ts";
import { CaManager } from "./ca-manager.ts";
import type { Configuration } from "./configuration.ts";
import { Datastore } from "./datastore.ts";
import { entryService } from "./entry-service.ts";
import type { FaultSwitch } from "./fault-switch.ts";
import { federationService } from "./federation-service.ts";
import { localAuthorityService } from "./local-authority-service.ts";
import type { Log } from "./log.ts";
import { OwnBundle } from "./own-bundle.ts";
import type { ServerParts } from "./server-parts.ts";
import { svidService } from "./svid-service.ts";
import { UpstreamAuthority } from "./upstream-authority.ts";

const ROTATION_INTERVAL_MS = 10_000;
const PRUNE_INTERVAL_MS = 6 * 3_600_000;
/** How often SPIRE reads the bundle of the server above. */
const UPSTREAM_POLL_INTERVAL_MS = 5_000;

export interface ServerPorts {
  readonly log: Log;
  readonly nowMs: () => number;
  readonly faults: FaultSwitch;
}

export class EmbeddedServer {
  readonly #socketPath: string;
  readonly #parts: ServerParts;
  readonly #timers: NodeJS.Timeout[] = [];
  #listener: SpireApiListener | undefined;

  constructor(configuration: Configuration, ports: ServerPorts) {
    const { trustDomain, keysPath, caTtlMs, svidTtlMs, upstreamSocketPath } = configuration;
    const datastore = new Datastore(configuration.datastore);
    const ownBundle = new OwnBundle(trustDomain, datastore, ports.nowMs);
    const upstream =
      upstreamSocketPath === undefined
        ? undefined
        : new UpstreamAuthority(upstreamSocketPath, ownBundle);
    const ca = new CaManager({ trustDomain, caTtlMs, keysPath }, { ownBundle, upstream, ...ports });
    this.#socketPath = configuration.socketPath;
    this.#parts = { trustDomain, svidTtlMs, datastore, ownBundle, ca, upstream, ...ports };
  }

  /**
   * Makes what authorities are missing, then listens. A socket that is there is replaced. Rejects
   * when there is a server above, and it is away.
   */
  async start(): Promise<void> {
    const { ca, log, ownBundle, upstream } = this.#parts;
    await upstream?.follow();
    await ca.rotate();
    mkdirSync(dirname(this.#socketPath), { recursive: true, mode: 0o750 });
    rmSync(this.#socketPath, { force: true });
    this.#listener = await serveSpireApi(this.#socketPath, implement(this.#parts));
    chmodSync(this.#socketPath, 0o770);
    log("info", "Starting Server APIs", {
      address: this.#socketPath,
      network: "unix",
      subsystem_name: "endpoints",
    });
    this.#every(
      ROTATION_INTERVAL_MS,
      "Unable to rotate authorities",
      async () => await ca.rotate(),
    );
    this.#every(PRUNE_INTERVAL_MS, "Could not prune CA certificates", async () =>
      ownBundle.prune(),
    );
    if (upstream === undefined) return;
    this.#every(
      UPSTREAM_POLL_INTERVAL_MS,
      "Failed to fetch bundle while polling",
      async () => await upstream.follow(),
    );
  }

  /** Ends calls under way and lets go of the socket and the datastore. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#listener?.close();
    this.#parts.upstream?.close();
    this.#parts.datastore.close();
    this.#parts.log("info", "Server stopped gracefully");
  }

  #every(intervalMs: number, failure: string, work: () => Promise<void>): void {
    const run = async (): Promise<void> => {
      try {
        await work();
      } catch (error) {
        this.#parts.log("error", failure, { error: String(error) });
      }
    };
    this.#timers.push(setInterval(() => void run(), intervalMs));
  }
}

function implement(parts: ServerParts): SpireApiImplementation {
  return {
    bundle: guard(parts, bundleService(parts)),
    trustDomain: guard(parts, federationService(parts)),
    svid: guard(parts, svidService(parts)),
    entry: guard(parts, entryService(parts)),
    localAuthority: guard(parts, localAuthorityService(parts)),
    health: guard(parts, {
      check({ service }) {
        if (service !== "") throw refusal(Code.NotFound, "unknown service"); // SPIRE serves "" only.
        const ready = parts.ownBundle.read() !== undefined;
        return { status: ready ? ServingStatus.SERVING : ServingStatus.NOT_SERVING };
      },
    } satisfies SpireApiImplementation["health"]),
  };
}

/** The same service, with its refusals logged and the faults that are switched on around each call. */
function guard<Service extends object>({ faults, log }: ServerParts, service: Service): Service {
  type Method = (...args: readonly unknown[]) => unknown;
  const methods = Object.entries(service as Record<string, Method>).map(([name, method]) => [
    name,
    async (...args: readonly unknown[]) => {
      try {
        return await faults.around(() => method(...args));
      } catch (error) {
        const { code, rawMessage } = ConnectError.from(error, Code.Internal);
        logRefusal(log, code, rawMessage, name.charAt(0).toUpperCase() + name.slice(1));
        throw new ConnectError(rawMessage, code, undefined, undefined, error);
      }
    },
  ]);
  return Object.fromEntries(methods) as Service;
}
