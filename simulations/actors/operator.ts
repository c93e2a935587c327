/**
 * What an operator does by hand: imports whom he approves, with the fingerprint of the partner's
 * export, and forgets whom he does not; adds replicas and removes those that are gone; and looks at what
 * his daemons find. Again until it is done.
 */
import type { Answer } from "../../src/core/mesh/effect.ts";
import type { FindingCode } from "../../src/core/mesh/finding.ts";
import type { OwnOrder } from "../../src/core/mesh/own-order.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { has } from "../../src/core/record/step.ts";
import type { Timeline } from "../world/timeline.ts";
import { type Member, type Replica, isListed } from "./member.ts";

const RETRY_MS = 2_000;

/** Of what is as it should be, in percent: who is not sure does it once more. */
const REPEATS = 10;
/** How often he looks at what was found before he answers, in percent. */
const HASTE = 30;
/** Findings that end by themselves have so long. */
const PATIENCE_MS = 30_000;
/** A partner's record that cannot be had any more, or cannot be followed. */
const NEEDS_PIN: ReadonlySet<FindingCode> = new Set(["CONTINUITY_GAP", "PIN_AWAITED", "ECLIPSED"]);
/** How often he asks any replica, and not the one whose turn it is, in percent. */
const ANYWHERE = 30;

export function operate(at: Member, partners: readonly Member[], timeline: Timeline): void {
  timeline.every(RETRY_MS, () => {
    for (const replica of at.staying) {
      for (const partner of partners) approveOrForget(at, replica, partner, timeline);
      if (timeline.happens(HASTE)) decide(at, replica, partners);
    }
    keepReplicas(at, timeline);
  });
}

function approveOrForget(at: Member, replica: Replica, partner: Member, timeline: Timeline): void {
  const isApproved = at.approved.has(partner.trustDomain);
  const isDone = replica.daemon?.state.partners.has(partner.trustDomain) === isApproved;
  if (isDone && !timeline.happens(REPEATS)) return;
  const work = isApproved ? approve(at, replica, partner) : forget(at, replica, partner);
  work.catch(() => undefined); // SPIRE is away.
}

async function forget(at: Member, replica: Replica, { trustDomain }: Member): Promise<void> {
  const answer = await replica.daemon?.loop.ask((ticket) => ({
    kind: "forget-asked",
    ticket,
    trustDomain,
  }));
  const isGone =
    answer?.kind === "done" || (answer?.kind === "failed" && answer.failure === "NOT_FOUND");
  if (isGone && isNowhereElse(at, replica, trustDomain)) at.forgotten.add(trustDomain);
}

/** Whether no other replica has it any more, those that are down included. */
function isNowhereElse(
  { approved, staying, datastore }: Member,
  replica: Replica,
  trustDomain: TrustDomain,
): boolean {
  const isHeld = staying.some(
    (each) =>
      each !== replica &&
      [each.disk.pins, each.disk.marks, each.daemon?.state.partners].some((place) =>
        place?.has(trustDomain),
      ),
  );
  return !isHeld && !approved.has(trustDomain) && !datastore.rows.has(trustDomain);
}

async function approve(at: Member, replica: Replica, partner: Member): Promise<void> {
  const { approved, forgotten } = at;
  const { daemon, spire } = replica;
  const { trustDomain } = partner;
  if (daemon === undefined) return;
  const theirs = partner.leading ?? partner.first;
  const exported = await theirs.daemon?.loop.ask((ticket) => ({ kind: "export-asked", ticket }));
  const row = await spire.connect(daemon.isAlive).readFederatedBundle(trustDomain);
  if (exported?.kind !== "exported" || !approved.has(trustDomain)) return;
  forgotten.delete(trustDomain);
  await daemon.loop.ask((ticket) => ({
    kind: "import-asked",
    ticket,
    envelope: exported.envelope,
    fingerprint: exported.recordId,
    addressHints: [],
    replace: true, // The row may be another replica's work, or this one's before its disk went back.
    spireAsked: true,
    row,
    hasRelationship: false,
  }));
}

/** What only a person decides: that a restored datastore is meant, and what of a partner is. */
function decide(at: Member, { daemon }: Replica, partners: readonly Member[]): void {
  if (daemon === undefined) return;
  const { state, loop } = daemon;
  for (const { code, trustDomain, sinceMs } of state.findings.values()) {
    if (code === "SPIRE_WENT_BACK") void order(daemon, { kind: "confirm-restore" });
    const partner = partners.find((each) => each.trustDomain === trustDomain);
    const held = trustDomain && state.partners.get(trustDomain)?.slot?.held.record.idHex;
    if (partner === undefined || trustDomain === undefined) continue;
    if (code === "AUTHORITY_RETURNED" && held !== undefined) {
      const release = { kind: "release-asked", trustDomain, recordId: held } as const;
      void loop.ask((ticket) => ({ ...release, ticket }));
    }
    const newest = partner.leading?.slot?.held.record.idHex;
    const isPatient = Math.abs(daemon.nowMs() - sinceMs) < PATIENCE_MS;
    if (!NEEDS_PIN.has(code) || isPatient || newest === undefined || newest === held) continue;
    at.pins += 1;
    const pin = { kind: "pin-asked", trustDomain, fingerprint: newest } as const;
    void loop.ask((ticket) => ({ ...pin, ticket }));
  }
}

/** Those that are there shall be listed, and those that are gone shall not. */
function keepReplicas(at: Member, timeline: Timeline): void {
  const { staying, replicas } = at;
  const { leading: newest } = at;
  if (newest?.slot === undefined) return;
  const { held, effective } = newest.slot;
  const { nodes } = effective.state;
  const gone = replicas.find(({ isGone, site }) => isGone && has(nodes, site.node.publicKey));
  if (gone !== undefined) {
    const node = gone.site.node.publicKey;
    askSomebody(at, { kind: "remove-node", node, force: true }, timeline);
  }
  for (const replica of staying) {
    const { daemon, site, isLeaving } = replica;
    const node = site.node.publicKey;
    const isIn = isListed(newest.slot, site);
    if (isLeaving && isIn) askSomebody(at, { kind: "remove-node", node, force: false }, timeline);
    if (isLeaving && !isIn) {
      replica.die();
      replica.isGone = true;
    }
    if (daemon === undefined || replica.isGone) continue;
    if (isIn && needsStart(at, replica, newest, timeline.nowMs())) {
      const fingerprint = held.record.idHex;
      void daemon.loop.ask((ticket) => ({ kind: "adopt-asked", ticket, fingerprint, nodes }));
    }
    if (!isIn && gone === undefined) {
      askSomebody(at, { kind: "add-node", node }, timeline);
    }
  }
}

/** It stands on nothing, or on what leads nowhere: for so long it does not follow its replica. */
function needsStart(at: Member, replica: Replica, newest: Replica, nowMs: number): boolean {
  if (replica.slot === undefined) return true;
  if (replica.slot.held.record.idHex === newest.slot?.held.record.idHex) {
    at.apartSinceMs.delete(replica);
    return false;
  }
  const sinceMs = at.apartSinceMs.get(replica) ?? nowMs;
  at.apartSinceMs.set(replica, sinceMs);
  if (nowMs - sinceMs < PATIENCE_MS) return false;
  at.adoptions += 1;
  const findings = [...(replica.daemon?.state.findings.values() ?? [])];
  if (!findings.some(({ trustDomain }) => trustDomain === at.trustDomain)) at.unsaid += 1;
  return true;
}

/** The lowest node that stays does it; some operators do not know that yet. */
function askSomebody({ publishers }: Member, asked: OwnOrder, timeline: Timeline): void {
  const [lowest] = publishers.toSorted((one, other) =>
    one.site.nodeHex < other.site.nodeHex ? -1 : 1,
  );
  const replica = timeline.happens(ANYWHERE) ? timeline.oneOf(publishers) : lowest;
  if (replica?.daemon !== undefined) void order(replica.daemon, asked);
}

async function order(
  { loop }: NonNullable<Replica["daemon"]>,
  asked: OwnOrder,
): Promise<Answer | undefined> {
  return await loop.ask((ticket) => ({ kind: "own-order-asked", ticket, order: asked }));
}
