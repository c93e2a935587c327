/** What SPIRE Servers hold, asked over their own sockets: never a daemon's word for it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Bundle } from "../src/spire-api/services.ts";
import type { Site } from "./site.ts";

/** A row is there within a second; a busy machine waits, and then something is wrong. */
const ROW_DEADLINE_MS = 30_000;
/** A read takes SPIRE Server 0.7 ms (measured); finer than this the answers get no truer. */
const POLL_MS = 5;

/**
 * A bundle's authorities as one text, the same for the same authorities in whatever order. Taint
 * and sequence number are left out: SPIRE keeps no taint of another trust domain (measured).
 */
export type Authorities = string;

/** The bundle that a site's SPIRE Server states as its own. */
export async function ownAuthorities({ api }: Site): Promise<Authorities> {
  return authoritiesOf(await api.bundle.getBundle({}));
}

/** What a site's SPIRE Server holds of another trust domain; undefined when it holds nothing. */
export async function rowAuthorities({ api }: Site, of: Site): Promise<Authorities | undefined> {
  const { bundles } = await api.bundle.listFederatedBundles({});
  const row = bundles.find(({ trustDomain }) => trustDomain === of.trustDomain);
  return row && authoritiesOf(row);
}

/**
 * Waits until `at`'s SPIRE Server holds exactly these authorities of `of`. Rejects with the end of
 * the daemon's log when the daemon ends, or after 30 s.
 */
export async function untilRowIs(at: Site, of: Site, wanted: Authorities): Promise<void> {
  const deadlineMs = performance.now() + ROW_DEADLINE_MS;
  while ((await rowAuthorities(at, of)) !== wanted) {
    const hasEnded = at.daemon?.ended !== undefined;
    if (hasEnded || performance.now() > deadlineMs) {
      const why = hasEnded ? "its daemon has ended" : `waited ${ROW_DEADLINE_MS / 1_000} s`;
      const sentence = `SPIRE Server of ${at.trustDomain} does not hold the bundle of ${of.trustDomain}`;
      throw new Error(`${sentence}: ${why}.\n${(await at.daemon?.log()) ?? ""}`);
    }
    await sleep(POLL_MS);
  }
}

function authoritiesOf({ x509Authorities, jwtAuthorities }: Bundle): Authorities {
  const x509 = x509Authorities.map(({ asn1 }) => `x509 ${base64(asn1)}`);
  const jwt = jwtAuthorities.map(
    ({ keyId, publicKey, expiresAt }) => `jwt ${keyId} ${base64(publicKey)} ${expiresAt}`,
  );
  return [...x509, ...jwt].toSorted().join("\n");
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
