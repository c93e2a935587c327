/**
 * Which nodes may take part. Everybody else is a stranger: identify and ping for a few seconds,
 * never gossip or sync (docs/protocol.md 5).
 */
import type { Ed25519PeerId, PeerId } from "@libp2p/interface";
import { toHex } from "../core/std/bytes.ts";
import { nodeOfPeerId, peerIdOfNode } from "./node-identity.ts";
import { type Rate, TokenBucket } from "./token-bucket.ts";

/** What one forwarder may make us look at; the mesh repairs what it cost by sync. */
const GOSSIP_RATE: Rate = { perSecond: 20, burst: 100 };
/** Sync requests we answer one peer: a cold join asks about 8 times a second for 64 records. */
const SYNC_RATE: Rate = { perSecond: 20, burst: 200 };

/** An admitted node. Lives as long as the admission, so that reconnecting refills no budget. */
export interface Member {
  readonly peerId: Ed25519PeerId;
  readonly gossipBudget: TokenBucket;
  readonly syncBudget: TokenBucket;
  /** Messages of this peer that got the verdict reject. */
  rejected: number;
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
      gossipBudget: new TokenBucket(GOSSIP_RATE, nowMs),
      syncBudget: new TokenBucket(SYNC_RATE, nowMs),
      rejected: 0,
    };
  }
}

function missingFrom(
  there: ReadonlyMap<string, Member>,
  here: ReadonlyMap<string, Member>,
): readonly Member[] {
  return [...here].filter(([key]) => !there.has(key)).map(([, member]) => member);
}
