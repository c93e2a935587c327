/**
 * What every peer network does, whatever carries it: libp2p here, the simulator's elsewhere.
 * Peers keep a book of records in place of the core: text envelopes, one line of versions for each
 * trust domain, taken when higher than the one held.
 */
import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { SyncEntry, SyncWant } from "../../src/core/mesh/sync-entry.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import type {
  PeerNetwork,
  PeerNetworkEvents,
  SyncSource,
  Verdict,
} from "../../src/ports/peer-network.ts";

/** A record as these tests write it. */
export interface BookRecord {
  readonly trustDomain: TrustDomain;
  readonly sequence: bigint;
  readonly text: string;
}

export function bookRecord(trustDomain: string, sequence: bigint, text = ""): BookRecord {
  return { trustDomain: trustDomain as TrustDomain, sequence, text };
}

export function encodeBookRecord({ trustDomain, sequence, text }: BookRecord): Uint8Array {
  return Uint8Array.from(Buffer.from(`${trustDomain} ${sequence} ${text}`));
}

/** Undefined for what is no record, which these tests answer with the verdict reject. */
function decodeBookRecord(envelope: Uint8Array): BookRecord | undefined {
  const match = /^([a-z0-9.]+) (\d+) (.*)$/s.exec(Buffer.from(envelope).toString());
  const [, name = "", sequence = "0", text = ""] = match ?? [];
  return match === null ? undefined : bookRecord(name, BigInt(sequence), text);
}

/** Records in version order for each trust domain that somebody wants. */
export class Book implements SyncSource {
  readonly #held = new Map<string, BookRecord[]>();
  #revision = 0;

  constructor(wanted: readonly string[]) {
    for (const name of wanted) this.#held.set(name, []);
  }

  newest(trustDomain: string): BookRecord | undefined {
    return this.#held.get(trustDomain)?.at(-1);
  }

  /** Whether the record was higher than the held one. */
  put(record: BookRecord): boolean {
    const held = this.#held.get(record.trustDomain);
    const newest = held?.at(-1)?.sequence ?? -1n;
    if (held === undefined || record.sequence <= newest) return false;
    held.push(record);
    this.#revision += 1;
    return true;
  }

  /** From now on one more trust domain. */
  want(trustDomain: string): void {
    this.#held.set(trustDomain, this.#held.get(trustDomain) ?? []);
    this.#revision += 1;
  }

  revision(): number {
    return this.#revision;
  }

  wanted(): readonly TrustDomain[] {
    return [...this.#held.keys()].map((name) => name as TrustDomain);
  }

  entries(wanted: readonly string[]): readonly SyncEntry[] {
    return wanted.flatMap((name) => {
      const newest = this.newest(name);
      if (newest === undefined) return [];
      const { trustDomain, sequence } = newest;
      const version = { epoch: 0, rev: 0, sequence };
      return { trustDomain, version, recordIds: [sha256(encodeBookRecord(newest))] };
    });
  }

  missing(entries: readonly SyncEntry[]): readonly SyncWant[] {
    return entries.flatMap(({ trustDomain, version, recordIds }): SyncWant[] => {
      const newest = this.newest(trustDomain);
      if (newest === undefined) return [{ trustDomain, above: undefined, recordId: recordIds[0] }];
      const above = { epoch: 0, rev: 0, sequence: newest.sequence };
      if (version.sequence <= newest.sequence) return [];
      return [{ trustDomain, above, recordId: undefined }];
    });
  }

  async records(wants: readonly SyncWant[]): Promise<readonly Uint8Array[]> {
    const found = wants.flatMap(({ trustDomain, above, recordId }) => {
      const held = this.#held.get(trustDomain) ?? [];
      if (recordId !== undefined) return held.slice(-1);
      return held.filter(({ sequence }) => above === undefined || sequence > above.sequence);
    });
    return found.slice(0, 64).map(encodeBookRecord);
  }
}

/** One daemon's peer network with a book in place of the core. */
export class BookPeer implements PeerNetworkEvents {
  readonly book: Book;
  /** What happened, in order. */
  readonly seen: string[] = [];
  readonly synced = new Map<string, readonly SyncEntry[]>();
  /** Replaces the book's verdict on gossip. */
  judge: ((envelope: Uint8Array) => Promise<Verdict>) | undefined;
  /** Replaces the verdict on heads. */
  judgeHead: (() => Promise<Verdict>) | undefined;

  constructor(wanted: readonly string[]) {
    this.book = new Book(wanted);
  }

  async onGossip(envelope: Uint8Array, peerId: string): Promise<Verdict> {
    if (this.judge !== undefined) return await this.judge(envelope);
    const record = decodeBookRecord(envelope);
    this.seen.push(`gossip ${peerId} ${record?.text ?? "?"}`);
    if (record === undefined) return "reject";
    return this.book.put(record) ? "accept" : "ignore";
  }

  /** A head is any text; its first word is the verdict. */
  async onGossipHead(envelope: Uint8Array, peerId: string): Promise<Verdict> {
    if (this.judgeHead !== undefined) return await this.judgeHead();
    const text = Buffer.from(envelope).toString();
    this.seen.push(`head ${peerId} ${text}`);
    return text.split(" ")[0] as Verdict;
  }

  /** What begins with the word is taken. */
  async onDoor(envelope: Uint8Array): Promise<boolean> {
    const text = Buffer.from(envelope).toString();
    this.seen.push(`door ${text.length > 100 ? text.length : text}`);
    return text.startsWith("take");
  }

  async onSyncRecords(
    envelopes: readonly Uint8Array[],
    peerId: string,
  ): Promise<readonly Verdict[]> {
    return envelopes.map((envelope) => {
      const record = decodeBookRecord(envelope);
      this.seen.push(`sync ${peerId} ${record?.text ?? "?"}`);
      if (record === undefined) return "reject";
      return this.book.put(record) ? "accept" : "ignore";
    });
  }

  onSynced(peerId: string, entries: readonly SyncEntry[]): void {
    this.seen.push(`synced ${peerId}`);
    this.synced.set(peerId, entries);
  }

  onPeerConnected(peerId: string): void {
    this.seen.push(`connected ${peerId}`);
  }

  onPeerLost(peerId: string): void {
    this.seen.push(`lost ${peerId}`);
  }

  /** How often something happened. */
  count(what: string): number {
    return this.seen.filter((each) => each === what).length;
  }
}

export interface MakeOptions {
  readonly seed: Uint8Array;
  readonly strangerMs: number;
  readonly syncIntervalMs: number;
}

export interface MadeNetwork {
  readonly network: PeerNetwork;
  /** The public key of the seed. */
  readonly node: Uint8Array;
}

export type MakeNetwork = (
  options: MakeOptions,
  events: PeerNetworkEvents,
  source: SyncSource,
) => Promise<MadeNetwork>;

export interface RunningPeer extends MadeNetwork {
  readonly peer: BookPeer;
  readonly id: string;
  readonly seed: Uint8Array;
  stop(): Promise<void>;
}

/** Starts peers and stops those that still run when the test is over. */
export function startsPeers(
  make: MakeNetwork,
): (wanted?: readonly string[], options?: Partial<MakeOptions>) => Promise<RunningPeer> {
  const running = new Set<RunningPeer>();
  afterEach(async () => {
    await Promise.all([...running].map(async (peer) => await peer.stop()));
  });
  return async (wanted = [TD], options = {}) => {
    const peer = new BookPeer(wanted);
    const seed = options.seed ?? randomBytes(32);
    const defaults = { seed, strangerMs: 10_000, syncIntervalMs: 60_000 };
    const made = await make({ ...defaults, ...options }, peer, peer.book);
    await made.network.start();
    const started: RunningPeer = {
      ...made,
      peer,
      seed,
      id: made.network.peerId,
      stop: async () => {
        running.delete(started);
        await made.network.stop();
      },
    };
    running.add(started);
    return started;
  };
}

/** Against hanging, not a figure: on a machine at load 20 single conditions took 5 s. */
const EVENTUALLY_MS = 30_000;

/** Waits for a condition. */
export async function eventually(
  condition: () => boolean | undefined | Promise<boolean>,
  limitMs = EVENTUALLY_MS,
  interval = 10,
): Promise<void> {
  const holds = async (): Promise<void> => expect(await condition()).toBe(true);
  await vi.waitFor(holds, { timeout: limitMs, interval });
}

/**
 * Does what is done within so many milliseconds of timers. These pass a hundredth of it in each round of
 * the event loop, however slow the machine is, and what waits longer waits until the test's limit.
 */
export async function withinTheTimeOf(ms: number, act: () => Promise<void>): Promise<void> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const done = act();
    for (let part = 0; part < 100; part += 1) {
      await vi.advanceTimersByTimeAsync(ms / 100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await done;
  } finally {
    vi.useRealTimers();
  }
}

/** Everybody admits everybody, and each dials those before it. */
async function joinAll(...peers: readonly RunningPeer[]): Promise<void> {
  const nodes = peers.map(({ node }) => node);
  for (const [index, { network }] of peers.entries()) {
    network.admit(PEERS, nodes);
    network.dial(
      PEERS,
      peers.slice(0, index).flatMap((other) => other.network.addresses()),
    );
  }
  await eventually(() =>
    peers.every(({ peer, id }) =>
      peers.every((other) => other.id === id || peer.count(`synced ${other.id}`) > 0),
    ),
  );
}

/** The second admits both others, who do not admit each other. */
async function joinLine(
  first: RunningPeer,
  second: RunningPeer,
  third: RunningPeer,
): Promise<void> {
  for (const end of [first, third]) end.network.admit(PEERS, [second.node]);
  second.network.admit(PEERS, [first.node, third.node]);
  second.network.dial(PEERS, [...first.network.addresses(), ...third.network.addresses()]);
  await eventually(() => [first, third].every(({ peer }) => peer.synced.size > 0));
  await eventually(() => second.peer.synced.size === 2);
}

export const TD = "alpha.test";
/** Who lists the nodes, where it does not matter. */
export const PEERS = "peers.test";

/** The suite. `make` creates a network that is not started yet and finds others by `dial`. */
export function describePeerNetwork(name: string, make: MakeNetwork): void {
  describe(`${name} as a peer network`, () => {
    const start = startsPeers(make);

    test("tells once of each peer that connects and is lost, on both sides", async () => {
      const [alpha, bravo] = [await start(), await start()];
      await joinAll(alpha, bravo);
      expect(alpha.network.connections().map(({ peerId }) => peerId)).toEqual([bravo.id]);
      await bravo.stop();
      await eventually(() => alpha.peer.count(`lost ${bravo.id}`) === 1);
      expect(alpha.peer.count(`connected ${bravo.id}`)).toBe(1);
      expect(alpha.network.connections()).toEqual([]);
    });

    test("delivers what one publishes to everybody that is admitted", async () => {
      const peers = [await start(), await start(), await start()] as const;
      await joinAll(...peers);
      for (const [sequence, { peer, network }] of peers.entries()) {
        const record = bookRecord(TD, BigInt(sequence), `${sequence}`);
        peer.book.put(record);
        await network.publish(encodeBookRecord(record));
        await eventually(() =>
          peers.every((each) => each.peer.book.newest(TD)?.sequence === record.sequence),
        );
      }
    });

    test("forwards only what got the verdict accept", async () => {
      const peers = [await start(), await start(), await start()] as const;
      const [alpha, bravo, charlie] = peers;
      await joinLine(...peers);
      bravo.peer.judge = async (envelope) => {
        const verdict = Buffer.from(envelope).toString().split(" ")[2];
        if (verdict === "throw") throw new Error("a bug of the core");
        return verdict as Verdict;
      };
      for (const [index, verdict] of ["ignore", "throw", "reject", "accept"].entries()) {
        await alpha.network.publish(encodeBookRecord(bookRecord(TD, BigInt(index), verdict)));
      }
      await eventually(() => charlie.peer.count(`gossip ${bravo.id} accept`) === 1);
      expect(charlie.peer.seen.filter((each) => each.startsWith("gossip"))).toHaveLength(1);
      const rejected = bravo.network.connections().map((each) => [each.peerId, each.rejected]);
      expect(Object.fromEntries(rejected)).toEqual({ [alpha.id]: 1, [charlie.id]: 0 });
    });

    test("delivers heads beside records, and forwards those that got the verdict accept", async () => {
      const peers = [await start(), await start(), await start()] as const;
      const [alpha, bravo, charlie] = peers;
      await joinLine(...peers);
      for (const head of ["ignore 1", "reject 2", "accept 3"]) {
        await alpha.network.publishHead(Buffer.from(head));
      }
      await eventually(() => charlie.peer.count(`head ${bravo.id} accept 3`) === 1);
      expect(bravo.peer.seen.filter((each) => each.startsWith("head"))).toHaveLength(3);
      expect(charlie.peer.seen.filter((each) => each.startsWith("head"))).toHaveLength(1);
      const rejected = bravo.network.connections().map((each) => [each.peerId, each.rejected]);
      expect(Object.fromEntries(rejected)).toEqual({ [alpha.id]: 1, [charlie.id]: 0 });
    });

    test("who is not admitted may knock, and is told whether it was taken", async () => {
      const [alpha, bravo, charlie] = [await start(), await start(), await start()];
      const [address = ""] = alpha.network.addresses();
      expect(await bravo.network.knock(address, Buffer.from("take this"))).toBe(true);
      await alpha.stop();
      const [other = ""] = charlie.network.addresses();
      expect(await bravo.network.knock(other, Buffer.from("leave this"))).toBe(false);
      expect(charlie.peer.seen).toEqual(["door leave this"]);
      expect(alpha.peer.seen).toEqual(["door take this"]);
      expect(await bravo.network.knock(address, Buffer.from("take this"))).toBe(false);
      expect(await bravo.network.knock("nowhere", Buffer.from("take this"))).toBe(false);
      expect(bravo.peer.seen).toEqual([]);
    });

    test("who is admitted needs no door", async () => {
      const [alpha, bravo] = [await start(), await start()];
      await joinAll(alpha, bravo);
      const [address = ""] = alpha.network.addresses();
      expect(await bravo.network.knock(address, Buffer.from("take this"))).toBe(false);
      expect(alpha.peer.seen.some((each) => each.startsWith("door"))).toBe(false);
      expect(bravo.network.connections()).toHaveLength(1);
    });

    test("repairs by sync on reconnect what was missed while disconnected", async () => {
      const [alpha, bravo] = [await start(), await start()];
      for (const { peer } of [alpha, bravo]) peer.book.put(bookRecord(TD, 0n, "0"));
      await joinAll(alpha, bravo);
      bravo.network.admit(PEERS, []);
      await eventually(() => alpha.peer.count(`lost ${bravo.id}`) === 1);
      for (let sequence = 1n; sequence <= 200n; sequence += 1n) {
        const record = bookRecord(TD, sequence, `${sequence}`);
        alpha.peer.book.put(record);
      }
      await alpha.network.publish(encodeBookRecord(bookRecord(TD, 200n, "200")));
      bravo.network.admit(PEERS, [alpha.node]);
      bravo.network.dial(PEERS, alpha.network.addresses());
      await eventually(() => bravo.peer.book.newest(TD)?.sequence === 200n);
      const inOrder = bravo.peer.seen.filter((each) => each.startsWith("sync "));
      expect(inOrder).toEqual(Array.from({ length: 200 }, (_, n) => `sync ${alpha.id} ${n + 1}`));
      await eventually(() => bravo.peer.synced.get(alpha.id)?.[0]?.version.sequence === 200n);
    });

    test("what is published while two peers are connecting is not missed", async () => {
      const names = Array.from({ length: 60 }, (_, index) => `d${index}.test`);
      const [alpha, bravo] = [await start(names), await start(names)];
      const unpublished = [...names];
      const publishing = setInterval(() => {
        const name = unpublished.pop();
        if (name === undefined) return clearInterval(publishing);
        const record = bookRecord(name, 1n);
        bravo.peer.book.put(record);
        void bravo.network.publish(encodeBookRecord(record));
      }, 5);
      await joinAll(alpha, bravo);
      await eventually(() => names.every((each) => alpha.peer.book.newest(each) !== undefined));
      expect(alpha.peer.seen.some((each) => each.startsWith("gossip "))).toBe(true);
    });

    test("syncs with a random peer from time to time", async () => {
      const alpha = await start();
      const bravo = await start([TD], { syncIntervalMs: 50 });
      await joinAll(alpha, bravo);
      alpha.peer.book.put(bookRecord(TD, 7n));
      await eventually(() => bravo.peer.book.newest(TD)?.sequence === 7n);
      expect(alpha.peer.book.newest(TD)?.sequence).toBe(7n);
    });

    test("syncs now when asked, and tells what the peer holds also when nothing differs", async () => {
      const wanted = [TD, "bravo.test"];
      const [alpha, bravo] = [await start(wanted), await start(wanted)];
      for (const { peer } of [alpha, bravo]) peer.book.put(bookRecord(TD, 3n));
      await joinAll(alpha, bravo);
      bravo.peer.synced.clear();
      await bravo.network.syncNow(alpha.id);
      expect(bravo.peer.synced.get(alpha.id)).toEqual(bravo.peer.book.entries([TD]));
      alpha.peer.book.put(bookRecord("bravo.test", 1n));
      await bravo.network.syncNow(alpha.id);
      expect(bravo.peer.book.newest("bravo.test")?.sequence).toBe(1n);
      await bravo.network.syncNow("nobody");
    });

    test("brings 2,500 domains in one round, as far as the peer gives them", async () => {
      const names = Array.from({ length: 2_500 }, (_, index) => `d${index}.test`);
      const [alpha, bravo] = [await start(names), await start(names)];
      for (const each of names) alpha.peer.book.put(bookRecord(each, 1n));
      // 300 of them it names, but does not give: more than one fetch asks for.
      const given = new Set(names.slice(300));
      const { book } = alpha.peer;
      const records = book.records.bind(book);
      book.records = async (wants) =>
        await records(wants.filter(({ trustDomain }) => given.has(trustDomain)));
      await joinAll(alpha, bravo);
      await bravo.network.syncNow(alpha.id);
      const held = names.filter((each) => bravo.peer.book.newest(each) !== undefined);
      expect(new Set(held)).toEqual(given);
      expect(bravo.peer.synced.get(alpha.id)).toHaveLength(2_500);
    });

    test("a peer never gives away what it was not asked for", async () => {
      const [alpha, bravo] = [await start([TD, "secret.test"]), await start([TD])];
      alpha.peer.book.put(bookRecord("secret.test", 1n));
      await joinAll(alpha, bravo);
      await bravo.network.syncNow(alpha.id);
      expect(bravo.peer.synced.get(alpha.id)).toEqual([]);
    });

    test("a peer that nobody admitted sees no record, and is dropped", async () => {
      const [alpha, bravo] = [await start([TD], { strangerMs: 200 }), await start()];
      bravo.network.admit(PEERS, [alpha.node]);
      bravo.network.dial(PEERS, alpha.network.addresses());
      alpha.peer.book.put(bookRecord(TD, 1n));
      await eventually(() => bravo.peer.count(`connected ${alpha.id}`) === 1);
      await alpha.network.publish(encodeBookRecord(bookRecord(TD, 2n)));
      await bravo.network.publish(encodeBookRecord(bookRecord(TD, 3n)));
      await eventually(() => bravo.peer.count(`lost ${alpha.id}`) === 1);
      expect(alpha.peer.seen).toEqual([]);
      expect(new Set(bravo.peer.seen)).toEqual(
        new Set([`connected ${alpha.id}`, `lost ${alpha.id}`]),
      );
    });

    test.each([
      ["while the other is still connected", 10_000],
      ["after the other was dropped", 50],
    ])("who imports the other second connects at once: %s", async (_, strangerMs) => {
      const [alpha, bravo] = [await start(), await start([TD], { strangerMs })];
      bravo.peer.book.put(bookRecord(TD, 1n));
      alpha.network.admit(PEERS, [bravo.node]);
      alpha.network.dial(PEERS, bravo.network.addresses());
      const before = strangerMs > 1_000 ? "connected" : "lost";
      await eventually(() => alpha.peer.count(`${before} ${bravo.id}`) > 0);
      bravo.network.admit(PEERS, [alpha.node]);
      bravo.network.dial(PEERS, alpha.network.addresses());
      await eventually(() => bravo.peer.count(`synced ${alpha.id}`) > 0, 2_000);
      await eventually(() => alpha.peer.book.newest(TD)?.sequence === 1n, 2_000);
      await bravo.network.publish(encodeBookRecord(bookRecord(TD, 2n, "two")));
      await eventually(() => alpha.peer.count(`gossip ${bravo.id} two`) === 1);
    });

    test("a node that is no longer admitted is dropped at once and heard no more", async () => {
      const [alpha, bravo] = [await start(), await start()];
      await joinAll(alpha, bravo);
      alpha.network.admit(PEERS, []);
      expect(alpha.peer.seen.at(-1)).toBe(`lost ${bravo.id}`);
      expect(alpha.network.connections()).toEqual([]);
      await eventually(() => bravo.peer.count(`lost ${alpha.id}`) === 1);
      await alpha.network.syncNow(bravo.id);
      expect(alpha.peer.seen.at(-1)).toBe(`lost ${bravo.id}`);
    });

    test("a peer that was restarted is found again soon", async () => {
      const [alpha, bravo] = [await start(), await start()];
      await joinAll(alpha, bravo);
      const { seed } = alpha;
      await alpha.stop();
      await eventually(() => bravo.peer.count(`lost ${alpha.id}`) === 1);
      const again = await start([TD], { seed });
      expect(again.id).toBe(alpha.id);
      again.network.admit(PEERS, [bravo.node]);
      bravo.network.dial(PEERS, again.network.addresses());
      await eventually(() => again.peer.count(`synced ${bravo.id}`) > 0);
    });

    test("publishing to nobody is no error", async () => {
      const alpha = await start();
      await alpha.network.publish(encodeBookRecord(bookRecord(TD, 1n)));
      await alpha.network.publish(encodeBookRecord(bookRecord(TD, 1n)));
    });

    test("stops within 2 s and tells nothing from then on", async () => {
      const [alpha, bravo] = [await start(), await start()];
      await joinAll(alpha, bravo);
      const { length } = alpha.peer.seen;
      await withinTheTimeOf(2_000, async () => await alpha.stop());
      await eventually(() => bravo.peer.count(`lost ${alpha.id}`) === 1);
      await alpha.network.publish(encodeBookRecord(bookRecord(TD, 1n)));
      expect(alpha.peer.seen).toHaveLength(length);
    });
  });
}
