/**
 * The server's own bundle row, the one row it counts: `sequence_number` rises by one with every
 * append, taint, revoke and prune, and never otherwise (read in SPIRE).
 *
 * Reads may be up to a second old, which shows only when another server writes the same row: own
 * writes drop the copy at once.
 */
import {
  type Bundle,
  BundleSchema,
  create,
  type JWTKey,
  type MessageInitShape,
  type X509Certificate,
} from "../../src/spire-api/services.ts";
import { subjectKeyIdOf } from "./certificates.ts";
import type { Datastore } from "./datastore.ts";
import { parseCertificates } from "./go-parser.ts";

const CACHE_AGE_MAX_MS = 1_000;
/** SPIRE keeps authorities for a day after they ended. */
const EXPIRED_KEPT_MS = 24 * 3_600_000;

export type AuthorityKind = "x509" | "jwt";

/** SPIRE's words for what is wrong with an authority. */
const PROBLEMS = {
  x509: {
    tainted: "root CA is already tainted",
    untainted: "it is not possible to revoke an untainted root CA",
    notToTaint: "no ca found with provided subject key ID",
    notToRevoke: "no root CA found with provided subject key ID",
  },
  jwt: {
    tainted: "key is already tainted",
    untainted: "it is not possible to revoke an untainted key",
    notToTaint: "no JWT Key found with provided key ID",
    notToRevoke: "no JWT Key found with provided key ID",
  },
} as const;

export class OwnBundle {
  readonly #trustDomain: string;
  readonly #datastore: Datastore;
  readonly #nowMs: () => number;
  #copy: { readonly bundle: Bundle | undefined; readonly readAtMs: number } | undefined;

  constructor(trustDomain: string, datastore: Datastore, nowMs: () => number) {
    this.#trustDomain = trustDomain;
    this.#datastore = datastore;
    this.#nowMs = nowMs;
  }

  /** Undefined before the first authority was appended. */
  read(): Bundle | undefined {
    const nowMs = this.#nowMs();
    if (this.#copy === undefined || nowMs - this.#copy.readAtMs >= CACHE_AGE_MAX_MS) {
      this.#copy = { bundle: this.#datastore.bundle(this.#trustDomain), readAtMs: nowMs };
    }
    return this.#copy.bundle;
  }

  /**
   * Adds what is not there yet. As in SPIRE the taint counts: appending an authority that is held
   * as tainted lists it a second time, untainted.
   */
  append(added: MessageInitShape<typeof BundleSchema>): Bundle {
    const news = create(BundleSchema, { ...added, trustDomain: this.#trustDomain });
    return this.#change((bundle) => {
      if (bundle === undefined) return news;
      const x509 = news.x509Authorities.filter((one) => !holdsCertificate(bundle, one));
      const jwt = news.jwtAuthorities.filter((one) => !holdsKey(bundle, one));
      if (x509.length + jwt.length === 0) return undefined;
      bundle.x509Authorities.push(...x509);
      bundle.jwtAuthorities.push(...jwt);
      return bundle;
    });
  }

  /** Throws an Error when the authority is not there or tainted already. */
  taint(kind: AuthorityKind, id: string): void {
    const problems = PROBLEMS[kind];
    this.#change((bundle) => {
      const authority = bundle && find(bundle, kind, id);
      if (authority === undefined) throw new Error(problems.notToTaint);
      if (authority.tainted) throw new Error(problems.tainted);
      authority.tainted = true;
      return bundle;
    });
  }

  /** Throws an Error when the authority is not there or not tainted. */
  revoke(kind: AuthorityKind, id: string): void {
    const problems = PROBLEMS[kind];
    this.#change((bundle) => {
      const authority = bundle && find(bundle, kind, id);
      if (bundle === undefined || authority === undefined) throw new Error(problems.notToRevoke);
      if (!authority.tainted) throw new Error(problems.untainted);
      bundle.x509Authorities = bundle.x509Authorities.filter((one) => one !== authority);
      bundle.jwtAuthorities = bundle.jwtAuthorities.filter((one) => one !== authority);
      return bundle;
    });
  }

  /** Drops authorities that ended more than a day ago. */
  prune(): void {
    const oldestMs = this.#nowMs() - EXPIRED_KEPT_MS;
    this.#change((bundle) => {
      if (bundle === undefined) return undefined;
      const { x509Authorities, jwtAuthorities } = bundle;
      bundle.x509Authorities = x509Authorities.filter(({ asn1 }) =>
        parseCertificates(asn1).every(({ validToDate }) => validToDate.getTime() > oldestMs),
      );
      bundle.jwtAuthorities = jwtAuthorities.filter(
        ({ expiresAt }) => expiresAt === 0n || Number(expiresAt) * 1_000 > oldestMs,
      );
      const kept = bundle.x509Authorities.length + bundle.jwtAuthorities.length;
      const changed = kept < x509Authorities.length + jwtAuthorities.length;
      return changed ? bundle : undefined;
    });
  }

  /** The first write makes sequence number 0, each further one adds 1; undefined writes nothing. */
  #change(change: (bundle: Bundle | undefined) => Bundle | undefined): Bundle {
    this.#copy = undefined;
    this.#datastore.changeBundle(this.#trustDomain, (current) => {
      const changed = change(current);
      if (changed !== undefined && current !== undefined) changed.sequenceNumber += 1n;
      return changed;
    });
    const bundle = this.read();
    if (bundle === undefined) throw new Error("the own bundle is not there");
    return bundle;
  }
}

function find(
  bundle: Bundle,
  kind: AuthorityKind,
  id: string,
): X509Certificate | JWTKey | undefined {
  return kind === "x509"
    ? bundle.x509Authorities.find(({ asn1 }) => subjectKeyIdOf(asn1) === id)
    : bundle.jwtAuthorities.find(({ keyId }) => keyId === id);
}

function holdsCertificate(bundle: Bundle, { asn1, tainted }: X509Certificate): boolean {
  return bundle.x509Authorities.some(
    (held) => held.tainted === tainted && Buffer.compare(held.asn1, asn1) === 0,
  );
}

function holdsKey(bundle: Bundle, { keyId, publicKey, expiresAt, tainted }: JWTKey): boolean {
  return bundle.jwtAuthorities.some(
    (held) =>
      held.keyId === keyId &&
      held.expiresAt === expiresAt &&
      held.tainted === tainted &&
      Buffer.compare(held.publicKey, publicKey) === 0,
  );
}
