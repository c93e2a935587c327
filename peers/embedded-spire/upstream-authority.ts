/**
 * What makes a server nested: another server of its trust domain, whose X.509 authorities are its
 * own. Each has a datastore and a count of its own, so they number the same content differently.
 *
 * Followed is what SPIRE follows (read there): authorities that are new, and X.509 ones that were
 * tainted or, once tainted, removed. A JWT key that upstream taints is listed a second time, tainted,
 * and one that upstream revokes stays. A real nested server has an intermediate CA that signs for it;
 * here upstream itself signs, so a chain is shorter by one.
 */
import { type SpireApi, spireApi } from "../../src/spire-api/client.ts";
import type { Bundle, BundleSchema, MessageInitShape } from "../../src/spire-api/services.ts";
import { subjectKeyIdOf } from "./certificates.ts";
import type { OwnBundle } from "./own-bundle.ts";

type Keys = NonNullable<MessageInitShape<typeof BundleSchema>["jwtAuthorities"]>;

export class UpstreamAuthority {
  readonly #api: SpireApi;
  readonly #ownBundle: OwnBundle;

  /** @param socketPath API socket of the server above. */
  constructor(socketPath: string, ownBundle: OwnBundle) {
    this.#api = spireApi({ socketPath });
    this.#ownBundle = ownBundle;
  }

  /** Brings the own bundle up to date with upstream's. Rejects when upstream is away. */
  async follow(): Promise<void> {
    const { x509Authorities, jwtAuthorities } = await this.#api.bundle.getBundle({});
    this.#followX509(x509Authorities);
    this.#ownBundle.append({ x509Authorities, jwtAuthorities });
  }

  /** Has upstream list a key that this server signs with, so that all of the domain know it. */
  async publish(jwtAuthorities: Keys): Promise<void> {
    const upstream = await this.#api.bundle.appendBundle({ jwtAuthorities });
    this.#ownBundle.append({ jwtAuthorities: upstream.jwtAuthorities });
  }

  /** The API's call, answered by upstream. */
  readonly mintX509SVID: SpireApi["svid"]["mintX509SVID"] = async (request) =>
    await this.#api.svid.mintX509SVID(request);

  close(): void {
    this.#api.close();
  }

  /** Taints what upstream tainted, and drops what was tainted and is not there any more. */
  #followX509(upstream: Bundle["x509Authorities"]): void {
    const above = new Map(upstream.map(({ asn1, tainted }) => [subjectKeyIdOf(asn1), tainted]));
    for (const { asn1, tainted } of this.#ownBundle.read()?.x509Authorities ?? []) {
      const id = subjectKeyIdOf(asn1);
      if (!tainted && above.get(id) === true) this.#ownBundle.taint("x509", id);
      if (tainted && !above.has(id)) this.#ownBundle.revoke("x509", id);
    }
  }
}
