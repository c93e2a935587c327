/** What a member can make our sync do, as the one who asks and as the one who answers. */
import { randomBytes } from "node:crypto";
import process from "node:process";
import type { Connection, Stream } from "@libp2p/interface";
import { lpStream } from "@libp2p/utils";
import { describe, expect, test, vi } from "vitest";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { encodeCbor } from "../../src/core/std/cbor.ts";
import {
  decodeComparison,
  decodeEntries,
  decodeRequest,
  decodeShared,
  encodeEntries,
  encodeRequest,
} from "../../src/p2p/sync-frames.ts";
import { inSyncOrder } from "../../src/p2p/sync-order.ts";
import type { PeerNetworkLog } from "../../src/p2p/log.ts";
import { INBOUND_SYNC_STREAMS_MAX, SYNC_PROTOCOL } from "../../src/p2p/sync.ts";
import {
  PEERS,
  type RunningPeer,
  TD,
  bookRecord,
  encodeBookRecord,
  eventually,
  startsPeers,
} from "../compliance/peer-network.ts";
import { LONG, startsRogues } from "../rogue/attacks.ts";
import { type Rogue, openStream } from "../rogue/rogue-node.ts";
import {
  type SyncAnswers,
  answerSync,
  compareRequest,
  wantedRequest,
} from "../rogue/sync-answers.ts";
import { making } from "./libp2p-peers.ts";
import { endOf, readsOnly, startsRawPeers } from "./raw-peer.ts";

const nowMs = 0; // Stands still, so that no budget is refilled.
/** All rounds begin with the first name. */
const random = (): number => 0;
const start = startsPeers(making({ random }));
const startStill = startsPeers(making({ random, nowMs: () => nowMs }));
let movedMs = 0;
const startMoved = startsPeers(making({ random, nowMs: () => movedMs }));
const startSomewhere = startsPeers(making({ random: () => 0.5 }));
const lines: string[] = [];
const log: PeerNetworkLog = (_, message, fields) =>
  lines.push(`${message}, ${fields?.["reason"] ?? ""}`);
const startLogging = startsPeers(making({ log }));
const startImpatient = startsPeers(making({ log, nowMs: () => nowMs, syncFrameDeadlineMs: 200 }));
const rogueNode = startsRogues();
const rawPeer = startsRawPeers();

/** Against hanging, not a figure: a machine may be busy with much else. */
const LIMIT_MS = 60_000;
vi.setConfig({ testTimeout: 3 * LIMIT_MS });
/** In sync order, so that the first is listed and asked for first. */
const names = (count: number): readonly TrustDomain[] =>
  inSyncOrder(
    Array.from(
      { length: count },
      (_, index) => `d${String(index).padStart(5, "0")}.test` as TrustDomain,
    ),
    (name) => name,
  );
/** Each backoff is over. */
const BACKOFF_MS_MAX = 5 * 60_000;
/** As small as yamux has it: a quarter of the largest answer. */
const WINDOW_BYTES = 256 * 1024;
/** What fills an answer. */
const LARGEST = Array.from({ length: 8 }, () => new Uint8Array(128 * 1024 - 10));
const addressOf = ({ network }: RunningPeer): string => network.addresses()[0] ?? "";
const fetchOf = (wanted: readonly TrustDomain[]): Uint8Array =>
  encodeRequest({
    kind: "fetch",
    wants: wanted.map((trustDomain) => ({
      trustDomain,
      above: { epoch: 0, rev: 0, sequence: 0n },
      recordId: undefined,
    })),
  });

async function admitted(ours: RunningPeer): Promise<{ rogue: Rogue; connection: Connection }> {
  const rogue = await rogueNode();
  ours.network.admit(PEERS, [rogue.node]);
  const [address = ""] = ours.network.addresses();
  const connection = await rogue.dial(address);
  await eventually(() => ours.network.connections().length === 1, LIMIT_MS);
  return { rogue, connection };
}

/** Asks the same until there is no answer any more; returns how many there were. */
async function answersTo(connection: Connection, frame: Uint8Array): Promise<number> {
  const asking = lpStream(await connection.newStream(SYNC_PROTOCOL));
  for (let answers = 0; ; answers += 1) {
    try {
      await asking.write(frame);
      await asking.read();
    } catch {
      return answers;
    }
  }
}

/** A member that takes a quarter of the largest answer, has room for another one, and reads no more. */
async function halfTaken(ours: RunningPeer): Promise<{ connection: Connection; slow: Stream }> {
  lines.length = 0;
  ours.peer.book.records = async () => LARGEST;
  const peer = await rawPeer(WINDOW_BYTES);
  ours.network.admit(PEERS, [peer.node]);
  const connection = await peer.dial([addressOf(ours)]);
  const slow = await connection.newStream(SYNC_PROTOCOL);
  const { isOver } = readsOnly(slow, WINDOW_BYTES + 1);
  await lpStream(slow).write(fetchOf(names(1)));
  await eventually(() => isOver() || slow.status !== "open", LIMIT_MS);
  return { connection, slow };
}

async function largestAnswer(connection: Connection): Promise<void> {
  const asking = lpStream(await connection.newStream(SYNC_PROTOCOL));
  await asking.write(fetchOf(names(1)));
  expect((await asking.read()).byteLength).toBeGreaterThan(1_000_000);
}

describe("a member that asks", () => {
  test("64 times for the same gets nothing, and nothing is looked up", async () => {
    const ours = await start();
    let lookedUp = 0;
    ours.peer.book.records = async (wants) => {
      lookedUp += wants.length;
      return [];
    };
    const { connection } = await admitted(ours);
    const want = [TD, [0, 0, 0], new Uint8Array()];
    const frame = encodeCbor([9, Array.from({ length: 64 }, () => want)]);
    expect(await answersTo(connection, frame)).toBe(0);
    expect(lookedUp).toBe(0);
  });

  test("for more than a cold join of 10,000 domains needs is stopped, in lookups", async () => {
    const ours = await startStill();
    let lookedUp = 0;
    ours.peer.book.records = async (wants) => {
      lookedUp += wants.length;
      return [];
    };
    const { connection } = await admitted(ours);
    expect(await answersTo(connection, fetchOf(names(64)))).toBe(256);
    expect(lookedUp).toBe(16_384);
  });

  test("for more than it takes is stopped, in bytes", async () => {
    const ours = await startStill();
    const records = Array.from({ length: 8 }, () => new Uint8Array(128 * 1024 - 10));
    ours.peer.book.records = async () => records;
    const { connection } = await admitted(ours);
    expect(await answersTo(connection, fetchOf(names(1)))).toBe(128);
  });

  test("often and for little is stopped, in requests", async () => {
    const ours = await startStill();
    const { connection } = await admitted(ours);
    expect(await answersTo(connection, fetchOf([TD as TrustDomain]))).toBe(1_536);
  });

  test("on many streams gets one answer after the other", async () => {
    const ours = await start();
    let atOnce = 0;
    let most = 0;
    ours.peer.book.records = async () => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      await new Promise((resolve) => setImmediate(resolve));
      atOnce -= 1;
      return [];
    };
    const { connection } = await admitted(ours);
    const streams: Stream[] = [];
    for (let index = 0; index < INBOUND_SYNC_STREAMS_MAX; index += 1) {
      streams.push(await connection.newStream(SYNC_PROTOCOL, { maxOutboundStreams: 8 }));
    }
    await Promise.all(
      streams.map(async (stream) => {
        const asking = lpStream(stream);
        for (let time = 0; time < 10; time += 1) {
          await asking.write(fetchOf(names(2)));
          await asking.read();
        }
      }),
    );
    expect(most).toBe(1);
  });

  test("and ends no request has four streams of a connection, until their deadline", async () => {
    const { connection } = await admitted(await startImpatient());
    const streams: Stream[] = [];
    while (streams.length < INBOUND_SYNC_STREAMS_MAX) {
      const stream = await openStream(connection, SYNC_PROTOCOL);
      stream.send(Uint8Array.of(0x80)); // A length that goes on.
      streams.push(stream);
    }
    expect(await endOf(await openStream(connection, SYNC_PROTOCOL))).toBe("reset");
    expect(await Promise.all(streams.map(endOf))).toEqual(streams.map(() => "reset"));
    expect(connection.status).toBe("open");
  });

  test("and does not read loses its stream at the deadline", async () => {
    const ours = await startImpatient();
    const records = Array.from({ length: 8 }, () => new Uint8Array(128 * 1024 - 10));
    ours.peer.book.records = async () => records;
    const { connection } = await admitted(ours);
    const stream = await connection.newStream(SYNC_PROTOCOL);
    stream.pause();
    void lpStream(stream)
      .write(fetchOf(names(1)))
      .catch(() => {});
    expect(await endOf(stream)).toBe("reset");
    expect(connection.status).toBe("open");
  });

  test("on another stream gets its answer when the last one was taken, or its stream is reset", async () => {
    const { connection, slow } = await halfTaken(await startLogging());
    await largestAnswer(connection);
    expect(slow.status).toBe("reset");
    expect(lines).toContain("sync: round failed, SyncStreamFailure: slow, and others wait");
  });

  test("gets the next answer at once when it ended the stream of the last one half way", async () => {
    const { connection, slow } = await halfTaken(await startLogging());
    slow.abort(new Error("had enough"));
    await largestAnswer(connection);
    const ended = "sync: round failed, SyncStreamFailure: The stream has been reset";
    expect(lines).toContain(ended); // Otherwise it had its place until it was slow.
  });

  test("and takes only half loses its stream at the deadline, also when nobody waits", async () => {
    const { connection, slow } = await halfTaken(await startImpatient());
    expect(await endOf(slow)).toBe("reset");
    const late = "sync: round failed, SyncStreamFailure: The operation was aborted due to timeout";
    expect(lines).toContain(late);
    expect(connection.status).toBe("open");
  });

  test("as 31 trust domains that read nothing leaves the others their answers", async () => {
    const ours = await start();
    ours.peer.book.records = async () => LARGEST;
    const hostile: Connection[] = [];
    // One after the other: 31 handshakes of both sides at once may take longer than we let one take.
    while (hostile.length < 31) {
      const rogue = await rogueNode();
      ours.network.admit(`${rogue.id}.test`, [rogue.node]);
      hostile.push(await rogue.dial(addressOf(ours)));
    }
    await eventually(() => ours.network.connections().length === hostile.length, LIMIT_MS);
    const asked = hostile.map(async (connection) => {
      for (let time = 0; time < 4; time += 1) {
        const stream = await connection.newStream(SYNC_PROTOCOL, { maxOutboundStreams: 8 });
        stream.pause();
        void lpStream(stream)
          .write(fetchOf(names(1)))
          .catch(() => {});
      }
    });
    await Promise.all(asked);
    const rogue = await rogueNode();
    ours.network.admit(PEERS, [rogue.node]);
    const connection = await rogue.dial(addressOf(ours));
    const honest = lpStream(await connection.newStream(SYNC_PROTOCOL));
    await honest.write(fetchOf(names(1)));
    expect((await honest.read()).byteLength).toBeGreaterThan(1_000_000);
  });
});

/** Asks on one stream; resolves with the answers' bytes until there is none any more. */
async function asking(connection: Connection) {
  const frames = lpStream(await connection.newStream(SYNC_PROTOCOL));
  return async (request: Uint8Array): Promise<Uint8Array> => {
    await frames.write(request);
    return new Uint8Array((await frames.read()).subarray());
  };
}

describe("a member that says what it wants", () => {
  test("ever anew is stopped, in lookups", async () => {
    const ours = await startStill(names(1_024));
    const { connection } = await admitted(ours);
    const sets = [1_024, 1_023].map((count) => wantedRequest(names(count)));
    const ask = await asking(connection);
    let said = 0;
    await expect(
      (async () => {
        for (; ; said += 1) await ask(sets[said % 2] ?? new Uint8Array());
      })(),
    ).rejects.toThrow();
    expect(said).toBe(16_384 / 128);
    expect(ours.network.connections()).toHaveLength(1);
  });

  test("learns of no other domain that we want, nor what we hold of it", async () => {
    const ours = await start(["both.test", "secret.test"]);
    for (const name of ["both.test", "secret.test"]) ours.peer.book.put(bookRecord(name, 1n));
    const { connection } = await admitted(ours);
    const ask = await asking(connection);
    const said = wantedRequest(["both.test", "theirs.test"]);
    expect(decodeShared(await ask(said), 2)).toMatchObject({ ok: true });
    await ask(compareRequest());
    const buckets = Array.from({ length: 256 }, (_, bucket) => bucket);
    const listed = await ask(encodeRequest({ kind: "list", buckets, after: undefined }));
    expect(decodeEntries(listed)).toMatchObject({
      ok: true,
      value: [{ trustDomain: "both.test" }],
    });
  });

  test("is told that we know nothing any more once we want something else", async () => {
    const ours = await start([TD]);
    const { connection } = await admitted(ours);
    const ask = await asking(connection);
    await ask(wantedRequest([TD, "new.test"]));
    expect(decodeComparison(await ask(compareRequest()))).toMatchObject({
      value: { kind: "hashes" },
    });
    ours.peer.book.want("new.test");
    expect(decodeComparison(await ask(compareRequest()))).toEqual({
      ok: true,
      value: { kind: "unknown" },
    });
    await ask(wantedRequest([TD, "new.test"]));
    expect(decodeComparison(await ask(compareRequest()))).toMatchObject({
      value: { kind: "hashes" },
    });
  });

  test("and what it wants changes while it is said is refused, and may say it anew", async () => {
    const ours = await start(names(2_000));
    const { connection } = await admitted(ours);
    const part = (at: number, total: number): Uint8Array =>
      encodeRequest({ kind: "wanted", at, total, names: names(1_024) });
    const half = await asking(connection);
    await half(part(0, 2_048));
    await expect(half(part(1_024, 3_000))).rejects.toThrow();
    const whole = await asking(connection);
    await whole(part(0, 2_048));
    await whole(part(1_024, 2_048));
    expect(decodeComparison(await whole(compareRequest()))).toMatchObject({
      value: { kind: "hashes" },
    });
  });
});

test("lists of all that we hold end at the budget of lookups", async () => {
  const wanted = names(1_024);
  const ours = await startStill(wanted);
  for (const name of wanted) ours.peer.book.put(bookRecord(name, 1n));
  const { connection } = await admitted(ours);
  const ask = await asking(connection);
  await ask(wantedRequest(wanted));
  await ask(compareRequest());
  const buckets = Array.from({ length: 256 }, (_, bucket) => bucket);
  const list = encodeRequest({ kind: "list", buckets, after: undefined });
  let lists = 0;
  await expect(
    (async () => {
      for (; ; lists += 1) expect(decodeEntries(await ask(list)).ok).toBe(true);
    })(),
  ).rejects.toThrow();
  expect(lists).toBe(Math.floor((16_384 - 128 - 2) / 129));
});

/** CPU time of this thread: a machine may be busy with much else. */
function cpuMs(times: number, work: () => void): number {
  const before = process.threadCpuUsage();
  for (let time = 0; time < times; time += 1) work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000;
}

describe("a request of the largest size that says nothing", () => {
  test.each([
    ["empty arrays", 0x80],
    ["zeros", 0x00],
    ["empty names", 0x60],
  ])("%s: is refused for a tenth of what its items cost", (_, filler) => {
    const items = 256 * 1024;
    const head = Uint8Array.from([0x84, 1, 0, 1, 0x9a, 0, 4, 0, 0]);
    const frame = Buffer.concat([head, Buffer.alloc(items + 1, filler)]);
    // Every decoder encodes again and compares: that alone.
    const value = Array.from({ length: items }, () => (filler === 0x80 ? [] : ""));
    const isCheap = (): boolean => {
      const refusingMs = cpuMs(100, () => expect(decodeRequest(frame).ok).toBe(false));
      return refusingMs < cpuMs(10, () => encodeCbor(value));
    };
    expect(isCheap() || isCheap()).toBe(true); // The garbage of others may fall into the first.
  });
});

/** A rogue that answers each of our rounds with entries of its choosing, and fetches by `give`. */
async function answering(
  rogue: Rogue,
  wanted: readonly TrustDomain[],
  give: () => readonly Uint8Array[],
): Promise<() => number> {
  let fetches = 0;
  const version = { epoch: 0, rev: 0, sequence: 2n ** 60n };
  const entries = wanted.map((trustDomain) => ({
    trustDomain,
    version,
    recordIds: [randomBytes(32)],
  }));
  const answers: SyncAnswers = {
    entries: () => entries,
    give: () => {
      fetches += 1;
      return give();
    },
  };
  await rogue.onStream(SYNC_PROTOCOL, (stream) => void answerSync(stream, answers));
  return () => fetches;
}

/** One round after the other; once one failed, the next waits for its backoff. */
async function roundsUntil(ours: RunningPeer, rogue: Rogue, isOver: () => boolean): Promise<void> {
  await eventually(() => {
    void ours.network.syncNow(rogue.id);
    return isOver();
  }, LIMIT_MS);
}

describe("a member that answers", () => {
  test("with records of no use has them looked at 512 times, then no more", async () => {
    const wanted = names(1_024);
    const ours = await startStill(wanted);
    for (const name of wanted) ours.peer.book.put(bookRecord(name, 1n));
    const rogue = await rogueNode();
    const junk = Array.from({ length: 64 }, () => randomBytes(1_000));
    const fetches = await answering(rogue, wanted, () => junk);
    ours.network.admit(PEERS, [rogue.node]);
    const [address = ""] = ours.network.addresses();
    await rogue.dial(address);
    await eventually(() => ours.network.connections().length === 1, LIMIT_MS);
    await roundsUntil(ours, rogue, () => fetches() > 8);
    const honest = await start();
    ours.network.admit("honest.test", [honest.node]);
    honest.network.admit(PEERS, [ours.node]);
    honest.network.dial(PEERS, [address]);
    await eventually(() => ours.peer.count(`synced ${honest.id}`) > 0, LIMIT_MS);
    const looked = ours.peer.seen.filter((each) => each.startsWith("sync ")).length;
    expect(looked).toBeGreaterThanOrEqual(512);
    expect(looked).toBeLessThanOrEqual(512 + 64);
    expect(fetches()).toBe(9);
    expect(ours.peer.count(`synced ${rogue.id}`)).toBeLessThanOrEqual(1);
    expect(ours.network.connections()).toHaveLength(2);
  });

  test("with one record of use in each reply pays for the other sixty-three", async () => {
    const wanted = names(1_024);
    const ours = await startStill(wanted);
    const rogue = await rogueNode();
    const junk = Array.from({ length: 63 }, () => randomBytes(1_000));
    let useful = 0;
    const fetches = await answering(rogue, wanted, () => {
      const record = encodeBookRecord(bookRecord(wanted[useful] ?? "", 2n ** 60n));
      useful += 1;
      return [record, ...junk];
    });
    ours.network.admit(PEERS, [rogue.node]);
    const [address = ""] = ours.network.addresses();
    await rogue.dial(address);
    await eventually(() => ours.network.connections().length === 1, LIMIT_MS);
    await roundsUntil(ours, rogue, () => fetches() > Math.floor(512 / 63));
    expect(fetches()).toBe(Math.floor(512 / 63) + 1);
    expect(ours.peer.book.newest(wanted[0] ?? "")?.sequence).toBe(2n ** 60n);
  });

  test.each<readonly [string, readonly TrustDomain[]]>([
    ["says that it holds nothing", []],
    ["names what it holds and gives nothing", [TD as TrustDomain]],
  ])("that %s keeps no record from us: another peer brings it", async (_, named) => {
    const ours = await start();
    const relay = await rogueNode();
    await answering(relay, named, () => []);
    const honest = await start();
    honest.peer.book.put(bookRecord(TD, 1n));
    ours.network.admit(PEERS, [relay.node, honest.node]);
    const [address = ""] = ours.network.addresses();
    await relay.dial(address);
    await eventually(() => ours.network.connections().length === 1, LIMIT_MS);
    await ours.network.syncNow(relay.id);
    expect(ours.peer.book.newest(TD)).toBeUndefined();
    honest.network.admit(PEERS, [ours.node]);
    honest.network.dial(PEERS, [address]);
    await eventually(() => ours.peer.book.newest(TD)?.sequence === 1n, LIMIT_MS);
    expect(ours.network.connections()).toHaveLength(2);
  });

  test("with hashes that differ and nothing behind them costs us one round at a time", async () => {
    const ours = await startMoved([TD]);
    const rogue = await rogueNode();
    const requests: string[] = [];
    const instead: SyncAnswers["instead"] = ({ kind }) => void requests.push(kind);
    await rogue.onStream(
      SYNC_PROTOCOL,
      (stream) => void answerSync(stream, { entries: () => [], give: () => [], instead }),
    );
    ours.network.admit(PEERS, [rogue.node]);
    await rogue.dial(addressOf(ours));
    await eventually(() => ours.peer.count(`synced ${rogue.id}`) > 0, LIMIT_MS);
    await ours.network.syncNow(rogue.id);
    requests.splice(0);
    await ours.network.syncNow(rogue.id);
    // It forgets what we said on each stream, so it is said again; then the list, and no more.
    expect(requests).toEqual(["compare", "wanted", "compare", "list"]);
  });

  test("that its list goes on for ever is refused at what was not asked for", async () => {
    const wanted = names(2_048);
    const ours = await startMoved(wanted);
    const rogue = await rogueNode();
    let lists = 0;
    const version = { epoch: 0, rev: 0, sequence: 0n }; // Nothing that we would fetch.
    const first = wanted.slice(0, 1_024).map((trustDomain) => {
      ours.peer.book.put(bookRecord(trustDomain, 1n));
      return { trustDomain, version, recordIds: [new Uint8Array(32)] };
    });
    const instead: SyncAnswers["instead"] = ({ kind }) => {
      if (kind !== "list") return undefined;
      lists += 1;
      return encodeEntries(first); // The same full page again and again.
    };
    let [rounds, open] = [0, 0];
    await rogue.onStream(SYNC_PROTOCOL, (stream) => {
      rounds += 1;
      open += 1;
      stream.addEventListener("close", () => (open -= 1));
      void answerSync(stream, { entries: () => [], give: () => [], instead });
    });
    ours.network.admit(PEERS, [rogue.node]);
    await rogue.dial(addressOf(ours));
    const isOver = (): boolean => {
      if (open === 0) movedMs += BACKOFF_MS_MAX; // A round under way keeps its time.
      void ours.network.syncNow(rogue.id);
      return lists >= 4;
    };
    await eventually(isOver, LIMIT_MS, 200);
    expect(lists).toBeLessThanOrEqual(2 * rounds);
    expect(ours.peer.count(`synced ${rogue.id}`)).toBe(0);
  });

  test.each([
    ["an eighth for a usual record", 5_000, 64],
    ["two eighths for one of 12 KB", 12_000, 32],
  ])("what we lack the budget to judge pays %s", async (_, bytes, fetchesPaid) => {
    const wanted = names(1_024);
    const ours = await startStill(wanted);
    ours.peer.onSyncRecords = async (envelopes) => envelopes.map(() => "unjudged");
    const rogue = await rogueNode();
    const junk = Array.from({ length: 64 }, () => randomBytes(bytes));
    const fetches = await answering(rogue, wanted, () => junk);
    ours.network.admit(PEERS, [rogue.node]);
    const [address = ""] = ours.network.addresses();
    await rogue.dial(address);
    await eventually(() => ours.network.connections().length === 1, LIMIT_MS);
    await roundsUntil(ours, rogue, () => fetches() > fetchesPaid);
    expect(fetches()).toBe(fetchesPaid + 1);
  });

  test("slowly or never, on all its sixteen nodes, keeps us from no other trust domain", async () => {
    const ours = await start();
    const rogues = await Promise.all(Array.from({ length: 16 }, async () => await rogueNode()));
    let open = 0;
    let most = 0;
    for (const rogue of rogues) {
      await rogue.onStream(SYNC_PROTOCOL, (stream) => {
        open += 1;
        most = Math.max(most, open);
        stream.addEventListener("close", () => (open -= 1));
      });
    }
    ours.network.admit(
      "hostile.test",
      rogues.map(({ node }) => node),
    );
    const [address = ""] = ours.network.addresses();
    for (const rogue of rogues) await rogue.dial(address);
    await eventually(() => ours.network.connections().length === 16, LIMIT_MS);
    for (const { id } of rogues) void ours.network.syncNow(id);
    await eventually(() => open > 0, LIMIT_MS);
    const honest = await start();
    ours.network.admit(PEERS, [honest.node]);
    honest.network.admit(PEERS, [ours.node]);
    honest.network.dial(PEERS, [address]);
    await eventually(() => ours.peer.count(`synced ${honest.id}`) > 0, LIMIT_MS);
    for (let time = 0; time < 3; time += 1) await ours.network.syncNow(honest.id);
    expect(most).toBe(1);
  });

  test("honestly, and not done in its time, goes on in the next round where it was", async () => {
    const wanted = names(200);
    const refused = new Set<string>(wanted.slice(0, 63));
    const ours = await startMoved(wanted);
    const honest = await start(wanted);
    for (const name of wanted) honest.peer.book.put(bookRecord(name, 1n));
    const put = ours.peer.book.put.bind(ours.peer.book);
    ours.peer.book.put = (record) => !refused.has(record.trustDomain) && put(record);
    const { book } = honest.peer;
    const records = book.records.bind(book);
    const revision = book.revision.bind(book);
    const asked: (number | "compare")[] = [];
    book.revision = () => {
      asked.push("compare");
      return revision();
    };
    book.records = async (wants) => {
      asked.push(wants.length);
      movedMs += 21_000;
      expect(ours.peer.count(`synced ${honest.id}`)).toBe(0);
      return await records(wants);
    };
    ours.network.admit(PEERS, [honest.node]);
    honest.network.admit(PEERS, [ours.node]);
    ours.network.dial(PEERS, honest.network.addresses());
    await eventually(() => ours.peer.count(`synced ${honest.id}`) > 0, LIMIT_MS);
    expect(asked.filter((each) => each !== "compare")).toEqual([63, 63, 63, 11, 63]);
    const inOneRound = asked.filter(
      (each, at) => at > 0 && ![each, asked[at - 1]].includes("compare"),
    );
    expect(inOneRound).toEqual([]);
    expect(wanted.filter((name) => ours.peer.book.newest(name) === undefined)).toEqual([
      ...refused,
    ]);
  });

  test("honestly, and for the first time, is asked from a random name on, and for all", async () => {
    const wanted = names(100);
    const [ours, honest] = [await startSomewhere(wanted), await start(wanted)];
    for (const name of wanted) honest.peer.book.put(bookRecord(name, 1n));
    const fetched = vi.spyOn(honest.peer.book, "records");
    ours.network.admit(PEERS, [honest.node]);
    honest.network.admit(PEERS, [ours.node]);
    ours.network.dial(PEERS, honest.network.addresses());
    await eventually(() => ours.peer.count(`synced ${honest.id}`) > 0, LIMIT_MS);
    const asked = fetched.mock.calls.map(([wants]) => wants.map(({ trustDomain }) => trustDomain));
    expect(asked).toEqual([wanted.slice(50), wanted.slice(0, 50)]);
    expect(wanted.every((name) => ours.peer.book.newest(name) !== undefined)).toBe(true);
  });

  test("honestly, with a thousand partners that we refuse, brings what sorts behind them", async () => {
    const wanted = names(1_001);
    const refused = new Set<string>(wanted.slice(0, 1_000));
    const [last = ""] = wanted.slice(-1);
    const ours = await startMoved(wanted);
    const honest = await startMoved(wanted);
    for (const name of wanted) honest.peer.book.put(bookRecord(name, 1n));
    const put = ours.peer.book.put.bind(ours.peer.book);
    ours.peer.book.put = (record) => !refused.has(record.trustDomain) && put(record);
    ours.network.admit(PEERS, [honest.node]);
    honest.network.admit(PEERS, [ours.node]);
    ours.network.dial(PEERS, honest.network.addresses());
    await eventually(() => ours.network.connections().length === 1, LIMIT_MS);
    for (let round = 0; round < 3; round += 1) {
      movedMs += BACKOFF_MS_MAX;
      await ours.network.syncNow(honest.id);
    }
    expect(ours.peer.book.newest(last)?.sequence).toBe(1n);
    expect(ours.network.connections()).toHaveLength(1);
  });

  test("honestly, with large records for many domains, is never stopped", async () => {
    const wanted = names(LONG ? 10_000 : 1_000);
    const [ours, honest] = [await startStill(wanted), await startStill(wanted)];
    const text = "x".repeat(5 * 1024);
    for (const name of wanted) honest.peer.book.put(bookRecord(name, 1n, text));
    ours.network.admit(PEERS, [honest.node]);
    honest.network.admit(PEERS, [ours.node]);
    ours.network.dial(PEERS, honest.network.addresses());
    await eventually(
      () => wanted.every((name) => ours.peer.book.newest(name) !== undefined),
      LIMIT_MS,
      50,
    );
    expect(ours.peer.book.newest(wanted[0] ?? "")).toEqual(bookRecord(wanted[0] ?? "", 1n, text));
    expect(encodeBookRecord(bookRecord(TD, 1n, text)).length).toBeGreaterThan(5 * 1024);
  });
});
