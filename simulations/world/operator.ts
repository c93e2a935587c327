/**
 * What an operator does by hand: imports whom he approves, with the fingerprint of the partner's
 * export, and forgets whom he does not; again until it is done.
 */
import type { Site } from "./daemon.ts";
import type { Timeline } from "./timeline.ts";

const RETRY_MS = 2_000;

export function operate(at: Site, partners: readonly Site[], timeline: Timeline): void {
  timeline.every(RETRY_MS, () => {
    for (const partner of partners) attempt(at, partner).catch(() => undefined); // SPIRE is away.
    return true;
  });
}

async function attempt(at: Site, { trustDomain, daemon: theirs }: Site): Promise<void> {
  const { daemon, approved, forgotten } = at;
  const isImported = daemon?.state.partners.has(trustDomain) === true;
  if (daemon === undefined || isImported === approved.has(trustDomain)) return;
  if (isImported) {
    const answer = await daemon.loop.ask((ticket) => ({
      kind: "forget-asked",
      ticket,
      trustDomain,
    }));
    if (answer?.kind === "done" && !approved.has(trustDomain)) forgotten.add(trustDomain);
    return;
  }
  const exported = await theirs?.loop.ask((ticket) => ({ kind: "export-asked", ticket }));
  const row = await daemon.spire.readFederatedBundle(trustDomain);
  if (exported?.kind !== "exported" || !approved.has(trustDomain)) return;
  forgotten.delete(trustDomain);
  await daemon.loop.ask((ticket) => ({
    kind: "import-asked",
    ticket,
    envelope: exported.envelope,
    fingerprint: exported.recordId,
    addressHints: [],
    replace: false,
    spireAsked: true,
    row,
    hasRelationship: false,
  }));
}
