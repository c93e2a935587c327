import { expect, onTestFinished, test } from "vitest";
import { newMeshState } from "../../src/core/mesh/mesh-state.ts";
import { createPeerEvents } from "../../src/daemon/peer-events.ts";
import { MeshLoop } from "../../src/runtime/mesh-loop.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { NOW_S, makePublisher, makeRecord, stateAfter } from "../arbitraries/record.ts";
import { NOTHING_STORED, selfOf } from "../arbitraries/start.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const stranger = makePublisher("stranger.test");
const RELAY = "12D3KooWRelay";

const never = async (): Promise<never> => await new Promise(() => {});

/** Bravo's loop, which holds alpha's genesis, and what its network reports to it. */
async function holding() {
  let isFull = false;
  const loop = new MeshLoop({
    state: newMeshState(selfOf(bravo), NOTHING_STORED, NOW_S * 1_000),
    proofs: x509Proofs,
    store: {
      accept: async () => {
        if (isFull) throw new Error("no space left on device");
      },
      remove: async () => {},
      marked: async () => {},
      saveHeadCounter: async () => {},
    },
    keyring: { sign: never, signHead: (payload) => payload, mintAhead: async () => {} },
    onTrouble: () => {},
    nowMs: () => NOW_S * 1_000,
  });
  const network = {
    publish: async () => {},
    publishHead: async () => {},
    admit: () => {},
    dial: () => {},
    connections: () => [],
    syncNow: async () => {},
  };
  loop.start({ network, orderRow: () => {}, knock: () => {}, onEvent: () => {} });
  onTestFinished(async () => await loop.stop());
  await loop.ask((ticket) => ({
    kind: "import-asked",
    ticket,
    envelope: alpha.genesis.envelope,
    fingerprint: alpha.genesis.idHex,
    addressHints: [],
    replace: false,
    row: undefined,
    spireAsked: true,
    hasRelationship: false,
  }));
  const events = createPeerEvents(loop, (id) => (id === RELAY ? alpha.node.publicKey : undefined));
  return { events, loop, fill: () => (isFull = true) };
}

const block = { node: alpha.node, svids: [alpha.svid], signedAtS: NOW_S };
const after = (sequence: bigint): Uint8Array =>
  makeRecord(stateAfter(alpha.genesis, { version: { epoch: 0, rev: 0, sequence } }), [block])
    .envelope;

test("of a reply in sync each record is judged against those before it, and has its verdict", async () => {
  const { events } = await holding();
  const [second, third] = [after(2n), after(3n)];
  const given: readonly (readonly [Uint8Array, string])[] = [
    [alpha.genesis.envelope, "ignore"],
    [second, "accept"],
    [second, "ignore"],
    [Uint8Array.from([0xff]), "reject"],
    [stranger.genesis.envelope, "ignore"],
    [third, "accept"],
    [second, "ignore"],
  ];
  const envelopes = given.map(([envelope]) => envelope);
  const verdicts = given.map(([, verdict]) => verdict);
  expect(await events.onSyncRecords(envelopes, RELAY)).toEqual(verdicts);
  expect(await events.onSyncRecords([], RELAY)).toEqual([]);
});

test.each(["gossip", "sync"] as const)(
  "from %s nothing is judged that we have no room for",
  async (by) => {
    const { events, loop, fill } = await holding();
    const tell = async (envelope: Uint8Array, peerId = RELAY): Promise<string | undefined> =>
      by === "gossip"
        ? await events.onGossip(envelope, peerId)
        : (await events.onSyncRecords([envelope], peerId))[0];
    expect(await tell(after(2n), "QmNoNodeOfOurs")).toBe("unjudged");
    fill();
    expect(await tell(after(2n))).toBe("unjudged");
    await loop.stop();
    expect(await tell(after(2n))).toBe("unjudged");
  },
);
