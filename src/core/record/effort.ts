/**
 * Counts what the verification of one record costs, and ends it at a bound: a record within all
 * limits of its shape may ask for some hundred signature checks, at 1.3 ms each under P-521
 * (measured), and a step is never interrupted. Eight replicas with an intermediate authority, old and
 * new, take 48.
 */
import { SIGNATURE_CHECKS_MAX } from "../std/limits.ts";
import type { CertificateFacts, KeyFacts, Malformed, Proofs } from "./proofs.ts";

export class Effort implements Proofs {
  readonly #proofs: Proofs;
  #checks = 0;
  #readings = 0;

  constructor(proofs: Proofs) {
    this.#proofs = proofs;
  }

  /** Signatures checked, certificates and keys read. */
  get work(): number {
    return Math.min(this.#checks, SIGNATURE_CHECKS_MAX) + this.#readings;
  }

  /** More checks were asked for than one record may; those above were answered with no. */
  get isExhausted(): boolean {
    return this.#checks > SIGNATURE_CHECKS_MAX;
  }

  readCertificate(der: Uint8Array): CertificateFacts | Malformed {
    this.#readings += 1;
    return this.#proofs.readCertificate(der);
  }

  readKey(spki: Uint8Array): KeyFacts | Malformed {
    this.#readings += 1;
    return this.#proofs.readKey(spki);
  }

  issuedBy(child: CertificateFacts, parent: CertificateFacts): boolean {
    return this.#mayCheck() && this.#proofs.issuedBy(child, parent);
  }

  verifiesSvid(key: KeyFacts, preimage: Uint8Array, signature: Uint8Array): boolean {
    return this.#mayCheck() && this.#proofs.verifiesSvid(key, preimage, signature);
  }

  verifiesNode(publicKey: Uint8Array, preimage: Uint8Array, signature: Uint8Array): boolean {
    return this.#mayCheck() && this.#proofs.verifiesNode(publicKey, preimage, signature);
  }

  #mayCheck(): boolean {
    this.#checks += 1;
    return !this.isExhausted;
  }
}
