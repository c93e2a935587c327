/**
 * SPIRE's datastore: one bundle with a sequence for all servers on it, the rows of other trust domains,
 * and backups. A restored one counts from where it was, and may bring back what was revoked since.
 */
import type { TrustBundle } from "../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import type { Certified } from "../world/table-proofs.ts";
import type { Timeline } from "../world/timeline.ts";

/** A CA of any server on the datastore. */
interface Listed {
  readonly ca: Certified;
  readonly tainted: boolean;
}

export interface Backup {
  readonly listed: readonly Listed[];
  readonly sequence: bigint;
  readonly rows: ReadonlyMap<TrustDomain, TrustBundle>;
}

export class Datastore {
  readonly rows = new Map<TrustDomain, TrustBundle>();
  /** Every authority that the bundle ever listed: DER, or SubjectPublicKeyInfo, in hex. */
  readonly published = new Set<string>();
  /** CAs that were ever tainted: their keys are anybody's. */
  readonly tainted: Certified[] = [];
  bundle: TrustBundle;
  /** What it was until the last change, when that was, and which server made it. */
  before: TrustBundle;
  changedAtMs = 0;
  restores = 0;
  changedBy: unknown;
  #listed: readonly Listed[] = [];
  readonly #timeline: Timeline;

  constructor(trustDomain: TrustDomain, timeline: Timeline) {
    this.#timeline = timeline;
    this.bundle = { trustDomain, sequenceNumber: 0n, x509Authorities: [], jwtAuthorities: [] };
    this.before = this.bundle;
  }

  /** Oldest first. */
  get cas(): readonly Certified[] {
    return this.#listed.map(({ ca }) => ca);
  }

  isTainted(ca: Certified): boolean {
    return this.#listed.some((each) => each.ca === ca && each.tainted);
  }

  add(ca: Certified, by: unknown): void {
    this.#change([...this.#listed, { ca, tainted: false }], by);
  }

  taint(ca: Certified, by: unknown): void {
    this.tainted.push(ca);
    const listed = this.#listed.map((each) => (each.ca === ca ? { ca, tainted: true } : each));
    this.#change(listed, by);
  }

  revoke(ca: Certified, by: unknown): void {
    this.#change(
      this.#listed.filter((each) => each.ca !== ca),
      by,
    );
  }

  backUp(): Backup {
    const { sequenceNumber: sequence } = this.bundle;
    return { listed: this.#listed, sequence, rows: new Map(this.rows) };
  }

  /** Rows that came or went since are as they are now: whoever restores sees to them. */
  restore({ listed, sequence, rows }: Backup): void {
    this.restores += 1;
    this.#change(listed, undefined, sequence);
    for (const [trustDomain, row] of rows) {
      if (this.rows.has(trustDomain)) this.rows.set(trustDomain, row);
    }
  }

  /** Each CA has a JWT key beside it, the same in this world. */
  #change(
    listed: readonly Listed[],
    by: unknown,
    sequenceNumber = this.bundle.sequenceNumber + 1n,
  ): void {
    this.#listed = listed;
    this.before = this.bundle;
    this.changedAtMs = this.#timeline.nowMs();
    this.changedBy = by;
    this.bundle = {
      trustDomain: this.bundle.trustDomain,
      sequenceNumber,
      x509Authorities: listed.map(({ ca: { facts }, tainted }) => ({ der: facts.der, tainted })),
      jwtAuthorities: listed.map(({ ca: { key }, tainted }) => ({
        keyId: toHex(key.publicKey),
        spki: key.publicKey,
        expiresAtS: 0,
        tainted,
      })),
    };
    for (const { ca } of listed) {
      this.published.add(toHex(ca.facts.der));
      this.published.add(toHex(ca.key.publicKey));
    }
  }
}
