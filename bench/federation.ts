/**
 * SPIRE's own https_spiffe federation between two real servers, as the anchor of the rotation: same
 * machine, same time. Its refresh hint is left at the default, so it polls every 75 s.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../peers/site.ts";
import { activate, prepare, revoke, taintOld } from "../peers/rotation.ts";
import type { TrustBundle } from "../src/core/spiffe/trust-bundle.ts";
import { toBundleMessage } from "../src/spire/bundle-message.ts";
import { rowArrival } from "./row-arrival.ts";
import type { Bench, Sites } from "./sites.ts";

/** A quarter of the default refresh hint of 5 min (measured). */
const POLL_MS = 75_000;
const LIMIT_MS = 2 * POLL_MS;

export class Federation {
  readonly #from: Bench;
  readonly #to: Bench;

  private constructor(from: Bench, to: Bench) {
    this.#from = from;
    this.#to = to;
  }

  static async start(sites: Sites, spireServer: string): Promise<Federation> {
    const [from, fromUrl] = await withEndpoint(sites, "delta", spireServer);
    const [to, toUrl] = await withEndpoint(sites, "echo", spireServer);
    await federate(from, to, toUrl);
    await federate(to, from, fromUrl);
    await rowArrival(to, await x509BundleOf(from), LIMIT_MS, x509Of);
    return new Federation(from, to);
  }

  /**
   * Rotates once, at a random moment of the poll interval. Resolves with the milliseconds from
   * prepared to the partner's row.
   */
  async rotate(): Promise<number> {
    await sleep(Math.random() * POLL_MS);
    const authorityId = await prepare(this.#from.api);
    const preparedAtMs = performance.now();
    const bundle = await x509BundleOf(this.#from);
    const arrivedAtMs = await rowArrival(this.#to, bundle, LIMIT_MS, x509Of);
    await activate(this.#from.api, authorityId);
    await revoke(this.#from.api, await taintOld(this.#from.api));
    return arrivedAtMs - preparedAtMs;
  }
}

async function withEndpoint(
  sites: Sites,
  name: string,
  spireServer: string,
): Promise<[Bench, string]> {
  const port = await freePort();
  const extraSpireConfig = `federation {
        bundle_endpoint {
            address = "127.0.0.1"
            port = ${port}
            profile "https_spiffe" {}
        }
    }`;
  return [await sites.add(name, { spireServer, extraSpireConfig }), `https://127.0.0.1:${port}`];
}

async function federate(at: Bench, partner: Bench, bundleEndpointUrl: string): Promise<void> {
  const { trustDomain } = partner;
  const { results } = await at.api.trustDomain.batchCreateFederationRelationship({
    federationRelationships: [
      {
        trustDomain,
        bundleEndpointUrl,
        bundleEndpointProfile: {
          case: "httpsSpiffe",
          value: { endpointSpiffeId: `spiffe://${trustDomain}/spire/server` },
        },
        trustDomainBundle: toBundleMessage(await partner.spire.readBundle()),
      },
    ],
  });
  const status = results[0]?.status;
  if (status?.code !== 0) throw new Error(`no federation with ${trustDomain}: ${status?.message}`);
}

/** A JWT authority loses its end on the way through a bundle endpoint, so it never compares equal. */
function x509Of(bundle: TrustBundle): TrustBundle {
  return { ...bundle, jwtAuthorities: [] };
}

async function x509BundleOf({ spire }: Bench): Promise<TrustBundle> {
  return x509Of(await spire.readBundle());
}
