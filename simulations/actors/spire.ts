/**
 * One SPIRE Server on a datastore: CAs of its own that are prepared, activated, tainted and revoked, a
 * cache of what the datastore says, and all that makes it a bad neighbour.
 */
import type { ListedRow } from "../../src/core/mesh/row-order.ts";
import { type TrustBundle, authoritiesDigest } from "../../src/core/spiffe/trust-bundle.ts";
import { Fault } from "../../src/fault.ts";
import type { WriteOutcome, SpireServer } from "../../src/ports/spire-server.ts";
import type { Certified, TableProofs } from "../world/table-proofs.ts";
import type { Timeline } from "../world/timeline.ts";
import type { Datastore } from "./datastore.ts";

const CA_LIFE_S = 86_400;
const SVID_LIFE_S = 3_600;
/** The daemon's own deadline for a call. */
const DEADLINE_MS = 5_000;
/** A server shows so late what another one changed (measured). */
const CACHE_MS = 1_000;
/** One that is stale shows so late what changed at all. */
const STALE_MS = 3_000;

export const WELL = { isDown: false, latencyMs: 5, isStale: false, lostReplies: 0, refusals: 0 };

type Calls = Omit<SpireServer, "mintX509Svid" | "close">;

/** Which CAs one server has: the one that signs, and the one that will. */
export interface Slots {
  readonly active: Certified;
  readonly prepared: Certified | undefined;
}

export class Spire {
  readonly datastore: Datastore;
  /** What ails it; lost replies and refused writes in percent. */
  ills = WELL;
  slots: Slots;
  readonly #timeline: Timeline;
  readonly #proofs: TableProofs;

  constructor(datastore: Datastore, timeline: Timeline, proofs: TableProofs) {
    this.datastore = datastore;
    this.#timeline = timeline;
    this.#proofs = proofs;
    this.slots = { active: this.#addCa(), prepared: undefined };
  }

  /**
   * The next step of a rotation: prepare, activate, taint, revoke.
   *
   * @param others On the same datastore.
   */
  rotate(others: readonly Spire[] = []): void {
    const { datastore } = this;
    const { active, prepared } = this.slots;
    const inUse = new Set(
      [this, ...others].flatMap(({ slots: each }) => [each.active, each.prepared]),
    );
    const old = datastore.cas.find((ca) => !inUse.has(ca));
    if (prepared !== undefined) this.slots = { active: prepared, prepared: undefined };
    else if (old === undefined) this.slots = { active, prepared: this.#addCa() };
    else if (datastore.isTainted(old)) datastore.revoke(old, this);
    else datastore.taint(old, this);
  }

  /** A restart with a volatile key manager: it signs with a CA that nobody has seen, at once. */
  restart(): void {
    this.slots = { active: this.#addCa(), prepared: undefined };
  }

  /** A restart on a datastore that was restored, with the CAs that it had then and still has the keys of. */
  restartWith(slots: Slots | undefined): void {
    if (slots === undefined || !this.datastore.cas.includes(slots.active)) this.restart();
    else this.slots = slots;
  }

  /** The API as one daemon sees it while it lives. */
  connect(isAlive: () => boolean): Calls & { readonly mint: () => Promise<Certified> } {
    const { rows } = this.datastore;
    const call = async <Value>(answer: () => Value): Promise<Value> => {
      const { latencyMs, lostReplies } = this.ills;
      await this.#timeline.sleep(this.#timeline.between(0, latencyMs));
      if (!isAlive() || this.ills.isDown) throw new Fault("SPIRE_UNREACHABLE", "it is away");
      const value = answer();
      if (!this.#timeline.happens(lostReplies)) return value;
      await this.#timeline.sleep(DEADLINE_MS);
      throw new Fault("SPIRE_UNREACHABLE", "no answer in time");
    };
    const write = async (status: number, change: () => void): Promise<WriteOutcome> =>
      await call(() => {
        const isRefused = this.#timeline.happens(this.ills.refusals);
        if (isRefused) return { kind: "refused", status, message: "not now" };
        change();
        return { kind: "done" };
      });
    return {
      readBundle: async () => await call(() => this.#read()),
      listFederatedBundles: async () => await call(() => listed(rows.values())),
      readFederatedBundle: async (trustDomain) => await call(() => rows.get(trustDomain)),
      setFederatedBundle: async (bundle) =>
        await write(13, () => rows.set(bundle.trustDomain, withoutTaint(bundle))),
      deleteFederatedBundle: async (trustDomain) => await write(9, () => rows.delete(trustDomain)),
      listFederationRelationships: async () => await call(() => []),
      mint: async () => await call(() => this.#issue(SVID_LIFE_S, this.slots.active)),
    };
  }

  #read(): TrustBundle {
    const { bundle, before, changedAtMs, changedBy } = this.datastore;
    const { isStale } = this.ills;
    const lateMs = isStale ? STALE_MS : CACHE_MS;
    const mayBeOld = isStale || changedBy !== this;
    const isRecent = this.#timeline.nowMs() < changedAtMs + lateMs;
    return mayBeOld && isRecent && this.#timeline.happens(50) ? before : bundle;
  }

  #issue(lifeS: number, issuer?: Certified): Certified {
    const { trustDomain } = this.datastore.bundle;
    return this.#proofs.issue(trustDomain, this.#timeline.nowS() - 10, lifeS, issuer);
  }

  #addCa(): Certified {
    const ca = this.#issue(CA_LIFE_S);
    this.datastore.add(ca, this);
    return ca;
  }
}

function listed(rows: Iterable<TrustBundle>): ListedRow[] {
  return Array.from(rows, (row) => ({
    trustDomain: row.trustDomain,
    digest: authoritiesDigest(row),
  }));
}

/** SPIRE drops it from a federated row (measured). */
function withoutTaint(bundle: TrustBundle): TrustBundle {
  const x509Authorities = bundle.x509Authorities.map(({ der }) => ({ der, tainted: false }));
  return { ...bundle, x509Authorities };
}
