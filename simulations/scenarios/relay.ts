/**
 * Somebody was away while a partner rotated twice. First it can only hear a relay, which answers with
 * nothing but the partner's newest record, hundreds of times a second; then the partner itself, who
 * has the steps between. Whoever relays must not be able to delay them.
 */
import assert from "node:assert/strict";
import { holdsNewest } from "../checkers/wellness.ts";
import { way } from "../world/network.ts";
import type { Mesh } from "./mesh.ts";

/** Everybody has approved everybody, and a rotation has its four records. */
const SETTLED_MS = 30_000;
const STEPS = 8;
const STEP_MS = 2_000;
const RELAYED_MS = 10_000;
const REPEAT_MS = 250;
/** What one reply to a sync carries at most. */
const COPIES = 64;
/** From when the partner can be heard: finding it takes a second, one round of sync 0.2 s. */
const CAUGHT_UP_WITHIN_MS = 3_000;

/** Returns whether who was away caught up in time. */
export async function relay({ world, members }: Mesh): Promise<boolean> {
  const [partner, ...others] = members;
  const [away, relay] = others.map(({ first }) => first);
  assert(partner !== undefined && away !== undefined && relay !== undefined);
  const { site } = partner.first;
  const ways = [way(site, away.site), way(away.site, site)];
  const { disk } = relay;
  disk.stepsAbove = async () => disk.steps.get(partner.trustDomain)?.slice(-1) ?? [];
  await world.pass(SETTLED_MS);
  away.die();
  for (let step = 0; step < STEPS; step += 1) {
    partner.first.spire.rotate();
    await world.pass(STEP_MS);
  }
  for (const each of ways) world.network.blocked.add(each);
  away.boot();
  world.timeline.every(REPEAT_MS, () => {
    const newest = disk.domains.get(partner.trustDomain)?.held.envelope ?? new Uint8Array();
    const copies = Array.from({ length: COPIES }, () => newest);
    void away.daemon?.peers.onSyncRecords(copies, relay.site.nodeHex);
  });
  await world.pass(RELAYED_MS);
  assert(!holdsNewest(away, partner), "nobody gave it the steps yet");
  for (const each of ways) world.network.blocked.delete(each);
  await world.pass(CAUGHT_UP_WITHIN_MS);
  return holdsNewest(away, partner);
}
