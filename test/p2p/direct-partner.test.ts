/** Of each trust domain that we want, one node is a partner of ours in sync, as nobody else need want it. */
import { randomBytes } from "node:crypto";
import type { Connection, PeerId } from "@libp2p/interface";
import { expect, test } from "vitest";
import { Admission } from "../../src/p2p/admission.ts";
import { peerIdOfNode } from "../../src/p2p/node-identity.ts";
import { Presence } from "../../src/p2p/presence.ts";
import {
  type RunningPeer,
  bookRecord,
  eventually,
  startsPeers,
} from "../compliance/peer-network.ts";
import { making } from "./libp2p-peers.ts";

const start = startsPeers(making());
/** The first port it gets is the one that it has when it comes back. */
const listen = ["/ip4/127.0.0.1/tcp/0"];
const startAgain = startsPeers(making({ listen }));

const [ALPHA, BRAVO, CHARLIE] = ["alpha.test", "bravo.test", "charlie.test"] as const;

/** Both import each other, and the first has the other's address. */
function meet(one: readonly [string, RunningPeer], other: readonly [string, RunningPeer]): void {
  one[1].network.admit(other[0], [other[1].node]);
  other[1].network.admit(one[0], [one[1].node]);
  one[1].network.dial(other[0], other[1].network.addresses());
}

test("a trust domain that nobody else wants is synced with its own node, also after that was away", async () => {
  const alpha = await start([ALPHA, BRAVO, CHARLIE]);
  const bravo = await start([ALPHA, BRAVO]);
  const seed = randomBytes(32);
  const charlie = await startAgain([CHARLIE], { seed });
  charlie.peer.book.put(bookRecord(CHARLIE, 1n));
  meet([ALPHA, alpha], [BRAVO, bravo]);
  meet([ALPHA, alpha], [CHARLIE, charlie]);
  await eventually(() => alpha.peer.book.newest(CHARLIE)?.sequence === 1n);
  await eventually(() => alpha.network.connections().length === 2);

  listen.splice(0, 1, charlie.network.addresses()[0]?.replace(/\/p2p\/.*/, "") ?? "");
  await charlie.stop();
  await eventually(() => alpha.peer.count(`lost ${charlie.id}`) === 1);
  const again = await startAgain([CHARLIE], { seed });
  again.peer.book.put(bookRecord(CHARLIE, 2n));
  again.network.admit(ALPHA, [alpha.node]);
  await eventually(() => alpha.peer.book.newest(CHARLIE)?.sequence === 2n);
  expect(bravo.peer.book.newest(CHARLIE)).toBeUndefined();
});

test("the first node of a trust domain is told from those that come after it", () => {
  const [self, first, second, shared] = Array.from({ length: 4 }, () => randomBytes(32));
  if (!self || !first || !second || !shared) throw new Error("four nodes");
  const admission = new Admission(peerIdOfNode(self), () => 0);
  admission.admit(BRAVO, [first, second, shared]);
  admission.admit(CHARLIE, [shared]);
  const connected = new Set<string>();
  const quiet = { attach: () => {}, detach: () => {}, graylists: () => false };
  const presence = new Presence({
    node: {
      getConnections: (peerId?: PeerId) =>
        connected.has(String(peerId)) ? [{} as Connection] : [],
    },
    admission,
    gossip: quiet as never,
    events: { onPeerConnected: () => {}, onPeerLost: () => {} },
  });
  const firsts = (): boolean[] =>
    [first, second, shared].map((node) => presence.wouldBeFirst(peerIdOfNode(node)));
  expect(firsts()).toEqual([true, true, true]);
  connected.add(peerIdOfNode(first).toString());
  presence.settle(peerIdOfNode(first));
  expect(firsts()).toEqual([false, false, true]); // Nobody else is of the other that lists it.
  connected.add(peerIdOfNode(shared).toString());
  presence.settle(peerIdOfNode(shared));
  expect(firsts()).toEqual([false, false, false]);
  connected.clear();
  for (const node of [first, shared]) presence.settle(peerIdOfNode(node));
  expect(firsts()).toEqual([true, true, true]);
  expect(presence.wouldBeFirst(peerIdOfNode(self))).toBe(false);
});
