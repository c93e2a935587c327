/**
 * Stories of a trust domain with two SPIRE Servers on one datastore and a daemon beside each: who may
 * die, what a lost site is recovered with, what a restored datastore asks for.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { rotateAtOnce } from "../../peers/rotation.ts";
import type { Site } from "../../peers/site.ts";
import { z } from "zod";
import { NodeEntry } from "../../src/admin-contract/own.ts";
import { sameAuthorities } from "../../src/core/spiffe/trust-bundle.ts";
import { Story, bundleOf, exportTo, mesh, rowOf, until, statusOf } from "./mesh.ts";
import { type ReplicaKind, Replicas } from "./replicas.ts";

const STORY_MS = 360_000;
/** A head that is lost on its way is followed by the next after 72 s at most. */
const HEARD_MS = 180_000;

export function replicaStories(kind: ReplicaKind): void {
  describe(`replicas beside ${kind.name}`, () => {
    let story: Story;
    let replicas: Replicas;
    beforeEach(async () => {
      story = await Story.begin(kind.spireServer);
      replicas = await Replicas.start(kind);
    });
    afterEach(async () => {
      await replicas.stop();
      await story.end();
    });

    test(
      "publish the same record, and either may die",
      async () => {
        const { first, second, partner } = await pairWithPartner(story, replicas);
        await rotateAtOnce(first.api);
        await untilSame(first, second);
        await untilRow(partner, second);
        await first.stopDaemon("SIGKILL");
        await rotateAtOnce(second.api);
        await untilRow(partner, second);
        await first.startDaemon();
        await untilSame(first, second);
      },
      STORY_MS,
    );

    test(
      "a node that is removed publishes no more",
      async () => {
        const { first, second, partner } = await pairWithPartner(story, replicas);
        const [stays, goes] = await lowestFirst(first, second);
        await until(
          "it is removed",
          async () => {
            const { peer_id: id } = (await statusOf(goes)).node;
            return (await stays.mesh(["node", "remove", id])).code === 0;
          },
          HEARD_MS,
        );
        await until("it knows", async () => {
          return (await statusOf(goes)).findings.some(({ code }) => code === "NODE_NOT_LISTED");
        });
        await rotateAtOnce(stays.api);
        await untilRow(partner, stays);
      },
      STORY_MS,
    );
  });
}

interface Pair {
  readonly first: Site;
  readonly second: Site;
  readonly partner: Site;
}

/** Two replicas that stand on one record, and a partner of theirs. */
async function pairWithPartner(story: Story, replicas: Replicas): Promise<Pair> {
  const [first, second] = replicas.sites;
  const [partner] = await story.startSites(["bravo"]);
  if (first === undefined || second === undefined || partner === undefined)
    throw new Error("sites");
  await first.startDaemon();
  const ours = story.path("alpha.export");
  const theirs = story.path("bravo.export");
  const recordId = await exportTo(first, ours);
  await mesh(partner, ["import", ours, "-fingerprint", recordId]);
  const partnerId = await exportTo(partner, theirs);
  await mesh(first, ["import", theirs, "-fingerprint", partnerId]);

  await second.startDaemon();
  const { node } = await statusOf(second);
  await mesh(first, ["node", "add", node.peer_id, "-fingerprint", node.fingerprint]);
  const { own, node: firstNode } = await statusOf(first);
  const [address = ""] = firstNode.addresses;
  await mesh(second, ["own", "adopt", "-fingerprint", own.record_id ?? "", "-peer", address]);
  await mesh(second, ["import", theirs, "-fingerprint", partnerId]);
  await untilSame(first, second);
  return { first, second, partner };
}

/** Both stand on one record, which says what SPIRE says. */
async function untilSame(one: Site, other: Site): Promise<void> {
  await until("both replicas stand on one record", async () => {
    const [left, right] = await Promise.all([statusOf(one), statusOf(other)]);
    const { sequenceNumber } = await bundleOf(one);
    return (
      left.own.record_id !== null &&
      left.own.record_id === right.own.record_id &&
      left.own.sequence_number === sequenceNumber.toString()
    );
  });
}

async function untilRow(at: Site, of: Site): Promise<void> {
  await until(`${at.trustDomain} holds ${of.trustDomain}`, async () => {
    const row = await rowOf(at, of);
    return row !== undefined && sameAuthorities(row, await bundleOf(of));
  });
}

/** The node with the lowest key changes the nodes. */
async function lowestFirst(one: Site, other: Site): Promise<readonly [Site, Site]> {
  const { stdout } = await mesh(one, ["node", "list", "-output", "json"]);
  const nodes = z.array(NodeEntry).parse(JSON.parse(stdout));
  const lowest = nodes.find(({ is_lowest }) => is_lowest);
  expect(lowest).toBeDefined();
  return lowest?.is_self === true ? [one, other] : [other, one];
}
