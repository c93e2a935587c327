/** What operators do by hand: approve a partner and forget it, again until it is done. */
import type { Answer } from "../../src/core/mesh/effect.ts";
import type { Site } from "./daemon.ts";
import type { Timeline } from "./timeline.ts";

const RETRY_MS = 2_000;

/** Carries the partner's export over, with its fingerprint. */
export function approve(at: Site, partner: Site, timeline: Timeline): void {
  const { trustDomain } = partner;
  at.approved.add(trustDomain);
  persist(timeline, async () => {
    if (!at.approved.has(trustDomain)) return true;
    const exported = await partner.daemon?.ask((ticket) => ({ kind: "export-asked", ticket }));
    if (exported?.kind !== "exported") return false;
    const row = await at.daemon?.spire.readFederatedBundle(trustDomain);
    at.forgotten.delete(trustDomain);
    const answer = await at.daemon?.ask((ticket) => ({
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
    return answer?.kind === "taken" || answer?.kind === "unchanged";
  });
}

export function forget(at: Site, { trustDomain }: Site, timeline: Timeline): void {
  at.approved.delete(trustDomain);
  persist(timeline, async () => {
    if (at.approved.has(trustDomain)) return true; // The operator thought better of it.
    const answer = await at.daemon?.ask((ticket) => ({
      kind: "forget-asked",
      ticket,
      trustDomain,
    }));
    if (!isForgotten(answer) || at.approved.has(trustDomain)) return false;
    at.forgotten.add(trustDomain);
    return true;
  });
}

function isForgotten(answer: Answer | undefined): boolean {
  return answer?.kind === "done" || (answer?.kind === "failed" && answer.failure === "NOT_FOUND");
}

function persist(timeline: Timeline, attempt: () => Promise<boolean>): void {
  const again = (isDone: boolean): void => {
    if (!isDone) timeline.after(RETRY_MS, () => persist(timeline, attempt));
  };
  attempt().then(again, () => again(false)); // SPIRE is away.
}
