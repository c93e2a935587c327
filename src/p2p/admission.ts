/**
 * Which nodes may take part. Everybody else is a stranger: identify and ping for a few seconds,
 * never gossip or sync (docs/protocol.md 5).
 */
import type { Ed25519PeerId, PeerId } from "@libp2p/interface";
import { toHex } from "../core/std/bytes.ts";
import { type Rate, TokenBucket } from "../core/std/token-bucket.ts";
import { Conduct } from "./conduct.ts";
import { nodeOfPeerId, peerIdOfNode } from "./node-identity.ts";

/** What one forwarder may make us look at; the mesh repairs what it cost by sync. */
const GOSSIP_RATE: Rate = { perSecond: 20, burst: 100 };
/** Connections that one peer may make: two daemons that dial each other at once, and a restart. */
const CONNECT_RATE: Rate = { perSecond: 1, burst: 16 };
/** Sync requests of one peer: a cold join of 10,000 domains makes 167, of large records 1,260. */
const REQUEST_RATE: Rate = { perSecond: 20, burst: 1_536 };
/**
 * What these may make us look up: a want is one (1.5 ms of store, measured), 8
 * compared domains are one. A cold join of 10,000 domains costs 11,250 and is not slowed, a round
 * that finds nothing 1,250.
 */
const LOOKUP_RATE: Rate = { perSecond: 150, burst: 16_384 };
/** What we send one peer in answers: the 51 MB of a cold join at once, a large one goes on slower. */
const ANSWER_RATE: Rate = { perSecond: 2 * 1024 * 1024, burst: 128 * 1024 * 1024 };
/**
 * Records that one peer gives us in sync and that are of no use: 5 s of verification, then 2 %. It
 * may hold a thousand partners that we refuse; all of them are asked for twice.
 */
const USELESS_RATE: Rate = { perSecond: 20, burst: 2_560 };

/** An admitted node. Lives as long as the admission, so that reconnecting refills no budget. */
export interface Member {
  readonly peerId: Ed25519PeerId;
  readonly conduct: Conduct;
  readonly connectBudget: TokenBucket;
  readonly gossipBudget: TokenBucket;
  readonly requestBudget: TokenBucket;
  readonly lookupBudget: TokenBucket;
  readonly answerBudget: TokenBucket;
  readonly uselessBudget: TokenBucket;
  /** The last answer to it that was begun: the next one waits for it. */
  answering: Promise<unknown>;
  /** Messages of this peer that got the verdict reject. */
  rejected: number;
  /** Messages of this peer beyond its budget, that were not looked at. */
  overBudget: number;
}

export interface AdmissionChange {
  readonly added: readonly Member[];
  readonly removed: readonly Member[];
}

export class Admission {
  readonly #self: PeerId;
  readonly #nowMs: () => number;
  /** By node public key as hex. The caller bounds it: 16 nodes for each pinned trust domain. */
  #members: ReadonlyMap<string, Member> = new Map();

  constructor(self: PeerId, nowMs: () => number) {
    this.#self = self;
    this.#nowMs = nowMs;
  }

  members(): Iterable<Member> {
    return this.#members.values();
  }

  member(peerId: PeerId): Member | undefined {
    const node = nodeOfPeerId(peerId);
    return node && this.#members.get(toHex(node));
  }

  admits(peerId: PeerId): boolean {
    return this.member(peerId) !== undefined;
  }

  /** Replaces the admitted nodes (32-byte public keys); the own one is left out. */
  admit(nodes: readonly Uint8Array[]): AdmissionChange {
    const before = this.#members;
    const after = new Map<string, Member>();
    for (const node of nodes) {
      const key = toHex(node);
      const member = before.get(key) ?? this.#newMember(node);
      if (!member.peerId.equals(this.#self)) after.set(key, member);
    }
    this.#members = after;
    return { added: missingFrom(before, after), removed: missingFrom(after, before) };
  }

  #newMember(node: Uint8Array): Member {
    const nowMs = this.#nowMs();
    return {
      peerId: peerIdOfNode(node),
      conduct: new Conduct(nowMs),
      connectBudget: new TokenBucket(CONNECT_RATE, nowMs),
      gossipBudget: new TokenBucket(GOSSIP_RATE, nowMs),
      requestBudget: new TokenBucket(REQUEST_RATE, nowMs),
      lookupBudget: new TokenBucket(LOOKUP_RATE, nowMs),
      answerBudget: new TokenBucket(ANSWER_RATE, nowMs),
      uselessBudget: new TokenBucket(USELESS_RATE, nowMs),
      answering: Promise.resolve(),
      rejected: 0,
      overBudget: 0,
    };
  }
}

function missingFrom(
  there: ReadonlyMap<string, Member>,
  here: ReadonlyMap<string, Member>,
): readonly Member[] {
  return [...here].filter(([key]) => !there.has(key)).map(([, member]) => member);
}
