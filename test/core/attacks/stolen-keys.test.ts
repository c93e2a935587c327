/** What a thief can do with each factor, with both, and after the trust domain took itself back. */
import { describe, expect, test } from "vitest";
import { encodeEnvelope } from "../../../src/core/record/envelope.ts";
import { encodeState, type State } from "../../../src/core/record/state.ts";
import { recordId } from "../../../src/core/record/preimages.ts";
import {
  type BlockParts,
  type TestRecord,
  commitmentTo,
  makeNodeKey,
  makeRecord,
  makeRecoveredRecord,
  signBlock,
  signRecovery,
  stateAfter,
  tainted,
  untainted,
} from "../../arbitraries/record.ts";
import {
  type Stage,
  deliver,
  derOf,
  refusedUnharmed,
  rowOf,
  setStage,
  whatStands,
} from "./stage.ts";

/** A record after the first that lists an authority of the thief's. */
function evil(
  { victim }: Stage,
  block: (thiefs: { readonly evilState: State }) => BlockParts,
  change: Partial<State> = {},
): TestRecord {
  const thiefsCa = victim.newCa();
  const evilState = stateAfter(victim.genesis, {
    x509Authorities: [untainted(victim.ca), untainted(thiefsCa)],
    ...change,
  });
  return makeRecord(evilState, [block({ evilState })]);
}

describe("with the node key alone a thief", () => {
  test("has nothing to sign with but an authority that nobody listed: OLD_AUTHORITY_MISSING", async () => {
    const stage = await setStage();
    const { node, newCa, mint } = stage.victim;
    const svids = [mint(newCa())];
    refusedUnharmed(
      stage,
      evil(stage, () => ({ node, svids })),
      "OLD_AUTHORITY_MISSING",
      [
        "CONTINUITY_GAP", // Somebody with its node key says so: the operators are asked to look.
      ],
    );
  });

  test("cannot use the X509-SVID that is public in each record: SVID_SIGNATURE_INVALID", async () => {
    const stage = await setStage();
    const { node, svid, mint, newCa } = stage.victim;
    const svids = [{ ...svid, privateKey: mint(newCa()).privateKey }];
    refusedUnharmed(
      stage,
      evil(stage, () => ({ node, svids })),
      "SVID_SIGNATURE_INVALID",
    );
  });

  test("cannot take the block of another record over: NODE_SIGNATURE_INVALID", async () => {
    const stage = await setStage();
    const { genesis, node, svid } = stage.victim;
    const payload = encodeState(stateAfter(genesis, { nodes: [makeNodeKey().publicKey] }));
    const blocks = [signBlock(genesis.id, { node, svids: [svid] })];
    const envelope = encodeEnvelope({ kind: 1, payload, blocks, recovery: [] });
    refusedUnharmed(stage, { envelope }, "NODE_SIGNATURE_INVALID");
  });
});

describe("with an X509-SVID of the publisher alone a thief", () => {
  test("signs with a node key that nobody listed: NODE_NOT_LISTED", async () => {
    const stage = await setStage();
    const node = makeNodeKey();
    const { svid, node: listed } = stage.victim;
    const parts = { node, svids: [svid] };
    refusedUnharmed(
      stage,
      evil(stage, () => parts),
      "NODE_NOT_LISTED",
    );
    const nodes = [listed.publicKey, node.publicKey];
    refusedUnharmed(
      stage,
      evil(stage, () => parts, { nodes }),
      "NODE_NOT_LISTED",
    );
  });

  test("cannot sign for the listed node: NODE_SIGNATURE_INVALID", async () => {
    const stage = await setStage();
    const { svid, node } = stage.victim;
    const forged = { publicKey: node.publicKey, privateKey: makeNodeKey().privateKey };
    const parts = { node: forged, svids: [svid] };
    refusedUnharmed(
      stage,
      evil(stage, () => parts),
      "NODE_SIGNATURE_INVALID",
    );
  });
});

describe("with the key of a CA alone a thief", () => {
  test("mints what he likes and signs with a node that nobody listed: NODE_NOT_LISTED", async () => {
    const stage = await setStage();
    const { ca, mint } = stage.victim;
    const parts = { node: makeNodeKey(), svids: [mint(ca)] };
    refusedUnharmed(
      stage,
      evil(stage, () => parts),
      "NODE_NOT_LISTED",
    );
  });

  test("is not heard any more once the CA is tainted, with the node key neither: OLD_AUTHORITY_MISSING", async () => {
    const stage = await setStage();
    const { victim } = stage;
    const { ca, mint, newCa, svid, node, genesis } = victim;
    const nextCa = newCa();
    const both = [tainted(ca), untainted(nextCa)];
    const second = victim.next(genesis, { x509Authorities: both }, [svid, mint(nextCa)]);
    expect(deliver(stage, second)).toBe("taken");
    const thiefsCa = newCa();
    const state = stateAfter(second, { x509Authorities: [untainted(thiefsCa)] });
    const parts = { node, svids: [mint(ca), mint(thiefsCa)] };
    while (stage.daemon.orders.length > 0) stage.daemon.endRow();
    refusedUnharmed(stage, makeRecord(state, [parts]), "OLD_AUTHORITY_MISSING", ["CONTINUITY_GAP"]);
  });

  test("cannot speak for what stands by the new authority alone: OLD_AUTHORITY_MISSING", async () => {
    const stage = await setStage();
    const { ca, mint, newCa, node } = stage.victim;
    const thiefsCa = newCa();
    const evilFirst = [mint(thiefsCa), mint(ca)];
    refusedUnharmed(
      stage,
      evil(stage, () => ({ node, svids: evilFirst })),
      "OLD_AUTHORITY_MISSING",
      ["CONTINUITY_GAP"],
    );
  });
});

describe("with a sibling a thief of the node key", () => {
  test("cannot bring a removed CA back, whose key he has: OLD_AUTHORITY_MISSING", async () => {
    const stage = await setStage();
    const { victim } = stage;
    const { ca, mint, newCa, svid, node, genesis } = victim;
    const nextCa = newCa();
    const held = victim.next(genesis, { x509Authorities: [untainted(nextCa)] }, [
      svid,
      mint(nextCa),
    ]);
    expect(deliver(stage, held)).toBe("taken");
    while (stage.daemon.orders.length > 0) stage.daemon.endRow();
    const thiefsCa = newCa();
    for (const x509Authorities of [
      [untainted(ca), untainted(thiefsCa)],
      [untainted(ca), untainted(nextCa)],
    ]) {
      const sibling = makeRecord(stateAfter(genesis, { x509Authorities }), [
        { node, svids: [mint(ca)] },
      ]);
      refusedUnharmed(stage, sibling, "OLD_AUTHORITY_MISSING");
    }
    expect(rowOf(stage)).toEqual(derOf(nextCa));
  });

  test("with both factors takes away, and adds nothing: FORK after a minute", async () => {
    const stage = await setStage();
    const { daemon, victim } = stage;
    const { ca, svid, newCa, node, genesis } = victim;
    const other = newCa();
    const held = victim.next(genesis, { x509Authorities: [untainted(ca), untainted(other)] });
    expect(deliver(stage, held)).toBe("taken");
    const thiefsCa = newCa();
    const x509Authorities = [untainted(ca), untainted(thiefsCa)];
    const sibling = makeRecord(stateAfter(genesis, { x509Authorities }), [{ node, svids: [svid] }]);
    expect(deliver(stage, sibling)).toBe("taken");
    expect(rowOf(stage)).toEqual(derOf(ca));
    expect(daemon.findings).toEqual([]);
    daemon.wait(70);
    expect(daemon.findings).toEqual(["FORK"]);
    // A higher version ends it.
    expect(deliver(stage, victim.next(held))).toBe("taken");
    expect(rowOf(stage)).toEqual(derOf(ca, other));
    expect(daemon.findings).toEqual([]);
  });
});

describe("with both live factors a thief", () => {
  const keys = [makeNodeKey(), makeNodeKey(), makeNodeKey()];
  const recovery = commitmentTo(keys, 2);

  test("is the trust domain, until its recovery keys speak: then he is nobody", async () => {
    const stage = await setStage({ recovery });
    const { victim } = stage;
    const { ca, mint, newCa, node, svid, genesis } = victim;
    const thiefsCa = newCa();
    const x509Authorities = [untainted(ca), untainted(thiefsCa)];
    const nodes = [node.publicKey, makeNodeKey().publicKey];
    const taken = makeRecord(stateAfter(genesis, { x509Authorities, nodes }), [
      { node, svids: [svid] },
    ]);
    expect(deliver(stage, taken)).toBe("taken");
    expect(rowOf(stage)).toEqual(derOf(ca, thiefsCa));
    // He fast-forwards as far as the epoch goes.
    const version = { epoch: 0, rev: 1_024, sequence: 2n ** 64n - 1n };
    const far = makeRecord(stateAfter(taken, { version }), [{ node, svids: [mint(thiefsCa)] }]);
    expect(deliver(stage, far)).toBe("taken");

    const fresh = makeNodeKey();
    const freshCa = newCa();
    const next = [makeNodeKey(), makeNodeKey()];
    const recovered = makeRecoveredRecord(
      stateAfter(taken, {
        version: { epoch: 1, rev: 0, sequence: 1n },
        nodes: [fresh.publicKey],
        removed: [],
        recovery: commitmentTo(next),
        x509Authorities: [untainted(freshCa)],
      }),
      [{ node: fresh, svids: [mint(freshCa)] }],
      keys.slice(0, 2),
    );
    expect(deliver(stage, recovered)).toBe("taken");
    expect(rowOf(stage)).toEqual(derOf(freshCa));
    while (stage.daemon.orders.length > 0) stage.daemon.endRow();

    const again = makeRecord(stateAfter(recovered, { x509Authorities }), [{ node, svids: [svid] }]);
    refusedUnharmed(stage, again, "NODE_NOT_LISTED");
    refusedUnharmed(stage, far, "STALE");
  });

  test("cannot commit recovery keys of his own where some are committed: RECOVERY_COUNT", async () => {
    const stage = await setStage({ recovery });
    const { node, svid, genesis } = stage.victim;
    const version = { epoch: 0, rev: 1, sequence: 2n };
    const state = stateAfter(genesis, { version, recovery: commitmentTo([makeNodeKey()]) });
    refusedUnharmed(stage, makeRecord(state, [{ node, svids: [svid] }]), "RECOVERY_COUNT");
    const none = stateAfter(genesis, { version, recovery: undefined });
    refusedUnharmed(stage, makeRecord(none, [{ node, svids: [svid] }]), "RECOVERY_COUNT");
    const early = { epoch: 0, rev: 0, sequence: 2n };
    const unmoved = stateAfter(genesis, {
      version: early,
      recovery: commitmentTo([makeNodeKey()]),
    });
    refusedUnharmed(stage, makeRecord(unmoved, [{ node, svids: [svid] }]), "RECOVERY_CHANGED");
  });

  test("cannot begin an epoch: RECOVERY_COUNT, RECOVERY_KEY_UNKNOWN, RECOVERY_SIGNATURE_INVALID", async () => {
    const stage = await setStage({ recovery });
    const { node, svid, genesis } = stage.victim;
    const blocks = [{ node, svids: [svid] }];
    const version = { epoch: 1, rev: 0, sequence: 2n };
    const state = stateAfter(genesis, { version, recovery: undefined });
    refusedUnharmed(stage, makeRecord(state, blocks), "RECOVERY_COUNT");
    const id = recordId(1, encodeState(state));
    const one = signRecovery(id, keys.slice(0, 1));
    refusedUnharmed(stage, makeRecord(state, blocks, one), "RECOVERY_COUNT");
    const three = signRecovery(id, keys);
    refusedUnharmed(stage, makeRecord(state, blocks, three), "RECOVERY_COUNT");
    const own = signRecovery(id, [makeNodeKey(), makeNodeKey()]);
    refusedUnharmed(stage, makeRecord(state, blocks, own), "RECOVERY_KEY_UNKNOWN");
    const other = signRecovery(genesis.id, keys.slice(0, 2));
    refusedUnharmed(stage, makeRecord(state, blocks, other), "RECOVERY_SIGNATURE_INVALID");
    const before = whatStands(stage);
    expect(before).toEqual(whatStands(stage));
  });

  test("where no recovery keys are committed nothing begins an epoch: RECOVERY_NOT_COMMITTED", async () => {
    const stage = await setStage();
    const { node, svid, genesis } = stage.victim;
    const state = stateAfter(genesis, { version: { epoch: 1, rev: 0, sequence: 2n } });
    refusedUnharmed(stage, makeRecord(state, [{ node, svids: [svid] }]), "RECOVERY_NOT_COMMITTED");
  });
});

function blocksOf({ victim: { node, svid } }: Stage): readonly BlockParts[] {
  return [{ node, svids: [svid] }];
}

describe("recovery keys", () => {
  const keys = [makeNodeKey(), makeNodeKey()];

  test("of which none need sign are none: m = 0 does not decode", async () => {
    const stage = await setStage();
    const none = { threshold: 0, keyHashes: commitmentTo(keys).keyHashes };
    const state = stateAfter(stage.victim.genesis, {
      version: { epoch: 0, rev: 1, sequence: 2n },
      recovery: none,
    });
    refusedUnharmed(stage, makeRecord(state, blocksOf(stage)), "PAYLOAD_MALFORMED");
  });

  test("cannot be committed twice, nor fewer than must sign", async () => {
    const stage = await setStage();
    const [hash] = commitmentTo(keys).keyHashes;
    if (hash === undefined) throw new Error("there is one");
    const version = { epoch: 0, rev: 1, sequence: 2n };
    for (const recovery of [
      { threshold: 2, keyHashes: [hash, hash] },
      { threshold: 2, keyHashes: [hash] },
    ]) {
      const state = stateAfter(stage.victim.genesis, { version, recovery });
      refusedUnharmed(stage, makeRecord(state, blocksOf(stage)), "PAYLOAD_MALFORMED");
    }
  });

  test("cannot sign twice for two: ENVELOPE_MALFORMED", async () => {
    const stage = await setStage({ recovery: commitmentTo(keys) });
    const version = { epoch: 1, rev: 0, sequence: 2n };
    const state = stateAfter(stage.victim.genesis, { version, recovery: undefined });
    const [one] = signRecovery(recordId(1, encodeState(state)), keys);
    if (one === undefined) throw new Error("there is one");
    const twice = makeRecord(state, blocksOf(stage), [one, one]);
    refusedUnharmed(stage, twice, "ENVELOPE_MALFORMED");
  });

  test("that were revealed are not committed again: RECOVERY_REVEALED", async () => {
    const stage = await setStage({ recovery: commitmentTo(keys) });
    const { genesis } = stage.victim;
    const epoch = stateAfter(genesis, {
      version: { epoch: 1, rev: 0, sequence: 2n },
      recovery: commitmentTo([...keys.slice(1), makeNodeKey()]),
    });
    refusedUnharmed(stage, makeRecoveredRecord(epoch, blocksOf(stage), keys), "RECOVERY_REVEALED");
    const same = stateAfter(genesis, {
      version: { epoch: 0, rev: 1, sequence: 1n },
      recovery: commitmentTo([...keys.slice(1), makeNodeKey()]),
    });
    refusedUnharmed(stage, makeRecoveredRecord(same, blocksOf(stage), keys), "RECOVERY_REVEALED");
  });
});
