/**
 * The CA life of a SPIRE Server as a keyring meets it: authorities are prepared, activated, tainted
 * and revoked, a volatile key manager forgets its keys, and whatever is active mints.
 */
import type { SpireServer } from "../../src/ports/spire-server.ts";
import type { X509Authority } from "../../src/core/spiffe/trust-bundle.ts";
import { type TrustDomain, publisherId } from "../../src/core/spiffe/trust-domain.ts";
import { type Authority, makeAuthority } from "../arbitraries/authority.ts";

/** SPIRE dates its certificates back (read in its source). */
const BACKDATE_S = 10;

export class RotatingSpire {
  readonly trustDomain: TrustDomain;
  /** Grows with every change of the bundle. */
  sequenceNumber = 0n;
  /** How many SVIDs were minted. */
  minted = 0;
  /** What SVIDs live instead of what was asked for. */
  svidLifeS: number | undefined;
  /** What the next mint does instead of minting. */
  failure: Error | undefined;
  readonly #nowS: () => number;
  #bundle: { readonly authority: Authority; tainted: boolean }[] = [];
  #active: Authority;
  #prepared: Authority | undefined;
  #old: Authority | undefined;

  constructor(trustDomain: TrustDomain, nowS: () => number) {
    this.trustDomain = trustDomain;
    this.#nowS = nowS;
    this.#active = this.#add();
  }

  get active(): Authority {
    return this.#active;
  }

  get authorities(): readonly X509Authority[] {
    return this.#bundle.map(({ authority, tainted }) => ({
      der: Uint8Array.from(authority.der),
      tainted,
    }));
  }

  prepare(): void {
    this.#prepared = this.#add();
  }

  /** Changes no bundle. */
  activate(): void {
    if (this.#prepared === undefined) return;
    this.#old = this.#active;
    this.#active = this.#prepared;
    this.#prepared = undefined;
  }

  taintOld(): void {
    const entry = this.#bundle.find(({ authority }) => authority === this.#old);
    if (entry === undefined || entry.tainted) return;
    entry.tainted = true;
    this.sequenceNumber += 1n;
  }

  revokeOld(): void {
    const entry = this.#bundle.find(({ authority }) => authority === this.#old);
    if (entry === undefined || !entry.tainted) return;
    this.#bundle = this.#bundle.filter((each) => each !== entry);
    this.#old = undefined;
    this.sequenceNumber += 1n;
  }

  /** A restart with the memory key manager: another active CA at once, the bundle keeps the others. */
  restartWithVolatileKeys(): void {
    this.#prepared = undefined;
    this.#old = undefined;
    this.#active = this.#add();
  }

  /** Signs with a CA that its bundle does not list, as a fresh replica does for a moment. */
  signUnlisted(): void {
    this.#active = makeAuthority({ trustDomain: this.trustDomain });
  }

  readonly mint: SpireServer["mintX509Svid"] = async (csr, ttlS) => {
    if (this.failure !== undefined) throw this.failure;
    this.minted += 1;
    const der = this.#active.answerCsr(csr, {
      spiffeId: publisherId(this.trustDomain),
      notBeforeS: this.#nowS() - BACKDATE_S,
      notAfterS: this.#nowS() + (this.svidLifeS ?? ttlS),
    });
    return [Uint8Array.from(der)];
  };

  #add(): Authority {
    const authority = makeAuthority({ trustDomain: this.trustDomain });
    this.#bundle.push({ authority, tainted: false });
    this.sequenceNumber += 1n;
    return authority;
  }
}
