/**
 * What an operator does by hand: imports whom he approves, with the fingerprint of the partner's
 * export, and forgets whom he does not; again until it is done.
 */
import type { Timeline } from "../world/timeline.ts";
import type { Member } from "./member.ts";

const RETRY_MS = 2_000;

/** Of what is as it should be, in percent: who is not sure does it once more. */
const REPEATS = 10;

export function operate(at: Member, partners: readonly Member[], timeline: Timeline): void {
  timeline.every(RETRY_MS, () => {
    for (const partner of partners) {
      const isApproved = at.approved.has(partner.trustDomain);
      const isDone = at.daemon?.state.partners.has(partner.trustDomain) === isApproved;
      if (isDone && !timeline.happens(REPEATS)) continue;
      (isApproved ? approve : forget)(at, partner).catch(() => undefined); // SPIRE is away.
    }
  });
}

async function forget(
  { daemon, approved, forgotten }: Member,
  { trustDomain }: Member,
): Promise<void> {
  const answer = await daemon?.loop.ask((ticket) => ({
    kind: "forget-asked",
    ticket,
    trustDomain,
  }));
  const isGone =
    answer?.kind === "done" || (answer?.kind === "failed" && answer.failure === "NOT_FOUND");
  if (isGone && !approved.has(trustDomain)) forgotten.add(trustDomain);
}

async function approve(at: Member, { trustDomain, daemon: theirs }: Member): Promise<void> {
  const { daemon, spire, approved, forgotten } = at;
  if (daemon === undefined) return;
  const exported = await theirs?.loop.ask((ticket) => ({ kind: "export-asked", ticket }));
  const row = await spire.connect(daemon.isAlive).readFederatedBundle(trustDomain);
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
