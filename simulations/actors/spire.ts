/**
 * One trust domain's SPIRE Server: its bundle with a sequence, CAs that are prepared, activated,
 * tainted and revoked, the rows of other trust domains, and all that makes it a bad neighbour.
 */
import type { ListedRow } from "../../src/core/mesh/row-order.ts";
import { type TrustBundle, authoritiesDigest } from "../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import { Fault } from "../../src/fault.ts";
import type { WriteOutcome, SpireServer } from "../../src/ports/spire-server.ts";
import type { Certified, TableProofs } from "../world/table-proofs.ts";
import type { Timeline } from "../world/timeline.ts";

const CA_LIFE_S = 86_400;
const SVID_LIFE_S = 3_600;
/** The daemon's own deadline for a call. */
const DEADLINE_MS = 5_000;
/**
 * A server beside others on one datastore may show a change so late. Measured is 1 s; more, as here
 * the bundle is read once a second.
 */
const CACHE_MS = 3_000;

export const WELL = { isDown: false, latencyMs: 5, isStale: false, lostReplies: 0, refusals: 0 };

type Calls = Omit<SpireServer, "mintX509Svid" | "close">;

export class Spire {
  readonly rows = new Map<TrustDomain, TrustBundle>();
  /** Every authority that the bundle ever listed: DER, or SubjectPublicKeyInfo, in hex. */
  readonly published = new Set<string>();
  /** CAs that were ever tainted: their keys are anybody's. */
  readonly tainted: Certified[] = [];
  bundle: TrustBundle;
  /** What ails it; lost replies and refused writes in percent. */
  ills = WELL;
  /** Those in the bundle, oldest first. */
  #cas: readonly Certified[] = [];
  #active: Certified;
  #prepared: Certified | undefined;
  #changedAtMs = 0;
  #before: TrustBundle;
  readonly #timeline: Timeline;
  readonly #proofs: TableProofs;

  constructor(trustDomain: TrustDomain, timeline: Timeline, proofs: TableProofs) {
    this.#timeline = timeline;
    this.#proofs = proofs;
    this.bundle = { trustDomain, sequenceNumber: 0n, x509Authorities: [], jwtAuthorities: [] };
    this.#active = this.#addCa();
    this.#before = this.bundle;
  }

  /** The next step of a rotation: prepare, activate, taint, revoke. */
  rotate(): void {
    const old = this.#cas.find((ca) => ca !== this.#active && ca !== this.#prepared);
    if (this.#prepared !== undefined) {
      this.#active = this.#prepared;
      this.#prepared = undefined;
    } else if (old === undefined) {
      this.#prepared = this.#addCa();
    } else if (this.tainted.includes(old)) {
      this.#change(this.#cas.filter((ca) => ca !== old));
    } else {
      this.tainted.push(old);
      this.#change(this.#cas);
    }
  }

  /** A restart with a volatile key manager: it signs with a CA that nobody has seen, at once. */
  restart(): void {
    this.#prepared = undefined;
    this.#active = this.#addCa();
  }

  /** The API as one daemon sees it while it lives. */
  connect(isAlive: () => boolean): Calls & { readonly mint: () => Promise<Certified> } {
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
      listFederatedBundles: async () => await call(() => listed(this.rows.values())),
      readFederatedBundle: async (trustDomain) => await call(() => this.rows.get(trustDomain)),
      setFederatedBundle: async (bundle) =>
        await write(13, () => this.rows.set(bundle.trustDomain, withoutTaint(bundle))),
      deleteFederatedBundle: async (trustDomain) =>
        await write(9, () => this.rows.delete(trustDomain)),
      listFederationRelationships: async () => await call(() => []),
      mint: async () => await call(() => this.#issue(SVID_LIFE_S, this.#active)),
    };
  }

  #read(): TrustBundle {
    const mayBeOld = this.ills.isStale && this.#timeline.nowMs() < this.#changedAtMs + CACHE_MS;
    return mayBeOld && this.#timeline.happens(50) ? this.#before : this.bundle;
  }

  #issue(lifeS: number, issuer?: Certified): Certified {
    return this.#proofs.issue(this.bundle.trustDomain, this.#timeline.nowS() - 10, lifeS, issuer);
  }

  #addCa(): Certified {
    const ca = this.#issue(CA_LIFE_S);
    this.#change([...this.#cas, ca]);
    return ca;
  }

  /** Each CA has a JWT key beside it, the same in this world. */
  #change(cas: readonly Certified[]): void {
    this.#cas = cas;
    this.#before = this.bundle;
    this.#changedAtMs = this.#timeline.nowMs();
    const listed = cas.map((ca) => ({ ...ca, tainted: this.tainted.includes(ca) }));
    this.bundle = {
      trustDomain: this.bundle.trustDomain,
      sequenceNumber: this.bundle.sequenceNumber + 1n,
      x509Authorities: listed.map(({ facts: { der }, tainted }) => ({ der, tainted })),
      jwtAuthorities: listed.map(({ key: { publicKey: spki }, tainted }) => ({
        keyId: toHex(spki),
        spki,
        expiresAtS: 0,
        tainted,
      })),
    };
    for (const { facts, key } of cas) {
      this.published.add(toHex(facts.der));
      this.published.add(toHex(key.publicKey));
    }
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
