/**
 * SPIRE Server's API as the daemon uses it (src/ports/spire-server.ts), over its Unix socket.
 *
 * SPIRE is trusted but not believed to be tidy: item statuses are looked at, names are read strictly,
 * pages are counted, and what was written is for the caller to read back.
 */
import { type TrustBundle, authoritiesDigest } from "../core/spiffe/trust-bundle.ts";
import { type TrustDomain, readTrustDomain } from "../core/spiffe/trust-domain.ts";
import { Fault } from "../fault.ts";
import type { WriteOutcome, SpireServer } from "../ports/spire-server.ts";
import { type SpireApi, spireApi } from "../spire-api/client.ts";
import { Code, DeleteMode, type Status } from "../spire-api/services.ts";
import { bytesOf, toBundleMessage, toTrustBundle } from "./bundle-message.ts";
import { allPages } from "./pages.ts";
import { meansAway, orFault, quoted, spireFault, spoilsConnection } from "./spire-fault.ts";
import { WriteLane } from "./write-lane.ts";

/** UTF-16 units of an invalid trust domain name: its longest length and one more. Above: cut off. */
const NAME_LENGTH_MAX = 256;
/** The deadline of every call twice: none is under way on a connection that was left so long ago. */
const CALLS_END_MS = 10_000;
/** Our guess: a server refuses each new connection too. Above: calls stay on the one that there is. */
const CONNECTIONS_LEFT_MAX = 8;
/** An output mask without a field: the answer has the trust domain's name and nothing else. */
const NAME_ALONE = {};

export interface SpireServerOptions {
  /** SPIRE Server's API socket; need not be there yet. */
  readonly socketPath: string;
  /** Deadline of every call; 5 s unless given. */
  readonly deadlineMs?: number;
  /** Deadline of a whole list; 15 s unless given. */
  readonly listDeadlineMs?: number;
  /**
   * A listed row was left out, as its name is no trust domain name. Called at every such read with
   * the first 256 characters of it.
   */
  readonly onUnreadableName?: (name: string) => void;
}

/** Connects when the first call needs it, and again by path after the server was away. */
export function connectSpireServer(options: SpireServerOptions): SpireServer {
  const { socketPath, onUnreadableName, listDeadlineMs } = options;
  let api = spireApi(options);
  /** Connections that were left, with the calls that are still under way there. */
  const left = new Map<SpireApi, NodeJS.Timeout>();
  const lane = new WriteLane();
  let isClosed = false;

  async function answerOf<Answer>(call: string, answer: Promise<Answer>): Promise<Answer> {
    const asked = api;
    try {
      return await answer;
    } catch (error) {
      if (spoilsConnection(error)) leave(asked);
      throw await spireFault(error, call, socketPath);
    }
  }

  /** The next call connects anew, by path: a server that hangs may have a successor there. */
  function leave(asked: SpireApi): void {
    if (asked !== api || isClosed || left.size >= CONNECTIONS_LEFT_MAX) return;
    api = spireApi(options);
    const close = (): void => {
      left.delete(asked);
      asked.close();
    };
    left.set(asked, setTimeout(close, CALLS_END_MS));
  }

  /** What is kept of the rows whose name can be read. */
  function keep<Row extends { readonly trustDomain: string }, Kept>(
    rows: readonly Row[],
    kept: (trustDomain: TrustDomain, row: Row) => Kept,
  ): Kept[] {
    return rows.flatMap((row) => {
      const trustDomain = readTrustDomain(row.trustDomain);
      if (trustDomain !== undefined) return [kept(trustDomain, row)];
      onUnreadableName?.(startOf(row.trustDomain));
      return [];
    });
  }

  async function setOnce(bundle: TrustBundle): Promise<Status | undefined> {
    const order = { bundle: [toBundleMessage(bundle)], outputMask: NAME_ALONE };
    const answer = api.bundle.batchSetFederatedBundle(order);
    return (await answerOf("BatchSetFederatedBundle", answer)).results[0]?.status;
  }

  return {
    async readBundle() {
      const bundle = await answerOf("GetBundle", api.bundle.getBundle({}));
      const trustDomain = readTrustDomain(bundle.trustDomain);
      if (trustDomain === undefined) {
        throw new Fault("SPIRE_REFUSED", "SPIRE Server's own bundle names no trust domain");
      }
      return toTrustBundle(trustDomain, bundle);
    },

    async listFederatedBundles() {
      return await allPages(async (page) => {
        const answer = api.bundle.listFederatedBundles(page);
        const { bundles, nextPageToken } = await answerOf("ListFederatedBundles", answer);
        const kept = keep(bundles, (trustDomain, row) => ({
          trustDomain,
          digest: authoritiesDigest(toTrustBundle(trustDomain, row)),
        }));
        return { kept, rows: bundles.length, bytes: bytesOf(bundles), nextPageToken };
      }, listDeadlineMs);
    },

    async readFederatedBundle(trustDomain) {
      const answer = api.bundle.getFederatedBundle({ trustDomain });
      const row = await orFault(answerOf("GetFederatedBundle", answer));
      if (!(row instanceof Fault)) return toTrustBundle(trustDomain, row);
      if (row.details["status"] === Code.NotFound) return undefined;
      throw row;
    },

    async setFederatedBundle(bundle) {
      return await lane.run(async () => {
        const status = await setOnce(bundle);
        return writeOutcome(isFirstWriteRace(status) ? await setOnce(bundle) : status);
      });
    },

    async deleteFederatedBundle(trustDomain) {
      return await lane.run(async () => {
        const order = { trustDomains: [trustDomain], mode: DeleteMode.RESTRICT };
        const answer = api.bundle.batchDeleteFederatedBundle(order);
        const { results } = await answerOf("BatchDeleteFederatedBundle", answer);
        const status = results[0]?.status;
        return status?.code === Code.NotFound ? { kind: "done" } : writeOutcome(status);
      });
    },

    async listFederationRelationships() {
      return await allPages(async (page) => {
        const request = { ...page, outputMask: NAME_ALONE };
        const answer = api.trustDomain.listFederationRelationships(request);
        const { federationRelationships: listed, nextPageToken } = await answerOf(
          "ListFederationRelationships",
          answer,
        );
        const kept = keep(listed, (trustDomain) => trustDomain);
        return { kept, rows: listed.length, bytes: bytesOf(listed), nextPageToken };
      }, listDeadlineMs);
    },

    async mintX509Svid(csr, ttlS) {
      const answer = api.svid.mintX509SVID({ csr, ttl: ttlS });
      const { svid } = await answerOf("MintX509SVID", answer);
      if (svid === undefined || svid.certChain.length === 0) {
        throw new Fault("SPIRE_REFUSED", "SPIRE Server minted an X509-SVID without certificates");
      }
      return svid.certChain;
    },

    close: () => {
      isClosed = true;
      api.close();
      for (const [each, timer] of left) {
        clearTimeout(timer);
        each.close();
      }
      left.clear();
    },
  };
}

/** A copy: a slice would hold on to the whole text. */
function startOf(name: string): string {
  return Buffer.from(name.slice(0, NAME_LENGTH_MAX)).toString();
}

/**
 * Two first writes of one row at once: PostgreSQL lets one through and the other fails on the unique
 * index (39 of 50 tries, measured). The second try finds the row and updates it.
 */
function isFirstWriteRace(status: Status | undefined): boolean {
  return status?.code === Code.Internal && status.message.includes("duplicate key");
}

/** A Batch call answers OK while its item failed, also when SPIRE's datastore is away (measured). */
function writeOutcome(status: Status | undefined): WriteOutcome {
  if (status === undefined) {
    throw new Fault("SPIRE_REFUSED", "SPIRE Server did not say what became of the row");
  }
  if (status.code === 0) return { kind: "done" };
  if (meansAway(status.code)) {
    const message = `SPIRE Server could not change the row: ${quoted(status.message)}`;
    throw new Fault("SPIRE_UNREACHABLE", message, { details: { status: status.code } });
  }
  return { kind: "refused", status: status.code, message: quoted(status.message) };
}
