/**
 * One trust domain's SPIRE Server: its bundle with a sequence, CAs that are prepared, activated,
 * tainted and revoked, the rows of other trust domains, and all that makes it a bad neighbour.
 */
import { Fault } from "../../src/fault.ts";
import type { RowOutcome, SpireServer } from "../../src/ports/spire-server.ts";
import type { JwtAuthority, TrustBundle } from "../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import type { Certified, TableProofs } from "./table-proofs.ts";
import type { Timeline } from "./timeline.ts";

const CA_LIFE_S = 86_400;
const SVID_LIFE_S = 3_600;
/** The daemon's own deadline for a call. */
const DEADLINE_MS = 5_000;
/**
 * A server beside others on one datastore may show a change so late. Measured is 1 s; more, as here
 * the bundle is read once a second.
 */
const CACHE_MS = 3_000;

const WELL = { isDown: false, latencyMs: 5, isStale: false, lostReplies: 0, refusals: 0 };

interface Listed {
  readonly ca: Certified;
  readonly tainted: boolean;
}

type Calls = Omit<SpireServer, "mintX509Svid" | "isServing" | "close">;

export class Spire {
  readonly rows = new Map<TrustDomain, TrustBundle>();
  /** Every authority that the bundle ever listed: DER, or SubjectPublicKeyInfo, in hex. */
  readonly published = new Set<string>();
  /** What ails it; lost replies and refused writes in percent. */
  ills = { ...WELL };
  #authorities: readonly Listed[] = [];
  #jwt: readonly JwtAuthority[] = [];
  #active: Certified;
  #prepared: Certified | undefined;
  #sequence = 0n;
  #changedAtMs = 0;
  #before: TrustBundle | undefined;
  readonly #trustDomain: TrustDomain;
  readonly #timeline: Timeline;
  readonly #proofs: TableProofs;

  constructor(trustDomain: TrustDomain, timeline: Timeline, proofs: TableProofs) {
    this.#trustDomain = trustDomain;
    this.#timeline = timeline;
    this.#proofs = proofs;
    this.#active = this.#addAuthority();
  }

  get bundle(): TrustBundle {
    return {
      trustDomain: this.#trustDomain,
      sequenceNumber: this.#sequence,
      x509Authorities: this.#authorities.map(({ ca, tainted }) => ({ der: ca.facts.der, tainted })),
      jwtAuthorities: this.#jwt,
    };
  }

  heal(): void {
    this.ills = { ...WELL };
  }

  /** The next step of a rotation: prepare, activate, taint, revoke. */
  rotate(): void {
    const old = this.#authorities.find(({ ca }) => ca !== this.#active && ca !== this.#prepared);
    if (this.#prepared !== undefined) {
      this.#active = this.#prepared;
      this.#prepared = undefined;
    } else if (old === undefined) {
      this.#prepared = this.#addAuthority();
    } else {
      const others = this.#authorities.filter((each) => each !== old);
      this.#change(
        old.tainted ? others : [...others, { ...old, tainted: true }],
        this.#jwt.slice(-2),
      );
    }
  }

  /** A restart with a volatile key manager: it signs with a CA that nobody has seen, at once. */
  restart(): void {
    this.#prepared = undefined;
    this.#active = this.#addAuthority();
  }

  mint(): Certified {
    return this.#proofs.issue(this.#trustDomain, this.#nowS() - 10, SVID_LIFE_S, this.#active);
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
    const write = (status: number, change: () => void): RowOutcome => {
      if (this.#timeline.happens(this.ills.refusals)) {
        return { kind: "refused", status, message: "not now" };
      }
      change();
      return { kind: "done" };
    };
    return {
      readBundle: async () => await call(() => this.#read()),
      listFederatedBundles: async () => await call(() => [...this.rows.values()]),
      readFederatedBundle: async (trustDomain) => await call(() => this.rows.get(trustDomain)),
      setFederatedBundle: async (bundle) =>
        await call(() =>
          write(13, () => void this.rows.set(bundle.trustDomain, withoutTaint(bundle))),
        ),
      deleteFederatedBundle: async (trustDomain) =>
        await call(() => write(9, () => void this.rows.delete(trustDomain))),
      listFederationRelationships: async () => await call(() => []),
      mint: async () => await call(() => this.mint()),
    };
  }

  #read(): TrustBundle {
    const mayBeOld = this.ills.isStale && this.#timeline.nowMs() < this.#changedAtMs + CACHE_MS;
    return (mayBeOld && this.#timeline.happens(50) ? this.#before : undefined) ?? this.bundle;
  }

  /** A new CA, and a new JWT key with it. */
  #addAuthority(): Certified {
    const ca = this.#proofs.issue(this.#trustDomain, this.#nowS() - 10, CA_LIFE_S);
    const { publicKey: spki } = this.#proofs.newKey("ec-p256");
    const jwt = { keyId: toHex(spki), spki, expiresAtS: 0, tainted: false };
    this.#change([...this.#authorities, { ca, tainted: false }], [...this.#jwt, jwt]);
    return ca;
  }

  #change(authorities: readonly Listed[], jwt: readonly JwtAuthority[]): void {
    this.#before = this.#sequence === 0n ? undefined : this.bundle;
    this.#changedAtMs = this.#timeline.nowMs();
    this.#sequence += 1n;
    this.#authorities = authorities;
    this.#jwt = jwt;
    for (const { ca } of authorities) this.published.add(toHex(ca.facts.der));
    for (const { spki } of jwt) this.published.add(toHex(spki));
  }

  #nowS(): number {
    return Math.floor(this.#timeline.nowMs() / 1_000);
  }
}

/** SPIRE drops it from a federated row (measured). */
function withoutTaint(bundle: TrustBundle): TrustBundle {
  const x509Authorities = bundle.x509Authorities.map(({ der }) => ({ der, tainted: false }));
  return { ...bundle, x509Authorities };
}
