/**
 * What the passing of time says of partners: who fell silent, who is kept from us, whose fork stands,
 * and whose clock is wrong. By the clock that nobody sets, every few seconds (docs/protocol.md 4).
 *
 *     heard ── 5 min without a new head ──▶ stale ── 15 min, while others are heard ──▶ FROZEN
 *     a head names what is not held ── two rounds of sync ──▶ ECLIPSED
 *     two records of one version ── 60 s ──▶ FORK
 */
import { CLOCK_SKEW_S } from "../std/limits.ts";
import { compareVersions } from "../record/state.ts";
import type { TrustDomain } from "../spiffe/trust-domain.ts";
import type { Effect } from "./effect.ts";
import type { HeardClocks } from "./heard.ts";
import { type MeshState, clear, isRaised, raise } from "./mesh-state.ts";
import type { Partner } from "./partner.ts";
import { sayFork } from "./slot-store.ts";

/** Five heads that did not come. */
const STALE_MS = 5 * 60_000;
const FROZEN_MS = 15 * 60_000;
/** Two rounds of sync of ours, and the time that two take at the least. */
const ECLIPSED_ROUNDS = 2;
const ECLIPSED_MS = 20_000;
/** A replica publishes once it reads what we read, or is led on by sync: some rounds of it. */
const APART_MS = 60_000;
const FOLLOW_REPLICA =
  "compare fingerprints with the operator of the other daemon, then run `spire-mesh own adopt -fingerprint F` where the record is older";
/** A fork between replicas ends by itself in seconds. */
const FORK_MS = 60_000;
/** How often all partners are looked at: 10,000 of them take about a millisecond. */
const LOOK_EVERY_MS = 5_000;
const CLOCK_SKEW_MS = CLOCK_SKEW_S * 1_000;
/** Trust domains whose clocks all differ the same way. One or two may be wrong themselves. */
const CLOCK_DOMAINS_MIN = 3;

export type Freshness = "fresh" | "stale" | "frozen" | "never";

/** When the trust domain was heard last: a head of its nodes, or an answer of one to a sync. */
function heardUptimeMs({ heads, lastHeardUptimeMs }: Partner): number | undefined {
  const head = heads.lastUptimeMs;
  if (head === undefined || lastHeardUptimeMs === undefined) return head ?? lastHeardUptimeMs;
  return Math.max(head, lastHeardUptimeMs);
}

export function freshnessOf(state: MeshState, partner: Partner): Freshness {
  if (isRaised(state, "FROZEN", partner.pin.trustDomain)) return "frozen";
  const heardMs = heardUptimeMs(partner);
  if (heardMs === undefined) return "never";
  return state.uptimeMs - heardMs <= STALE_MS ? "fresh" : "stale";
}

export function watchPartners(state: MeshState, nowMs: number): Effect[] {
  if (state.uptimeMs - state.watchedUptimeMs < LOOK_EVERY_MS) return [];
  state.watchedUptimeMs = state.uptimeMs;
  const partners = [...state.partners.values()];
  const fresh = partners.filter((each) => {
    const heardMs = heardUptimeMs(each);
    return heardMs !== undefined && state.uptimeMs - heardMs <= STALE_MS;
  }).length;
  return [
    ...partners.flatMap((partner) => [
      ...watchSilence(state, partner, fresh, nowMs),
      ...watchReach(state, partner, nowMs),
      ...watchFork(state, partner, nowMs),
    ]),
    ...watchClocks(state, partners, nowMs),
    ...watchReplicas(state, nowMs),
  ];
}

/** A replica stands on another own record, and for so long that no round of sync brought us together. */
function watchReplicas(state: MeshState, nowMs: number): Effect[] {
  const { own, self, uptimeMs } = state;
  const { trustDomain } = self;
  const held = own.slot?.held.record;
  const apart = [...own.heads].find(
    ([, { version, recordId, heardUptimeMs }]) =>
      held !== undefined &&
      recordId !== held.idHex &&
      compareVersions(version, held.state.version) >= 0 &&
      uptimeMs - heardUptimeMs <= STALE_MS,
  );
  if (apart === undefined) {
    own.apartUptimeMs = undefined;
    return clear(state, "ECLIPSED", trustDomain);
  }
  own.apartUptimeMs ??= uptimeMs;
  if (uptimeMs - own.apartUptimeMs < APART_MS) return [];
  const [node, { recordId }] = apart;
  const message = `another node of ${trustDomain}, ${node}, stands on record ${recordId}, which does not follow what is held here`;
  return raise(state, "ECLIPSED", trustDomain, message, nowMs, FOLLOW_REPLICA);
}

/** Silence is an attack, or an outage, when others are heard; else it is our own network. */
function watchSilence(state: MeshState, partner: Partner, fresh: number, nowMs: number): Effect[] {
  const { trustDomain } = partner.pin;
  const heardMs = heardUptimeMs(partner);
  const silentMs = heardMs === undefined ? 0 : state.uptimeMs - heardMs;
  if (silentMs <= STALE_MS) return clear(state, "FROZEN", trustDomain);
  if (silentMs < FROZEN_MS || fresh === 0) return [];
  const message = `nothing new was heard of ${trustDomain} for ${Math.floor(silentMs / 60_000)} min, while ${fresh} others were heard`;
  return raise(state, "FROZEN", trustDomain, message, nowMs);
}

/** A node of the partner stands on what nobody gives us. A gap says why itself. */
function watchReach(state: MeshState, partner: Partner, nowMs: number): Effect[] {
  const { slot, heads, pin } = partner;
  const { trustDomain } = pin;
  const held = slot?.held.record.state.version;
  const above = [...heads.values()].find(
    ({ version }) => held === undefined || compareVersions(version, held) > 0,
  );
  if (above === undefined) {
    partner.unreached = undefined;
    return clear(state, "ECLIPSED", trustDomain);
  }
  partner.unreached ??= { sinceUptimeMs: state.uptimeMs, rounds: 0 };
  const { sinceUptimeMs, rounds } = partner.unreached;
  const isLong = rounds >= ECLIPSED_ROUNDS && state.uptimeMs - sinceUptimeMs >= ECLIPSED_MS;
  if (!isLong || isRaised(state, "CONTINUITY_GAP", trustDomain)) return [];
  const { epoch, rev, sequence } = above.version;
  const message = `${trustDomain} stands on epoch ${epoch}, rev ${rev}, sequence ${sequence}, and no peer gives us that record`;
  return raise(state, "ECLIPSED", trustDomain, message, nowMs);
}

function watchFork(state: MeshState, partner: Partner, nowMs: number): Effect[] {
  const { slot, forkedUptimeMs } = partner;
  if (slot?.sibling === undefined || forkedUptimeMs === undefined) return [];
  return state.uptimeMs - forkedUptimeMs < FORK_MS ? [] : sayFork(state, partner, nowMs);
}

/** Three whose clocks differ from ours the same way are right, and we are wrong. */
function watchClocks(state: MeshState, partners: readonly Partner[], nowMs: number): Effect[] {
  const apart = { ahead: new Set<TrustDomain>(), behind: new Set<TrustDomain>() };
  let isAnyRight = false;
  for (const { pin, clocks } of partners) {
    const aheadMs = lastAheadMs(clocks, state.uptimeMs);
    if (aheadMs === undefined) continue;
    if (aheadMs > CLOCK_SKEW_MS) apart.ahead.add(pin.trustDomain);
    else if (aheadMs < -CLOCK_SKEW_MS) apart.behind.add(pin.trustDomain);
    else isAnyRight = true;
  }
  const most = Math.max(apart.ahead.size, apart.behind.size);
  if (most < CLOCK_DOMAINS_MIN)
    return isAnyRight || most === 0 ? clear(state, "CLOCK", undefined) : [];
  const way = apart.ahead.size > apart.behind.size ? "behind" : "ahead of";
  const message = `this host's clock is more than ${CLOCK_SKEW_S} s ${way} those of ${most} trust domains`;
  return raise(state, "CLOCK", undefined, message, nowMs);
}

/** As the node that was heard last has it; nothing when that is long ago. */
function lastAheadMs(clocks: HeardClocks, uptimeMs: number): number | undefined {
  const newest = [...clocks.values()].reduce(
    (best, each) => (each.uptimeMs >= best.uptimeMs ? each : best),
    { uptimeMs: -Infinity, aheadMs: 0 },
  );
  return uptimeMs - newest.uptimeMs > STALE_MS ? undefined : newest.aheadMs;
}
