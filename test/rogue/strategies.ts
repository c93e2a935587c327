/**
 * What a hostile peer may do, each by its name. Those of gossip and sync need a member's key; the
 * others work for everybody. Bounded by the attack's time and count.
 */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection, MessageStream, Stream } from "@libp2p/interface";
import { encodeCbor } from "../../src/core/std/cbor.ts";
import { encodeRequest } from "../../src/p2p/sync-frames.ts";
import { SYNC_PROTOCOL } from "../../src/p2p/sync.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import type { Attack, Strategy } from "./attack.ts";
import * as rpcs from "./gossip-rpcs.ts";
import { compareRequest, wantedRequest } from "./sync-answers.ts";
import { GOSSIP_PROTOCOL, type Rogue, openStream } from "./rogue-node.ts";
import { YAMUX, yamuxHeader } from "./yamux-header.ts";

const BATCH = 64;
const LONG_WAIT_MS = 600_000;

/** Holds a gossip stream open and sends into it; opens it anew when the victim closes it. */
function gossiping(next: (index: number) => Uint8Array): Strategy {
  return async (attack) => {
    let index = 0;
    await streaming(attack, GOSSIP_PROTOCOL, async (stream) => {
      await attack.send(stream, rpcs.subscription());
      await attack.paced(async () => await attack.send(stream, next((index += 1))));
    });
  };
}

/** A few that are made beforehand, so that they cost the attacker nothing. */
function inTurn(make: () => Uint8Array): (index: number) => Uint8Array {
  const made: Uint8Array[] = [];
  return (index) => (made[index % BATCH] ??= make());
}

async function streaming(
  attack: Attack,
  protocol: string,
  use: (stream: Stream, connection: Connection) => Promise<void>,
): Promise<void> {
  const rogue = await attack.rogue();
  while (!attack.over) {
    const connection = await attack.connect(rogue);
    if (connection === undefined) continue;
    for (const isOpen = (): boolean => connection.status === "open"; isOpen() && !attack.over;) {
      try {
        await use(await openStream(connection, protocol), connection);
      } catch {
        attack.outcome.refused += 1;
        await sleep(BATCH);
      }
    }
  }
}

/** Sends one frame on a new sync stream after the other, and reads what comes. */
function asking(frame: () => Uint8Array): Strategy {
  return async (attack) => {
    await streaming(attack, SYNC_PROTOCOL, async (stream) => {
      let replies = 0;
      stream.addEventListener("message", () => (replies += 1));
      await attack.paced(async () => {
        const before = replies;
        if (!(await attack.send(stream, rpcs.framed(frame())))) return false;
        await attack.until(() => replies > before || stream.status !== "open");
        return stream.status === "open";
      });
    });
  };
}

/** Raw TCP connections, held open; many at once. */
function dialing(say: readonly Uint8Array[], atOnce: number): Strategy {
  return async (attack) => {
    const { address, from } = attack.options;
    const [, host = "", port = ""] = /^\/ip4\/([^/]+)\/tcp\/(\d+)/.exec(address) ?? [];
    let open = 0;
    await attack.paced(async () => {
      await attack.until(() => open < atOnce);
      open += 1;
      const socket = connect({ host, port: Number(port), ...(from && { localAddress: from }) });
      socket.on("error", () => (attack.outcome.refused += 1));
      socket.on("connect", () => {
        attack.outcome.connections += 1;
        for (const bytes of say) socket.write(bytes);
      });
      socket.on("close", () => {
        open -= 1;
      });
      socket.setTimeout(LONG_WAIT_MS);
      attack.options.signal.addEventListener("abort", () => socket.destroy(), { once: true });
      attack.did(say.reduce((sum, { length }) => sum + length, 0));
      return true;
    });
  };
}

/** Frames below the streams, or what lies below those; so many sends an action. */
function framing(
  startingAnew: () => () => Uint8Array,
  under: (rogue: Rogue) => MessageStream = (rogue) => rogue.decrypted(),
  sends = 1,
): Strategy {
  return async (attack) => {
    const rogue = await attack.rogue({ deaf: true });
    while (!attack.over) {
      const connection = await attack.connect(rogue);
      if (connection === undefined) continue;
      const stream = under(rogue);
      const next = startingAnew();
      await attack.paced(async () => {
        for (let sent = 0; sent < sends; sent += 1) {
          if (!(await attack.send(stream, next()))) return false;
        }
        return true;
      });
    }
  };
}

function multistream(protocol: string): Uint8Array {
  return rpcs.framed(Buffer.from(`${protocol}\n`));
}

const names = (count: number): TrustDomain[] =>
  Array.from(
    { length: count },
    (_, index) => `d${String(index).padStart(5, "0")}.test` as TrustDomain,
  );

const KIB = 1024;

export const STRATEGIES = {
  /** One action: a message that no honest node sends. */
  "invalid-messages": gossiping(() => rpcs.message(randomBytes(200))),
  /** One action: a message of a trust domain that nobody wants, in the words of the compliance suite. */
  "ignored-messages": gossiping((index) =>
    rpcs.message(Buffer.from(`nobody.test ${index} ${randomBytes(8).toString("hex")}`)),
  ),
  "oversize-messages": gossiping(() => rpcs.message(randomBytes(129 * KIB))),
  /** One action: an RPC with the same message 1,000 times. */
  "repeated-messages": gossiping(() => rpcs.repeated(1_000)),
  /** One action: 64 KiB of RPCs of one byte. */
  "empty-rpcs": gossiping(() => rpcs.emptyRpcs(64 * KIB)),
  "undecodable-rpcs": gossiping(() => rpcs.undecodable(64 * KIB)),
  "oversize-rpcs": gossiping(() => rpcs.varint(2 * KIB * KIB)),
  "half-rpc": gossiping((index) => (index === 1 ? rpcs.varint(KIB) : new Uint8Array())),
  ihave: gossiping(inTurn(() => rpcs.ihave(1_000))),
  iwant: gossiping(inTurn(() => rpcs.iwant(1_000))),
  idontwant: gossiping(inTurn(() => rpcs.idontwant(500))),
  "graft-prune": gossiping(() => rpcs.graftAndPrune()),
  subscriptions: gossiping(() => rpcs.subscriptions(1_000)),

  /** One action: a head of a trust domain that nobody wants, in the words of the compliance suite. */
  "head-flood": gossiping((index) => rpcs.head(Buffer.from(`ignore ${index}`))),

  "sync-junk": asking(() =>
    Buffer.concat([Buffer.from([0x84, 1, 0, 1, 0x9a, 0, 4, 0, 0]), Buffer.alloc(256 * KIB, 0x80)]),
  ),
  "sync-equal-wants": asking(() => {
    const want = ["alpha.test", [0, 0, 0], new Uint8Array()];
    return encodeCbor([9, Array.from({ length: 64 }, () => want)]);
  }),
  "sync-fetches": asking(() =>
    encodeRequest({
      kind: "fetch",
      wants: names(64).map((trustDomain) => ({
        trustDomain,
        above: { epoch: 0, rev: 0, sequence: 0n },
        recordId: undefined,
      })),
    }),
  ),
  "sync-compares": asking(() => compareRequest()),
  /** One action: another set of what it wants, all of it in one frame. */
  "sync-wanted": async (attack) => {
    const sets = [1_023, 1_024].map((count) => wantedRequest(names(count)));
    let said = 0;
    await asking(() => sets[(said += 1) % 2] ?? new Uint8Array())(attack);
  },
  /** One action: a sync stream on which half a frame comes, and no more. */
  "sync-stall": async (attack) => {
    await streaming(attack, SYNC_PROTOCOL, async (stream) => {
      await attack.send(stream, Uint8Array.of(0x20, 0x83));
    });
  },
  /** One action: a stream that is opened and left. */
  "many-streams": async (attack) => {
    await streaming(attack, "/ipfs/ping/1.0.0", async () => attack.did(0));
  },
  /** One action: a stream that is opened and reset, below the multiplexer. */
  "stream-churn": framing(() => {
    let streamId = 1;
    return () => {
      const frames = Array.from({ length: BATCH }, () => {
        streamId += 2;
        return [
          yamuxHeader(YAMUX.windowUpdate, YAMUX.syn, streamId, 0),
          yamuxHeader(YAMUX.windowUpdate, YAMUX.rst, streamId, 0),
        ];
      });
      return Buffer.concat(frames.flat());
    };
  }),
  /** One action: 64 pings of the multiplexer. */
  "yamux-pings": framing(() => {
    const ping = yamuxHeader(YAMUX.ping, YAMUX.syn, 0, 7);
    const pings = Buffer.concat(Array.from({ length: BATCH }, () => ping));
    return () => pings;
  }),
  /** One action: 64 KiB of a frame that was announced with 4 GiB. */
  "endless-frame": framing(() => {
    let next = yamuxHeader(YAMUX.data, YAMUX.syn, 1, 2 ** 32 - 1);
    return () => {
      const bytes = next;
      next = Buffer.alloc(64 * KIB);
      return bytes;
    };
  }),

  /** One action: a stream on which protocols are proposed that nobody has, in 2 KiB. */
  "endless-negotiation": framing(() => {
    let streamId = 1;
    return () => {
      streamId += 2;
      const lines = Array.from({ length: 512 }, () => multistream("x"));
      const body = Buffer.concat([multistream("/multistream/1.0.0"), ...lines]);
      return Buffer.concat([yamuxHeader(YAMUX.data, YAMUX.syn, streamId, body.length), body]);
    };
  }),
  /** One action: 512 Noise messages of length 0. */
  "noise-zeros": framing(
    () => () => Buffer.alloc(KIB),
    (rogue) => rogue.encrypted(),
  ),
  /** One action: 64 bytes of a frame, each in a Noise message of its own. */
  "noise-pieces": framing(
    () => {
      let next = yamuxHeader(YAMUX.data, YAMUX.syn, 1, 1024 * KIB);
      return () => {
        const bytes = next;
        next = Buffer.alloc(1);
        return bytes;
      };
    },
    undefined,
    BATCH,
  ),

  /** One action: a TCP connection that says nothing. */
  "half-open": dialing([], 1_000),
  /** One action: a TCP connection that stops within Noise. */
  "half-noise": dialing(
    [multistream("/multistream/1.0.0"), multistream("/noise"), Uint8Array.of(0, 32, 1)],
    1_000,
  ),
  /** One action: a TCP connection with 1 MiB of noise. */
  "tcp-garbage": dialing([randomBytes(KIB * KIB)], 100),
  /** One action: a whole connection that is closed at once. */
  "connect-churn": async (attack) => {
    const rogue = await attack.rogue();
    await attack.paced(async () => {
      attack.did(0);
      const connection = await attack.connect(rogue, true);
      connection?.abort(new Error("churn"));
      return true;
    });
  },
  /** One action: one more connection with the same key. */
  "same-key": async (attack) => {
    const rogue = await attack.rogue();
    await attack.paced(async () => {
      attack.did(0);
      await attack.connect(rogue);
      return true;
    });
  },
  /** One action: a connection with a key of its own. */
  strangers: async (attack) => {
    await attack.paced(async () => {
      attack.did(0);
      await attack.connect(await attack.rogue({ seed: randomBytes(32) }));
      return true;
    });
  },
} as const satisfies Record<string, Strategy>;

export type StrategyName = keyof typeof STRATEGIES;

export function isStrategy(name: string): name is StrategyName {
  return Object.hasOwn(STRATEGIES, name);
}
