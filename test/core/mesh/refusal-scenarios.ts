/**
 * One way to each refusal: a daemon of bravo.test that holds alpha.test, and a record that it refuses
 * for exactly that reason. Data only; refusals.test.ts holds each of them to what a refusal may do.
 */
import { generateKeyPairSync } from "node:crypto";
import type { FindingCode } from "../../../src/core/mesh/finding.ts";
import type { RefusalCode } from "../../../src/core/record/refusal.ts";
import { encodeEnvelope } from "../../../src/core/record/envelope.ts";
import type { State } from "../../../src/core/record/state.ts";
import { toHex } from "../../../src/core/std/bytes.ts";
import { encodeCbor } from "../../../src/core/std/cbor.ts";
import { NODE_RECORDS_AT_ONCE_MAX, REV_JUMP_MAX } from "../../../src/core/std/limits.ts";
import { makeAuthority } from "../../arbitraries/authority.ts";
import { extensions } from "../../arbitraries/certificate.ts";
import { extension, sequence, tlv } from "../../arbitraries/der.ts";
import {
  type BlockParts,
  NOW_S,
  type Svid,
  type TestRecord,
  bundleOf,
  commitmentTo,
  makeNodeKey,
  makePublisher,
  makeRecord,
  makeRecoveredRecord,
  signBlock,
  signRecovery,
  stateAfter,
  twinOf,
  untainted,
} from "../../arbitraries/record.ts";
import { TestDaemon, type TestDisk } from "./daemon.ts";

export type Carrier = "gossip" | "sync" | "file";
export const CARRIERS: readonly Carrier[] = ["gossip", "sync", "file"];

export const bravo = makePublisher("bravo.test");
export const charlie = makePublisher("charlie.test");
export const alpha = makePublisher("alpha.test");
const { ca, genesis, mint, newCa, node, svid } = alpha;
const trustDomain = alpha.trustDomain;

/** What alpha lists besides the authority that it signs under. */
const nextCa = newCa();
const corporate = makeAuthority({ trustDomain, uriSans: [] });
const excluded = tlv(0xa1, sequence(tlv(0x86, trustDomain)));
const constrained = makeAuthority({
  trustDomain,
  overrides: {
    extensions: [
      extensions.keyUsage(5, 6),
      extensions.basicConstraints(true),
      extensions.uriSans(`spiffe://${trustDomain}`),
      extension("2.5.29.30", sequence(excluded), true),
    ],
  },
});
const authorities = [ca, nextCa, corporate, constrained].map(untainted);

/** What is held of alpha, and what an honest alpha signs next. */
export const held = alpha.next(genesis, { x509Authorities: authorities });
export const following = alpha.next(held);

/** A daemon that published its own first record, holds alpha's second one and wrote its row. */
export async function holding(disk?: TestDisk): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(bravo, disk && { disk });
  daemon.exportOwn(bundleOf(bravo.genesis.state));
  for (const record of [genesis, held]) {
    daemon.import(record);
    daemon.endRow();
  }
  return daemon;
}

/** A daemon that has not published. */
async function unpublished(): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(bravo);
  daemon.import(genesis);
  daemon.endRow();
  return daemon;
}

export interface Scenario {
  /** By what it can come; by all three unless said. */
  readonly by?: readonly Carrier[];
  readonly daemon?: () => Promise<TestDaemon>;
  /** What happened before. */
  readonly before?: (daemon: TestDaemon) => void;
  readonly record: () => Pick<TestRecord, "envelope" | "idHex">;
  /** Who brings it in the place of a relay, whose share is spent by one that is so dear. */
  readonly from?: string;
  /** What the operator gave with the file. */
  readonly fingerprint?: string;
  /** Raised with the refusal: it is for a person, not for the state. */
  readonly raises?: FindingCode;
  /** Where it is raised by these carriers alone: a relay may hold a later record only. */
  readonly raisedBy?: readonly Carrier[];
  /** Gossiped, it waits for a step before it instead, and raises nothing yet. */
  readonly parks?: true;
  /** The store is asked before the answer, in vain. */
  readonly reachesStore?: true;
  /** What ends it, before an honest record. */
  readonly after?: (daemon: TestDaemon) => void;
  /** The honest record that is taken afterwards; by default alpha's next one. */
  readonly honest?: TestRecord;
}

const wrong = (change: Partial<State> = {}, block: Partial<BlockParts> = {}): TestRecord =>
  alpha.next(held, change, block.svids ?? [svid], block);
const signedBy = (...svids: readonly Svid[]): TestRecord => wrong({}, { svids });
const at = (rev: number, epoch = 0): Partial<State> => ({ version: { epoch, rev, sequence: 3n } });
const flipped = (bytes: Uint8Array): Uint8Array =>
  bytes.map((byte, index) => (index === 5 ? byte ^ 1 : byte));

/** An alpha that committed to two recovery keys, both of which must sign. */
const recoveryKeys = [makeNodeKey(), makeNodeKey()];
const [recoveryKey = makeNodeKey()] = recoveryKeys;
const commitment = commitmentTo(recoveryKeys);
const safe = makePublisher("alpha.test", { recovery: commitment });
const ofSafe = { node: safe.node, svids: [safe.svid] };
const nextEpoch = (change: Partial<State> = {}): State =>
  stateAfter(safe.genesis, {
    version: { epoch: 1, rev: 0, sequence: 2n },
    recovery: commitmentTo([makeNodeKey()]),
    ...change,
  });
const recovered = makeRecoveredRecord(nextEpoch(), [ofSafe], recoveryKeys);

async function holdingSafe(): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(bravo);
  daemon.exportOwn(bundleOf(bravo.genesis.state));
  daemon.import(safe.genesis);
  daemon.endRow();
  return daemon;
}

/** A record of the next epoch that these keys signed, with one thing changed. */
const RECOVERY = { daemon: holdingSafe, honest: recovered };

/** An SVID whose key is a node key of the record, signed for by another key. */
function mintedForNode(): TestRecord {
  const keyPair = generateKeyPairSync("ed25519");
  const spki = keyPair.publicKey.export({ type: "spki", format: "der" });
  const nodes = [node.publicKey, Uint8Array.from(spki.subarray(-32))];
  return wrong({ nodes }, { svids: [{ ...mint(ca, { keyPair }), privateKey: svid.privateKey }] });
}

/** Eight blocks below three intermediates that ask for ten signature checks each, the last in vain. */
function tooCostly(): TestRecord {
  const first = ca.issueIntermediate();
  const second = first.issueIntermediate();
  const third = second.issueIntermediate();
  const below = mint(third, { sent: [third, second, first], anchor: ca });
  let signatures = 0;
  const everySecond = (signature: Uint8Array): Uint8Array => {
    signatures += 1;
    return signatures % 2 === 0 ? flipped(signature) : signature;
  };
  const blocks = Array.from({ length: 8 }, (_, index) => ({
    node,
    svids: [below, below],
    signedAtS: NOW_S - index,
    svidSignature: everySecond,
  }));
  return makeRecord(stateAfter(held), blocks);
}

/** An SVID below two servers, its intermediates in the wrong order. */
function inWrongOrder(): Svid {
  const server = corporate.issueIntermediate();
  const nested = server.issueIntermediate();
  return mint(nested, { sent: [server, nested] });
}

function noState(): Pick<TestRecord, "envelope" | "idHex"> {
  const blocks = [signBlock(genesis.id, { node, svids: [svid] })];
  const payload = encodeCbor("state");
  return { ...genesis, envelope: encodeEnvelope({ kind: 1, payload, blocks, recovery: [] }) };
}

/** Records that the held authorities do not speak for, until the node has none left. */
function spendBudget(daemon: TestDaemon): void {
  for (let count = 0; count < NODE_RECORDS_AT_ONCE_MAX; count += 1) {
    const version = { epoch: 0, rev: 0, sequence: BigInt(100 + count) };
    daemon.receive(wrong({ version }, { svids: [mint(newCa())] }), "gossip");
  }
}

/** A domain whose only authority ends in a minute. */
const brief = makePublisher("alpha.test");
const briefCa = makeAuthority({ trustDomain, notAfterS: NOW_S + 60 });
const briefSvid = brief.mint(briefCa);
const briefFirst = makeRecord({ ...brief.genesis.state, x509Authorities: [untainted(briefCa)] }, [
  { node: brief.node, svids: [briefSvid] },
]);

async function expired(): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(bravo);
  daemon.import(briefFirst);
  daemon.endRow();
  daemon.nowMs += 61_000;
  return daemon;
}

/** A record of the held version that does not list what the held one is signed under. */
const distrusting = (): TestRecord =>
  alpha.next(genesis, { x509Authorities: [untainted(nextCa)] }, [svid, mint(nextCa)]);
const ofBravo = { node: bravo.node, svids: [bravo.svid] };
/** At the sequence at which SPIRE says otherwise. */
const contradicting = bravo.next(bravo.genesis, {
  version: { epoch: 0, rev: 1, sequence: 1n },
  x509Authorities: [untainted(bravo.ca), untainted(bravo.newCa())],
});
const anew = makePublisher("alpha.test");

/** Heads are refused by codes of their own: heads.test.ts. */
export type RecordRefusal = Exclude<RefusalCode, `HEAD_${string}`>;

export const SCENARIOS: Readonly<Record<RecordRefusal, Scenario>> = {
  ENVELOPE_MALFORMED: { record: () => ({ ...genesis, envelope: Uint8Array.of(0x80) }) },
  PAYLOAD_MALFORMED: { record: noState },
  BLOCK_COUNT: {
    by: ["gossip"],
    record: () => {
      const block = { node, svids: [svid] };
      return makeRecord(stateAfter(held), [block, { ...block, signedAtS: NOW_S + 1 }]);
    },
  },
  SIGNATURE_ENCODING: { record: () => wrong({}, { svidSignature: twinOf }) },
  NODE_SIGNATURE_INVALID: { record: () => wrong({}, { nodeSignature: flipped }) },
  TRUST_DOMAIN_UNKNOWN: { record: () => charlie.genesis },
  OWN_TRUST_DOMAIN: { by: ["file"], record: () => bravo.next(bravo.genesis) },
  FIRST_RECORD_UNNAMED: {
    by: ["gossip", "sync"],
    daemon: unpublished,
    record: () => bravo.genesis,
    honest: held,
  },
  FINGERPRINT_MISMATCH: {
    by: ["file"],
    fingerprint: genesis.idHex,
    record: () => following,
  },
  WRONG_LINEAGE: { record: () => anew.genesis },
  STALE: { record: () => genesis },
  DUPLICATE: {
    by: ["gossip", "sync"],
    // Of two blocks of one node and anchor the one that was signed later is kept.
    record: () => makeRecord(bravo.genesis.state, [{ ...ofBravo, signedAtS: NOW_S - 1 }]),
  },
  NODE_NOT_LISTED: { parks: true, record: () => wrong({}, { node: makeNodeKey() }) },
  NODE_REMOVED: { record: () => wrong({ removed: [node.publicKey] }) },
  OVER_BUDGET: {
    by: ["gossip"],
    before: spendBudget,
    record: () => following,
  },
  TOO_COSTLY: { by: ["sync", "file"], from: toHex(node.publicKey), record: tooCostly },
  LEAF_KEY_IS_NODE_KEY: { record: mintedForNode },
  REV_JUMP: { record: () => wrong(at(REV_JUMP_MAX + 1)) },
  EPOCH_JUMP: { record: () => wrong(at(0, 2)) },
  RECOVERY_UNASKED: {
    record: () =>
      makeRecord(
        stateAfter(held),
        [{ node, svids: [svid] }],
        [[new Uint8Array(32), new Uint8Array(64)]],
      ),
  },
  RECOVERY_CHANGED: { record: () => wrong({ recovery: commitment }) },
  RECOVERY_NOT_COMMITTED: { record: () => wrong(at(0, 1)) },
  RECOVERY_COUNT: {
    ...RECOVERY,
    record: () => makeRecoveredRecord(nextEpoch(), [ofSafe], [recoveryKey]),
  },
  RECOVERY_KEY_UNKNOWN: {
    ...RECOVERY,
    record: () => makeRecoveredRecord(nextEpoch(), [ofSafe], [recoveryKey, makeNodeKey()]),
  },
  RECOVERY_SIGNATURE_INVALID: {
    ...RECOVERY,
    record: () => makeRecord(nextEpoch(), [ofSafe], signRecovery(genesis.id, recoveryKeys)),
  },
  RECOVERY_REVEALED: {
    ...RECOVERY,
    record: () =>
      makeRecoveredRecord(
        nextEpoch({ recovery: commitmentTo([recoveryKey, makeNodeKey()], 1) }),
        [ofSafe],
        recoveryKeys,
      ),
  },
  AUTHORITY_MALFORMED: {
    record: () =>
      wrong({ x509Authorities: [...authorities, { der: Uint8Array.of(0x30, 0), tainted: false }] }),
  },
  CHAIN_MALFORMED: { record: () => signedBy({ ...svid, chain: [Uint8Array.of(0x30, 0)] }) },
  LEAF_NOT_PUBLISHER: {
    record: () => signedBy(mint(ca, { spiffeId: `spiffe://${trustDomain}/workload` })),
  },
  ISSUER_NOT_TRUST_DOMAIN: { record: () => signedBy(mint(corporate)) },
  CHAIN_BROKEN: { record: () => signedBy(inWrongOrder()) },
  NAME_CONSTRAINED: { record: () => signedBy(mint(constrained)) },
  CHAIN_NOT_VALID_THEN: { record: () => signedBy(mint(ca, { notAfterS: NOW_S - 1 })) },
  OLD_AUTHORITY_MISSING: {
    parks: true,
    raises: "CONTINUITY_GAP",
    raisedBy: ["file"],
    record: () => signedBy(mint(newCa())),
  },
  NEW_AUTHORITY_MISSING: { record: () => wrong({ x509Authorities: [untainted(nextCa)] }) },
  SIGNED_IN_FUTURE: { record: () => wrong({}, { signedAtS: NOW_S + 301 }) },
  SIGNED_TOO_EARLY: { record: () => wrong({}, { signedAtS: NOW_S - 601 }) },
  SVID_SIGNATURE_INVALID: { record: () => wrong({}, { svidSignature: flipped }) },
  HELD_EXPIRED: {
    daemon: expired,
    raises: "CONTINUITY_GAP",
    record: () => brief.next(briefFirst, {}, [briefSvid]),
    after: (daemon) => daemon.pin(trustDomain, anew.genesis.idHex), // Only a person can.
    honest: anew.genesis,
  },
  FORK: { raises: "FORK", record: distrusting },
  RECOVERY_FORK: {
    daemon: holdingSafe,
    before: (daemon) => daemon.receive(recovered),
    raises: "RECOVERY_FORK",
    record: () => makeRecoveredRecord(nextEpoch(), [ofSafe], recoveryKeys),
    honest: safe.next(recovered),
  },
  FORGED_OWN: {
    by: ["gossip", "sync"],
    before: (daemon) => daemon.wait(3),
    raises: "FORGED_OWN",
    record: () => contradicting,
  },
  STORE_FAILED: {
    reachesStore: true,
    before: (daemon) => (daemon.disk.fails = true),
    raises: "STORE_FAILED",
    record: () => following,
    after: (daemon) => (daemon.disk.fails = false),
  },
};
