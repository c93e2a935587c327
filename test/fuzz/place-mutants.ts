/** Records by where they stand to what the daemon holds. */
import { type State, noLineage } from "../../src/core/record/state.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import {
  type BlockParts,
  NOW_S,
  type Svid,
  type TestRecord,
  commitmentTo,
  makeNodeKey,
  makeRecord,
  signRecovery,
  untainted,
} from "../arbitraries/record.ts";
import { dearOne } from "./block-mutants.ts";
import { oneKey } from "./node-mutants.ts";
import type { Random } from "./random.ts";
import { type Code, type RecordMutant, type Row, mutantsOf, seal, stated } from "./record-draft.ts";
import { type Bravo, type World, recovered } from "./world.ts";

/** The next record of a site. */
const of = (
  site: { readonly publisher: Bravo["publisher"] },
  before: TestRecord,
  change: Partial<State> = {},
  svids?: readonly Svid[],
  block?: Partial<BlockParts>,
): Uint8Array => site.publisher.next(before, change, svids, block).envelope;

const anyVersion = (random: Random): State["version"] => ({
  epoch: 0,
  rev: random.below(5),
  sequence: BigInt(random.between(1, 40)),
});

/** Where it stands to what the daemon holds. Each may come by gossip, by sync or as a file. */
export function placeMutants(world: World): RecordMutant[] {
  const { alpha, bravo, charlie, delta, echo, foxtrot, golf, hotel, stranger } = world;
  const doubter = charlie.publisher.newCa();
  const doubtersSvid = charlie.publisher.mint(doubter);
  const otherKeys = (random: Random): State["recovery"] =>
    random.oneIn(3)
      ? undefined
      : random.pick([oneKey(1), { ...commitmentTo(foxtrot.keys), threshold: 1 }]);
  const bravoRows: readonly Row[] = [
    [
      "a lower sequence number",
      "STALE",
      stated((state, random) => ({
        version: { ...state.version, sequence: BigInt(random.below(10)) },
      })),
    ],
    [
      "a lower rev",
      "STALE",
      stated((state, random) => ({ version: { ...state.version, rev: random.below(3) } })),
    ],
    [
      "another lineage",
      "WRONG_LINEAGE",
      stated((_, random) => ({ lineage: random.bytes(32), version: anyVersion(random) })),
    ],
    [
      "a lineage of its own",
      "WRONG_LINEAGE",
      stated((state) => ({
        lineage: noLineage(),
        version: { ...state.version, rev: 0 },
        removed: [],
      })),
    ],
    [
      "a trust domain that nobody approved",
      "TRUST_DOMAIN_UNKNOWN",
      stated((_, random) => ({
        trustDomain: random.pick([
          "__proto__",
          "constructor",
          "bravo.tes",
          "bravo.test.",
          "..",
          "x".repeat(255),
        ]) as TrustDomain,
      })),
    ],
    [
      "the name of another partner",
      "WRONG_LINEAGE",
      stated(() => ({ trustDomain: charlie.publisher.trustDomain })),
    ],
    [
      "the name and lineage of another partner",
      "NODE_NOT_LISTED",
      stated(() => ({ trustDomain: charlie.publisher.trustDomain, lineage: charlie.held.lineage })),
    ],
    [
      "the name of the daemon itself",
      "WRONG_LINEAGE",
      stated(() => ({ trustDomain: alpha.publisher.trustDomain })),
    ],
    [
      "the name and lineage of the daemon itself",
      "NODE_NOT_LISTED",
      stated(() => ({ trustDomain: alpha.publisher.trustDomain, lineage: alpha.held.lineage })),
    ],
  ];
  const otherContent = (random: Random): Partial<State> => ({
    x509Authorities: [untainted(charlie.publisher.ca), untainted(random.pick(bravo.extras))],
  });
  const { version: charlieVersion } = charlie.held.state;
  const rows: readonly (readonly [string, Code, (random: Random) => Uint8Array])[] = [
    ["the held record", "unchanged", () => bravo.held.envelope],
    [
      "the held record with a block of another node",
      "taken",
      (random) =>
        seal({
          state: bravo.held.state,
          blocks: [
            { node: bravo.nodes[0], svids: [bravo.svids[0]], signedAtS: NOW_S - random.below(50) },
          ],
        }),
    ],
    ["the record before the held one", "STALE", () => bravo.first.envelope],
    [
      "a sibling of the held record",
      "taken",
      (random) => of(charlie, charlie.held, { version: charlieVersion, ...otherContent(random) }),
    ],
    [
      "a second sibling, which lacks what the two have in common",
      "taken",
      (random) =>
        of(golf, golf.held, {
          version: golf.held.state.version,
          x509Authorities: [untainted(golf.publisher.ca), untainted(random.pick(bravo.extras))],
        }),
    ],
    [
      "a sibling that does not trust what the held record is signed under",
      "FORK",
      (random) =>
        of(
          charlie,
          charlie.held,
          {
            version: charlieVersion,
            x509Authorities: [untainted(doubter), untainted(random.pick(bravo.extras))],
          },
          [charlie.publisher.svid, doubtersSvid],
        ),
    ],
    ["a record above a fork", "taken", () => of(golf, golf.held)],
    [
      "a lower epoch",
      "STALE",
      (random) =>
        of(echo, echo.held, { version: { epoch: random.below(2), rev: 9, sequence: 99n } }),
    ],
    [
      "other recovery keys without a step of rev",
      "RECOVERY_CHANGED",
      (random) =>
        of(foxtrot, foxtrot.held, {
          version: { epoch: 0, rev: random.pick([0, 2, 1_024]), sequence: 5n },
          recovery: otherKeys(random),
        }),
    ],
    [
      "other recovery keys without the signatures of those that are committed",
      "RECOVERY_COUNT",
      (random) =>
        of(foxtrot, foxtrot.held, {
          version: { epoch: 0, rev: 1, sequence: 5n },
          recovery: otherKeys(random),
        }),
    ],
    [
      "other recovery keys, signed by those that are committed",
      "taken",
      (random) =>
        recovered(foxtrot, {
          version: { epoch: 0, rev: 1, sequence: 5n },
          recovery: random.oneIn(2) ? undefined : oneKey(1),
        }).envelope,
    ],
    ["the next epoch", "taken", () => recovered(foxtrot).envelope],
    [
      "the next epoch, signed by too few recovery keys",
      "RECOVERY_COUNT",
      (random) => recovered(foxtrot, {}, random.pick([[], [foxtrot.keys[0]]])).envelope,
    ],
    [
      "the next epoch, signed by a key that is not committed",
      "RECOVERY_KEY_UNKNOWN",
      (random) => recovered(foxtrot, {}, [random.pick(foxtrot.keys), makeNodeKey()]).envelope,
    ],
    [
      "the next epoch with the signatures of another record",
      "RECOVERY_SIGNATURE_INVALID",
      () => {
        const { state } = recovered(foxtrot);
        const { node, svid } = foxtrot.publisher;
        const signatures = signRecovery(foxtrot.first.id, foxtrot.keys);
        return makeRecord(state, [{ node, svids: [svid] }], signatures).envelope;
      },
    ],
    [
      "the next epoch, which commits to a key that it reveals",
      "RECOVERY_REVEALED",
      (random) =>
        recovered(foxtrot, {
          recovery: commitmentTo([random.pick(foxtrot.keys), makeNodeKey()], random.between(1, 2)),
        }).envelope,
    ],
    ["another record of an epoch that began", "RECOVERY_FORK", () => recovered(hotel).envelope],
    ["a record after the first of an epoch", "taken", () => of(hotel, hotel.held)],
    ["the same recovery keys", "taken", () => of(foxtrot, foxtrot.held)],
    [
      "a record after one whose authorities have all expired",
      "HELD_EXPIRED",
      (random) =>
        of(
          delta,
          delta.held,
          {
            x509Authorities: [
              ...delta.held.state.x509Authorities,
              untainted(random.pick(bravo.extras)),
            ],
          },
          [delta.publisher.svid],
          { signedAtS: NOW_S - random.between(11, 150) },
        ),
    ],
    ["a stranger's record", "TRUST_DOMAIN_UNKNOWN", () => stranger.held.envelope],
  ];
  return [
    ...mutantsOf(bravo, bravoRows),
    ...rows.map(([name, expected, make]) => ({ name, expected, make })),
    dearOne(bravo),
  ];
}
