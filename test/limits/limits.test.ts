/**
 * Every entry of the table of limits is provoked: what is at the limit passes, and what is one above
 * meets what the table says. Some by a test that stands with the part that keeps the limit; those are
 * named, and shown to be there.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Meter } from "../../src/core/mesh/meter.ts";
import { encodeEnvelope } from "../../src/core/record/envelope.ts";
import type { RecoverySignature } from "../../src/core/record/preimages.ts";
import type { State } from "../../src/core/record/state.ts";
import { standingOf } from "../../src/core/record/standing.ts";
import { readRecord } from "../../src/core/record/verify.ts";
import { restoreSlot } from "../../src/core/resolver/frame.ts";
import { goneAfter } from "../../src/core/resolver/gone.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { decodeCbor, encodeCbor } from "../../src/core/std/cbor.ts";
import { LIMITS, type LimitName } from "../../src/core/std/limit-table.ts";
import { decodeEntries, decodeRecords, decodeRequest } from "../../src/p2p/sync-frames.ts";
import { inSyncOrder } from "../../src/p2p/sync-order.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import {
  NOW_S,
  type Svid,
  makePublisher,
  makeRecord,
  signBlock,
  stateAfter,
} from "../arbitraries/record.ts";
import { TestDaemon } from "../core/mesh/daemon.ts";
import { verdict, verified } from "../core/record/verdict.ts";
import { ROOT } from "../tidy/source.ts";
import { openFor, startListener } from "./silent-sockets.ts";

/** Passes at the limit; `beyond` is said one above it. */
interface Bound {
  readonly said: (count: number) => string | Promise<string>;
  readonly beyond: string;
}

/** A test that provokes it, with the part that keeps it. */
interface Elsewhere {
  readonly file: string;
  readonly test: string;
}

/** Another limit is met before it, or its provocation takes longer than a test may. */
interface Unreached {
  readonly unreached: string;
}

const alpha = makePublisher("alpha.test");
const { genesis, node, svid } = alpha;
const held = verified(genesis);

const filled = (length: number, first: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index < 4 ? (first >> (8 * index)) & 255 : 7));
const many = (count: number, length: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, index) => filled(length, index));

/** Steps 1 and 2 on an envelope. */
function read(envelope: Uint8Array): string {
  const judged = readRecord(envelope, "sync", x509Proofs);
  return judged.ok ? "passes" : judged.reason.code;
}

/** Steps 1 and 2 on a record that says this. */
function readState(change: Partial<State>, recovery: readonly RecoverySignature[] = []): string {
  const state = stateAfter(genesis, change);
  return read(makeRecord(state, [{ node, svids: [svid] }], recovery).envelope);
}

function readChain(chain: readonly Uint8Array[]): string {
  const other: Svid = { ...svid, chain };
  return read(makeRecord(stateAfter(genesis), [{ node, svids: [other] }]).envelope);
}

/** Four blocks of the largest certificates, and a payload that makes it exactly so many bytes. */
function envelopeOf(length: number): Uint8Array {
  const chains = many(2, 8_000).map((der) => [der]);
  const signature = new Uint8Array(64);
  const make = (payloadBytes: number): Uint8Array =>
    encodeEnvelope({
      kind: 1,
      payload: new Uint8Array(payloadBytes),
      blocks: Array.from({ length: 4 }, (_, index) => ({
        nodePublicKey: node.publicKey,
        signedAtS: NOW_S,
        chains,
        svidSignatures: [signature, signature],
        nodeSignature: filled(64, index),
      })),
      recovery: [],
    });
  const payloadBytes = 66_000; // Its head has five bytes, as that of the payload looked for.
  const envelope = make(payloadBytes + length - make(payloadBytes).length);
  expect(envelope).toHaveLength(length);
  return envelope;
}

function judgedAt(signedAtS: number): string {
  const said = verdict(alpha.next(genesis, {}, [svid], { signedAtS }), held);
  return said === "taken" ? "passes" : said;
}

/** The last of so many imports. */
async function lastImport(count: number): Promise<string> {
  const daemon = await TestDaemon.start(makePublisher("bravo.test"));
  daemon.import(makePublisher("charlie.test").genesis);
  const charlie = daemon.partner("charlie.test" as TrustDomain);
  for (let index = 2; index < count; index += 1) {
    daemon.state.partners.set(`n${index}.test` as TrustDomain, charlie);
  }
  const said = daemon.import(genesis);
  return said === "taken" ? "passes" : said;
}

/** The last of so many records of one node: at once, or in the second after it had none left. */
function lastTaken(count: number, laterMs: number): string {
  const meter = new Meter();
  const take = (nowMs: number): boolean => meter.takes("aa", "record", nowMs);
  if (laterMs > 0) while (take(0));
  const taken = Array.from({ length: count }, () => take(laterMs));
  return taken.at(-1) === true ? "passes" : "OVER_BUDGET";
}

const numbered = (index: number): string => `n${String(index).padStart(6, "0")}.test`;
const names = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => numbered(index));
const sorted = (some: readonly string[]): readonly string[] => inSyncOrder(some, (name) => name);
const hash = new Uint8Array(32);
const frame = (read: { readonly ok: boolean }): string => (read.ok ? "passes" : "refused");

const OF_STORE = "test/compliance/record-store.ts";
const OF_METERING = "test/core/mesh/metering.test.ts";
const TWENTY_AT_ONCE = "may gossip twenty records at once with all its nodes, then two a second";
const OF_PARKED = "test/core/mesh/parked.test.ts";
const OF_HEADS = "test/p2p/gossip-heads.test.ts";
const OF_NETWORK = "test/p2p/libp2p-network.test.ts";
const OF_QUEUE = "test/runtime/input-queue.test.ts";
const OF_SPIRE = "test/spire/spire-server.test.ts";

const PROVOKED: Readonly<Record<LimitName, Provocation>> = {
  ENVELOPE_BYTES_MAX: {
    // What fits is looked at: its payload is no state.
    said: (bytes) => read(envelopeOf(bytes)).replace("PAYLOAD_MALFORMED", "passes"),
    beyond: "ENVELOPE_MALFORMED",
  },
  PAYLOAD_BYTES_MAX: {
    said: (bytes) => {
      const blocks = [signBlock(genesis.id, { node, svids: [svid] })];
      const payload = new Uint8Array(bytes);
      const envelope = encodeEnvelope({ kind: 1, payload, blocks, recovery: [] });
      return read(envelope).replace("PAYLOAD_MALFORMED", "passes");
    },
    beyond: "ENVELOPE_MALFORMED",
  },
  CBOR_DEPTH_MAX: {
    said: (depth) => {
      const decoded = decodeCbor(Uint8Array.of(...Array(depth - 1).fill(0x81), 0x80));
      return decoded.ok ? "passes" : decoded.reason;
    },
    beyond: "nested too deep",
  },
  CBOR_ITEMS_MAX: {
    said: (items) => {
      const decoded = decodeCbor(encodeCbor(Array.from({ length: items - 1 }, () => [])));
      return decoded.ok ? "passes" : decoded.reason;
    },
    beyond: "more items than it may hold",
  },
  X509_AUTHORITIES_MAX: {
    said: (count) =>
      readState({ x509Authorities: many(count, 8).map((der) => ({ der, tainted: false })) }),
    beyond: "PAYLOAD_MALFORMED",
  },
  JWT_AUTHORITIES_MAX: {
    said: (count) =>
      readState({
        jwtAuthorities: names(count).map((keyId) => ({
          keyId,
          spki: hash,
          expiresAtS: 0,
          tainted: false,
        })),
      }),
    beyond: "PAYLOAD_MALFORMED",
  },
  CERTIFICATE_BYTES_MAX: {
    said: (bytes) => readState({ x509Authorities: [{ der: filled(bytes, 0), tainted: false }] }),
    beyond: "PAYLOAD_MALFORMED",
  },
  SPKI_BYTES_MAX: {
    said: (bytes) =>
      readState({
        jwtAuthorities: [{ keyId: "k", spki: filled(bytes, 0), expiresAtS: 0, tainted: false }],
      }),
    beyond: "PAYLOAD_MALFORMED",
  },
  KEY_ID_LENGTH_MAX: {
    said: (length) =>
      readState({
        jwtAuthorities: [{ keyId: "k".repeat(length), spki: hash, expiresAtS: 0, tainted: false }],
      }),
    beyond: "PAYLOAD_MALFORMED",
  },
  CHAIN_CERTIFICATES_MAX: {
    said: (count) => readChain(many(count, 8)),
    beyond: "ENVELOPE_MALFORMED",
  },
  BLOCKS_MAX: {
    said: (count) => {
      const blocks = Array.from({ length: count }, () => ({ node, svids: [svid] }));
      return read(makeRecord(stateAfter(genesis), blocks).envelope);
    },
    beyond: "ENVELOPE_MALFORMED",
  },
  NODES_MAX: {
    said: (count) => readState({ nodes: many(count, 32) }),
    beyond: "PAYLOAD_MALFORMED",
  },
  REMOVED_NODES_MAX: {
    said: (count) => readState({ removed: many(count, 32) }),
    beyond: "PAYLOAD_MALFORMED",
  },
  RECOVERY_KEYS_MAX: {
    said: (count) => readState({ recovery: { threshold: 1, keyHashes: many(count, 32) } }),
    beyond: "PAYLOAD_MALFORMED",
  },
  REV_JUMP_MAX: {
    said: (rev) => {
      const version = { epoch: 0, rev, sequence: 2n };
      const said = verdict(alpha.next(genesis, { version }), held);
      return said === "taken" ? "passes" : said;
    },
    beyond: "REV_JUMP",
  },
  GONE_MAX: {
    said: (count) => {
      const gone = many(count - 1, 32).map((each) => ({ hash: each, untilS: NOW_S }));
      const { state } = standingOf(verified(alpha.next(genesis), held));
      const after = { state, authorities: [] }; // One more went.
      const still = goneAfter(gone, standingOf(held), after, NOW_S);
      return still.length === count ? "passes" : "one is forgotten";
    },
    beyond: "one is forgotten",
  },
  FRAME_ITEMS_MAX: {
    said: (items) => {
      const frame = encodeCbor(Array.from({ length: items - 1 }, () => []));
      const read = restoreSlot(held, undefined, frame, x509Proofs);
      return !read.ok && read.reason.includes("items") ? read.reason : "passes";
    },
    beyond: "frame: more items than it may hold",
  },
  CLOCK_SKEW_S: { said: (seconds) => judgedAt(NOW_S + seconds), beyond: "SIGNED_IN_FUTURE" },
  SIGNED_AT_SLACK_S: { said: (seconds) => judgedAt(NOW_S - seconds), beyond: "SIGNED_TOO_EARLY" },
  PINNED_DOMAINS_MAX: { said: lastImport, beyond: "NOT_READY" },
  NODE_RECORDS_AT_ONCE_MAX: { said: (count) => lastTaken(count, 0), beyond: "OVER_BUDGET" },
  NODE_RECORDS_A_SECOND_MAX: {
    said: (count) => lastTaken(count, 1_000),
    beyond: "OVER_BUDGET",
  },
  SIGNATURE_CHECKS_MAX: {
    file: "test/core/record/effort.test.ts",
    test: "ends with the check after ${SIGNATURE_CHECKS_MAX}, which is answered with no",
  },
  DOMAIN_RECORDS_AT_ONCE_MAX: { file: OF_METERING, test: TWENTY_AT_ONCE },
  DOMAIN_RECORDS_A_SECOND_MAX: { file: OF_METERING, test: TWENTY_AT_ONCE },
  DOMAIN_WORK_AT_ONCE_MAX: {
    file: "test/core/mesh/meter.test.ts",
    test: "lets it work 1,024 units at once, and then waits until they are earned",
  },
  DOMAIN_WORK_A_SECOND_MAX: {
    file: "test/core/mesh/meter.test.ts",
    test: "earns sixteen a second",
  },
  ADDRESS_HINTS_MAX: {
    file: "test/core/mesh/operator.test.ts",
    test: "repeated with ever new addresses remembers the newest 64, as the disk does",
  },
  PARKED_A_FORWARDER_MAX: { file: OF_PARKED, test: "are 64 of one forwarder: the oldest goes" },
  PARKED_BYTES_MAX: {
    file: OF_PARKED,
    test: "are 8 MiB together: a flood pushes out itself, not what others brought",
  },
  PARKED_MS: { file: OF_PARKED, test: "wait ten minutes, and no longer when the clock is set" },
  PARKED_TRIES_MAX: {
    file: "test/core/mesh/metering.test.ts",
    test: "is verified again with at most ${PARKED_TRIES_MAX} others for each step",
  },
  STEP_RECORDS_MAX: { file: OF_STORE, test: "keeps the last 64 step records" },
  STEP_BYTES_MAX: {
    file: OF_STORE,
    test: "keeps at most 4 MiB of step records, the latest ones",
  },
  REMOTE_INPUTS_MAX: {
    file: OF_QUEUE,
    test: "never holds more than 1,024 inputs and 16 MiB, and has room for whoever has nothing there",
  },
  REMOTE_BYTES_MAX: {
    file: OF_QUEUE,
    test: "holds an eighth of 16 MiB of records of one trust domain, whatever their number",
  },
  INBOUND_PENDING_MAX: {
    unreached: "64 from where no member ever connected from are refused before (p2p/inbound.ts)",
  },
  PENDING_A_SUBNET_MAX: {
    said: async (count) => {
      const listener = await startListener();
      const openMs = await openFor(listener, count);
      return (openMs.at(-1) ?? 0) < 1_000 ? "refused" : "passes";
    },
    beyond: "refused",
  },
  UPGRADE_TIMEOUT_MS: {
    // The same connection below and above it: it stands until then, and not much longer.
    said: async (ms) => {
      const [openMs = 0] = await openFor(await startListener(), 1);
      if (ms === LIMITS.UPGRADE_TIMEOUT_MS.value) return openMs > ms / 2 ? "passes" : `${openMs}`;
      return openMs < 4 * ms ? "closed" : `${openMs}`;
    },
    beyond: "closed",
  },
  CONNECTIONS_MAX: { unreached: "it takes 512 handshakes of 128 members: 10 s of CPU" },
  STRANGERS_MAX: {
    file: "test/p2p/hostile-strangers.test.ts",
    test: "from one subnet are sixteen, from all thirty-two, and make place for others",
  },
  STREAMS_A_CONNECTION_MAX: {
    unreached: "it takes a peer that opens yamux streams and names no protocol on any",
  },
  VALIDATIONS_MAX: { file: OF_NETWORK, test: "waits for at most 256 verdicts at once" },
  HEAD_BYTES_MAX: { file: OF_HEADS, test: "above 1 KiB is rejected before anybody looks at it" },
  HEADS_WAITING_MAX: { file: OF_HEADS, test: "wait for at most 256 verdicts at once" },
  RPC_BYTES_MAX: {
    file: "test/p2p/gossip-rpcs.test.ts",
    test: "%s ends the stream, and the pair begins anew",
  },
  WANTED_MAX: {
    file: "test/p2p/gossip-rpcs.test.ts",
    test: "we want no more in a heartbeat than it can send us",
  },
  WANTED_DOMAINS_MAX: {
    said: (count) => frame(decodeRequest(encodeCbor([1, 0, count, names(1)]))),
    beyond: "refused",
  },
  SYNC_WANTED_MAX: {
    said: (count) => frame(decodeRequest(encodeCbor([1, 0, 10_000, sorted(names(count))]))),
    beyond: "refused",
  },
  SYNC_ENTRIES_MAX: {
    said: (count) => {
      const entries = sorted(names(count)).map((name) => [0, name, 0, 0, 1, [hash]]);
      return frame(decodeEntries(encodeCbor([8, entries])));
    },
    beyond: "refused",
  },
  SYNC_WANTS_MAX: {
    said: (count) =>
      frame(decodeRequest(encodeCbor([9, sorted(names(count)).map((name) => [name, [], hash])]))),
    beyond: "refused",
  },
  SYNC_REPLY_RECORDS_MAX: {
    said: (count) => frame(decodeRecords(encodeCbor([10, many(count, 8)]))),
    beyond: "refused",
  },
  SYNC_REPLY_BYTES_MAX: {
    file: OF_NETWORK,
    test: "a frame above the limit",
  },
  SPIRE_CALL_DEADLINE_MS: {
    file: "test/spire-api/socket.test.ts",
    test: "ends a call at its deadline, and the next call is answered",
  },
  SPIRE_AUTHORITIES_MAX: {
    file: "test/core/mesh/publishing.test.ts",
    test: "of more authorities than 8,192 is not read at all",
  },
  SPIRE_REQUEST_BYTES_MAX: { file: OF_SPIRE, test: "above 3 MiB are not sent" },
  SPIRE_ANSWER_FIELDS_MAX: {
    file: "test/spire-api/answer-fields.test.ts",
    test: "an answer of %s is decoded up to the limit, and not a field above",
  },
  SPIRE_PAGE_ROWS: {
    file: "test/spire/pages.test.ts",
    test: "is given up at a page of 51 rows",
  },
  SPIRE_LIST_PAGES_MAX: { file: OF_SPIRE, test: "that never end are given up after 800 pages" },
  SPIRE_LIST_BYTES_MAX: {
    file: "test/spire/pages.test.ts",
    test: "is given up after 256 MiB, whatever its pages",
  },
  SPIRE_LIST_DEADLINE_MS: {
    file: OF_SPIRE,
    test: "that come slowly are given up, though each page comes in time",
  },
  SPIRE_WRITES_WAITING_MAX: {
    file: OF_SPIRE,
    test: "are refused at once when 64 writes wait already, and the rest is written",
  },
  ROW_PAUSE_MS: {
    file: "test/spire/row-writer.test.ts",
    test: "for a row written just now waits for the rest of the second",
  },
  SVID_TTL_S: {
    file: "test/keys/keyring.test.ts",
    test: "mints ahead at start, at half life and after signing, and not in between",
  },
  ADMIN_BODY_BYTES_MAX: { file: "test/admin/attacks.test.ts", test: "a body above the limit" },
};

type Provocation = Bound | Elsewhere | Unreached;

/** Those provoked in one of the three ways. */
function provoked<Way extends Provocation>(
  isWay: (provocation: Provocation) => provocation is Way,
): readonly (readonly [LimitName, Way])[] {
  const all = Object.entries<Provocation>(PROVOKED) as readonly (readonly [
    LimitName,
    Provocation,
  ])[];
  return all.flatMap(([name, each]) => (isWay(each) ? [[name, each] as const] : []));
}

const bounds = provoked((each): each is Bound => "said" in each);
const elsewhere = provoked((each): each is Elsewhere => "test" in each);
const unreached = provoked((each): each is Unreached => "unreached" in each);

describe("a limit", () => {
  test.each(bounds)("%s passes at it and ends one above", async (name, { said, beyond }) => {
    expect(await said(LIMITS[name].value)).toBe("passes");
    expect(await said(LIMITS[name].value + 1)).toBe(beyond);
  });

  test.each(elsewhere)("%s is provoked where it is kept", (_, { file, test: title }) => {
    const text = readFileSync(join(ROOT, file), "utf8");
    expect(['"', "`"].some((quote) => text.includes(quote + title + quote))).toBe(true);
  });

  test("is named when no test of a few seconds reaches it", () => {
    expect(unreached.map(([name]) => name)).toEqual([
      "INBOUND_PENDING_MAX",
      "CONNECTIONS_MAX",
      "STREAMS_A_CONNECTION_MAX",
    ]);
  });
});
