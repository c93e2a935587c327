/**
 * Proofs without cryptography: certificates and keys are names, and a table knows what was issued and
 * who signed what. A signature is made by `sign` alone, so forging is impossible but for who was given
 * the key.
 */
import { type KeyObject, createSecretKey } from "node:crypto";
import type {
  CertificateFacts,
  KeyFacts,
  Malformed,
  Proofs,
} from "../../src/core/record/proofs.ts";
import {
  type TrustDomain,
  publisherId,
  trustDomainId,
} from "../../src/core/spiffe/trust-domain.ts";
import { concatBytes, equalBytes, toHex, toUtf8 } from "../../src/core/std/bytes.ts";
import { sha256, sha256Hex } from "../../src/core/std/sha256.ts";
import type { PublisherSvid } from "../../src/keys/publisher-svid.ts";

export interface SigningKey {
  /** 32 bytes; stands for the SubjectPublicKeyInfo too. */
  readonly publicKey: Uint8Array;
  /** Whoever has it may sign. */
  readonly privateKey: KeyObject;
  readonly sign: (preimage: Uint8Array) => Uint8Array;
}

/** A certificate and the key that it certifies. */
export interface Certified {
  readonly facts: CertificateFacts;
  readonly key: SigningKey;
}

export class TableProofs implements Proofs {
  readonly #certificates = new Map<string, CertificateFacts>();
  readonly #signatures = new Set<string>();
  readonly #keys = new Map<string, KeyFacts>();

  newKey(type: KeyFacts["type"]): SigningKey {
    const publicKey = sha256(toUtf8(`key ${this.#keys.size}`));
    this.#keys.set(toHex(publicKey), { spki: publicKey, type, bits: 256 });
    const privateKey = createSecretKey(publicKey);
    return { publicKey, privateKey, sign: (preimage) => this.sign({ privateKey }, preimage) };
  }

  /** 64 bytes: as r‖s with 0 < r, s < n/2 of P-256. */
  readonly sign = (
    { privateKey }: Pick<SigningKey, "privateKey">,
    preimage: Uint8Array,
  ): Uint8Array => {
    const said = concatBytes(privateKey.export(), preimage);
    const r = sha256(said).with(0, 1);
    const signature = concatBytes(r, sha256(r).with(0, 1));
    this.#signatures.add(sha256Hex(concatBytes(said, signature)));
    return signature;
  };

  /** An authority of a trust domain, self-signed; or, below one, an X509-SVID of its publisher. */
  issue(
    trustDomain: TrustDomain,
    notBeforeS: number,
    lifeS: number,
    issuer?: Certified,
  ): Certified {
    const isCa = issuer === undefined;
    const key = this.newKey("ec-p256");
    const der = toUtf8(`${isCa ? "CA" : "SVID"} ${this.#certificates.size} of ${trustDomain}`);
    const facts: CertificateFacts = {
      der,
      issuer: issuer?.facts.subject ?? der,
      subject: der,
      notBeforeS,
      notAfterS: notBeforeS + lifeS,
      key: { spki: key.publicKey, type: "ec-p256", bits: 256 },
      isCa,
      pathLength: undefined,
      keyUsage: { digitalSignature: !isCa, keyCertSign: isCa },
      uriSans: [isCa ? trustDomainId(trustDomain) : publisherId(trustDomain)],
      subjectKeyId: undefined,
      authorityKeyId: undefined,
      nameConstraints: undefined,
    };
    this.#certificates.set(toHex(der), facts);
    return { facts, key };
  }

  readonly readCertificate = (der: Uint8Array): CertificateFacts | Malformed =>
    this.#certificates.get(toHex(der)) ?? { malformed: "not in the table" };

  readonly readKey = (spki: Uint8Array): KeyFacts | Malformed =>
    this.#keys.get(toHex(spki)) ?? { malformed: "not in the table" };

  /** By name, as no two certificates have the same. */
  readonly issuedBy = (child: CertificateFacts, parent: CertificateFacts): boolean =>
    equalBytes(child.issuer, parent.subject);

  readonly verifiesNode = (key: Uint8Array, preimage: Uint8Array, signature: Uint8Array): boolean =>
    this.#signatures.has(sha256Hex(concatBytes(key, preimage, signature)));

  readonly verifiesSvid = (key: KeyFacts, preimage: Uint8Array, signature: Uint8Array): boolean =>
    key.type === "ec-p256" && this.verifiesNode(key.spki, preimage, signature);
}

/** A certificate as a keyring keeps it. */
export function toSvid({ facts, key: { privateKey } }: Certified): PublisherSvid {
  const { der, issuer, notBeforeS, notAfterS } = facts;
  const anchorId = toHex(issuer);
  return { chain: [der], facts: [facts], privateKey, anchorId, notBeforeS, notAfterS };
}
