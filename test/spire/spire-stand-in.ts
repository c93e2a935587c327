/**
 * The smallest thing that answers like SPIRE Server: rows in a map behind a real gRPC socket, and
 * faults where a test wants them. What SPIRE really does is proven in test/compliance.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import type { TrustBundle } from "../../src/core/spiffe/trust-bundle.ts";
import { type SpireApiListener, serveSpireApi } from "../../src/spire-api/server.ts";
import {
  type Bundle,
  BundleSchema,
  Code,
  ConnectError,
  type MessageInitShape,
  create,
} from "../../src/spire-api/services.ts";

export interface Call {
  readonly method: string;
  readonly trustDomain?: string;
}

export interface ListAnswer {
  readonly bundles: MessageInitShape<typeof BundleSchema>[];
  readonly nextPageToken: string;
}

const OK = { code: 0, message: "OK" };

export class SpireStandIn {
  readonly directory: string;
  readonly socketPath: string;
  bundle: Bundle = create(BundleSchema, { trustDomain: "alpha.test", sequenceNumber: 1n });
  readonly rows = new Map<string, Bundle>();
  readonly calls: Call[] = [];
  /** Runs before each answer; may wait, or throw what the caller shall get. */
  before: (call: Call) => Promise<void> | void = () => undefined;
  /** Runs after a row was written, before the answer: another writer, a lost reply. */
  afterWrite: (trustDomain: string) => void = () => undefined;
  /** Item statuses for the next writes, instead of doing them. */
  readonly statuses: { readonly code: number; readonly message: string }[] = [];
  /** Answers of ListFederatedBundles by page token, instead of the rows. */
  list: ((pageToken: string, pageSize: number) => ListAnswer) | undefined;
  #listener: SpireApiListener | undefined;

  private constructor(directory: string) {
    this.directory = directory;
    this.socketPath = join(directory, "api.sock");
  }

  /** Makes a directory of its own; nobody listens before `start`. */
  static async make(): Promise<SpireStandIn> {
    return new SpireStandIn(await mkdtemp(join(tmpdir(), "spire-stand-in-")));
  }

  async start(): Promise<void> {
    this.#listener = await serveSpireApi(this.socketPath, {
      bundle: {
        getBundle: async () => {
          await this.#called({ method: "GetBundle" });
          return this.bundle;
        },
        getFederatedBundle: async ({ trustDomain }) => {
          await this.#called({ method: "GetFederatedBundle", trustDomain });
          const row = this.rows.get(trustDomain);
          if (row === undefined) throw new ConnectError("bundle not found", Code.NotFound);
          return row;
        },
        listFederatedBundles: async ({ pageToken, pageSize }) => {
          await this.#called({ method: "ListFederatedBundles" });
          const whole = { bundles: [...this.rows.values()], nextPageToken: "" };
          return this.list?.(pageToken, pageSize) ?? whole;
        },
        batchSetFederatedBundle: async ({ bundle }) => {
          const results = [];
          for (const row of bundle) results.push({ status: await this.#set(row) });
          return { results };
        },
        batchDeleteFederatedBundle: async ({ trustDomains }) => {
          const results = [];
          for (const trustDomain of trustDomains) {
            await this.#called({ method: "BatchDeleteFederatedBundle", trustDomain });
            const status = this.statuses.shift() ?? OK;
            const missing = status.code === 0 && !this.rows.delete(trustDomain);
            results.push({ status: missing ? { code: Code.NotFound, message: "" } : status });
          }
          return { results };
        },
      },
      trustDomain: {
        listFederationRelationships: async () => {
          await this.#called({ method: "ListFederationRelationships" });
          return { federationRelationships: [] };
        },
      },
    });
  }

  /** Ends all connections and removes the socket, as SPIRE Server does when it stops. */
  async stop(): Promise<void> {
    await this.#listener?.close();
    this.#listener = undefined;
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** The calls of one method, since the start or the last `calls.length = 0`. */
  called(method: string): readonly Call[] {
    return this.calls.filter((call) => call.method === method);
  }

  async #called(call: Call): Promise<void> {
    this.calls.push(call);
    await this.before(call);
  }

  async #set(row: Bundle) {
    const { trustDomain } = row;
    await this.#called({ method: "BatchSetFederatedBundle", trustDomain });
    const status = this.statuses.shift();
    if (status !== undefined) return status;
    for (const authority of [...row.x509Authorities, ...row.jwtAuthorities]) {
      authority.tainted = false;
    }
    this.rows.set(trustDomain, row);
    this.afterWrite(trustDomain);
    return OK;
  }
}

/** A bundle of one made-up authority; the stand-in does not parse it, and neither does the room. */
export function bundleOf(name: string, content: string, sequenceNumber = 1n): TrustBundle {
  const trustDomain = readTrustDomain(name);
  if (trustDomain === undefined) throw new Error(`not a trust domain: ${name}`);
  const x509Authorities = [{ der: Uint8Array.from(Buffer.from(content)), tainted: false }];
  return { trustDomain, sequenceNumber, x509Authorities, jwtAuthorities: [] };
}
