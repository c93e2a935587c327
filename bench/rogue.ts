/**
 * A hostile peer as a process of its own, so that its CPU time can be told from ours. It gets its
 * orders from whoever forked it, makes its libp2p nodes, says that it is ready, attacks when told to,
 * and hands back what came of it and the CPU time from the first byte on.
 */
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import type { Stream } from "@libp2p/interface";
import { encodeRecords, encodeRequest } from "../src/p2p/sync-frames.ts";
import { SYNC_PROTOCOL } from "../src/p2p/sync.ts";
import { Attack, type AttackOptions, type Outcome } from "../test/rogue/attack.ts";
import { framed, message, subscription } from "../test/rogue/gossip-rpcs.ts";
import {
  GOSSIP_PROTOCOL,
  type Rogue,
  type RogueOptions,
  openStream,
  startRogue,
} from "../test/rogue/rogue-node.ts";
import { STRATEGIES, isStrategy } from "../test/rogue/strategies.ts";
import { answerSync } from "../test/rogue/sync-answers.ts";
import type { TrustDomain } from "../src/core/spiffe/trust-domain.ts";

export interface Orders extends Omit<AttackOptions, "signal" | "from" | "count"> {
  /** One of test/rogue, or of those below. */
  readonly strategy: string;
  /** Signed beforehand: envelopes to gossip or to answer with. */
  readonly envelopes: readonly Uint8Array[];
  /** Of these, how many at once before the rate begins. */
  readonly burst: number;
}

export interface Done extends Outcome {
  readonly seconds: number;
  /** User and system time of this process. */
  readonly cpuMs: number;
}

/** What is still on its way is not lost by closing the connection at once. */
const LINGER_MS = 1_000;
/** What is sent gets out before more is. */
const SENT_A_TURN = 16;
/** A round that the victim has not begun by then comes later. */
const ROUND_MS = 2_000;
const IDENTIFY_PROTOCOL = "/ipfs/id/1.0.0";
const FAR_AHEAD = 1n << 40n;

/** Its nodes are made before the attack, as whoever means it has them ready. */
class ReadyAttack extends Attack {
  readonly #hearing: Rogue;
  readonly #deaf: Rogue;

  constructor(options: AttackOptions, hearing: Rogue, deaf: Rogue) {
    super(options);
    this.#hearing = hearing;
    this.#deaf = deaf;
  }

  override async rogue({ seed, deaf = false }: Partial<RogueOptions> = {}): Promise<Rogue> {
    if (seed !== undefined) return await super.rogue({ seed, deaf });
    return deaf ? this.#deaf : this.#hearing;
  }
}

type Strategy = (attack: ReadyAttack, orders: Orders) => Promise<void>;

const OWN: Readonly<Record<string, Strategy>> = {
  /** One action: one envelope; a burst, then at the rate, from the first again after the last. */
  records: async (attack, { envelopes, burst }) => {
    const rpcs = envelopes.map((envelope) => message(envelope));
    let sent = 0;
    await onConnections(attack, GOSSIP_PROTOCOL, async (stream) => {
      await attack.send(stream, subscription());
      const next = async (): Promise<boolean> => {
        const rpc = rpcs[sent % rpcs.length] ?? new Uint8Array();
        sent += 1;
        if (sent % SENT_A_TURN === 0) await setImmediate();
        return await attack.send(stream, rpc);
      };
      const inBurst = (): boolean => sent < burst && !attack.over;
      while (inBurst() && (await next()));
      await attack.paced(next);
    });
    await sleep(LINGER_MS);
  },
  /**
   * One action: a reply full of records to whatever the victim asks, as it is said to lack them. It
   * asks whoever has just connected, so each round is on a connection of its own.
   */
  "sync-useless": async (attack, { envelopes }) => {
    const rogue = await attack.rogue();
    const bytes = encodeRecords(envelopes).length;
    let rounds = 0;
    await rogue.onStream(SYNC_PROTOCOL, (stream) => {
      void answer(attack, stream, envelopes, bytes).finally(() => (rounds += 1));
    });
    while (!attack.over) {
      const connection = await attack.connect(rogue, true);
      const [before, sinceMs] = [rounds, performance.now()];
      await attack.until(() => rounds > before || performance.now() > sinceMs + ROUND_MS);
      await connection?.close().catch(() => {});
    }
  },
  /** One action: a fetch of every domain that the victim holds; its replies are not read. */
  "sync-unread": async (attack, { envelopes }) => {
    const trustDomains = envelopes.map((name) => Buffer.from(name).toString() as TrustDomain);
    const wants = trustDomains.map((trustDomain) => {
      return { trustDomain, above: { epoch: 0, rev: 0, sequence: 0n }, recordId: undefined };
    });
    const fetch = framed(encodeRequest({ kind: "fetch", wants }));
    await onConnections(attack, SYNC_PROTOCOL, async (stream) => {
      stream.pause();
      await attack.paced(async () => await attack.send(stream, fetch));
    });
  },
  /** One action: who are you, asked by whom the victim does not know. */
  identify: async (attack) => {
    await onConnections(attack, IDENTIFY_PROTOCOL, async () => attack.did(0));
  },
};

/** Uses one stream after the other, on one connection after the other. */
async function onConnections(
  attack: ReadyAttack,
  protocol: string,
  use: (stream: Stream) => Promise<void>,
): Promise<void> {
  const rogue = await attack.rogue();
  while (!attack.over) {
    const connection = await attack.connect(rogue);
    if (connection === undefined) continue;
    for (const isOpen = (): boolean => connection.status === "open"; isOpen() && !attack.over;) {
      try {
        await use(await openStream(connection, protocol));
      } catch {
        attack.outcome.refused += 1;
        await sleep(1);
      }
    }
  }
}

async function answer(
  attack: Attack,
  stream: Stream,
  envelopes: readonly Uint8Array[],
  bytes: number,
): Promise<void> {
  const version = { epoch: 0, rev: 0, sequence: FAR_AHEAD };
  const recordIds = [new Uint8Array(32)];
  await answerSync(stream, {
    entries: (names) => names.map((trustDomain) => ({ trustDomain, version, recordIds })),
    give: () => {
      attack.did(bytes);
      return envelopes;
    },
  });
  attack.outcome.refused += 1; // The victim has ended the stream.
}

async function carryOut(orders: Orders, go: Promise<void>): Promise<Done> {
  const { strategy, seed } = orders;
  const run = OWN[strategy] ?? (isStrategy(strategy) ? STRATEGIES[strategy] : undefined);
  if (run === undefined) throw new Error(`no strategy ${strategy}`);
  const hearing = await startRogue({ seed });
  const deaf = await startRogue({ seed, deaf: true });
  process.send?.("ready");
  await go;
  const stopping = new AbortController();
  const { signal } = stopping;
  const options = { ...orders, from: undefined, count: Infinity, signal };
  const attack = new ReadyAttack(options, hearing, deaf);
  const timeUp = setTimeout(() => stopping.abort(), orders.seconds * 1_000);
  const before = process.cpuUsage();
  await run(attack, orders);
  const { user, system } = process.cpuUsage(before);
  clearTimeout(timeUp);
  stopping.abort();
  return { ...attack.outcome, seconds: attack.secondsGone, cpuMs: (user + system) / 1_000 };
}

const go = Promise.withResolvers<void>();
process.once("disconnect", () => process.exit(0)); // Whoever started it is gone.
process.on("message", (said: Orders | "go") => {
  if (said === "go") return go.resolve();
  void tell(said);
});

async function tell(orders: Orders): Promise<void> {
  process.send?.(await carryOut(orders, go.promise));
}
