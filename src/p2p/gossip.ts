/**
 * Push (docs/protocol.md 5): gossipsub on a topic for records and one for heads, unsigned, as both prove
 * themselves. Each message passes, in this order, its forwarder's budget, the bound on validations under
 * way, the size bound, and the core's verdict, which decides whether it travels on. Budgets and bounds
 * are each topic's own: a flood of one keeps nothing of the other from us.
 *
 * gossipsub drops what it has seen for two minutes. What we leave for reasons of our own is not
 * seen: otherwise whoever forwards a record when nobody looks keeps every other copy of it from us.
 * Nor do we ask anybody for what we would leave, or for a head: there is a newer one soon.
 */
import assert from "node:assert/strict";
import {
  type GossipSub,
  type GossipSubComponents,
  type Message,
  TopicValidatorResult,
} from "@libp2p/gossipsub";
import type { RPC } from "@libp2p/gossipsub/message";
import type { Connection, PeerId } from "@libp2p/interface";
import {
  ENVELOPE_BYTES_MAX,
  HEADS_WAITING_MAX,
  HEAD_BYTES_MAX,
  VALIDATIONS_MAX,
  WANTED_MAX,
} from "../core/std/limits.ts";
import { SHA256_BYTES } from "../core/std/sha256.ts";
import type { PeerNetworkEvents } from "../ports/peer-network.ts";
import type { Admission, Member } from "./admission.ts";
import { GOSSIPSUB, GRAYLIST_THRESHOLD, HEAD_TOPIC, STATE_TOPIC } from "./gossip-options.ts";
import { type GossipRules, GossipsubInside } from "./gossipsub-inside.ts";
import type { PeerNetworkLog } from "./log.ts";
import { readPeerId } from "./node-identity.ts";
import type { Turns } from "./turn.ts";

/** Of score, on the scale where gossipsub stops to listen at −80 and to publish at −50. */
const GRAYLISTED_SCORE = -100;
/** Prices of what an RPC carries, see conduct.ts. */
const MESSAGE_WORK = 2; // Besides its three fields.
const BYTES_A_WORK = 1024;
/** Of a turn: 64 frames are as many as are decoded in 4 to 10 ms (measured). */
const FIELDS_A_FRAME = 128;

type Control = Partial<RPC.ControlMessage>;

/** Messages that were not looked at, and why, since the start. */
export interface GossipCounts {
  overBudget: number;
  overload: number;
}

/** Who gives the verdicts. */
type Judges = Pick<PeerNetworkEvents, "onGossip" | "onGossipHead">;

/** What one topic may take, and what of it waits for a verdict. */
interface Topic {
  readonly bytesMax: number;
  readonly validationsMax: number;
  readonly budgetOf: (member: Member) => Member["gossipBudget"];
  readonly judge: Judges["onGossip"];
  /** Sync brings what we left of it. */
  readonly isRepaired: boolean;
  validating: number;
}

export interface GossipEvents {
  /** A peer has learned that we want what it publishes: what came before is sync's business. */
  onAttached(peerId: PeerId): void;
  /** We left what this peer gossiped. */
  onLeft(peerId: PeerId): void;
}

export interface GossipOptions {
  /** A clock that never goes backwards. */
  readonly nowMs: () => number;
  readonly log: PeerNetworkLog;
  /** For a whole RPC, in milliseconds. */
  readonly rpcDeadlineMs?: number | undefined;
}

export class Gossip {
  readonly counts: GossipCounts = { overBudget: 0, overload: 0 };
  readonly #options: GossipOptions;
  readonly #admission: Admission;
  readonly #turns: Turns;
  readonly #states: Topic;
  readonly #topics: ReadonlyMap<string, Topic>;
  #inside: GossipsubInside | undefined;
  #events: GossipEvents | undefined;

  constructor(options: GossipOptions, admission: Admission, turns: Turns, judges: Judges) {
    this.#options = options;
    this.#admission = admission;
    this.#turns = turns;
    this.#states = {
      bytesMax: ENVELOPE_BYTES_MAX,
      validationsMax: VALIDATIONS_MAX,
      budgetOf: ({ gossipBudget }) => gossipBudget,
      judge: async (...message) => await judges.onGossip(...message),
      isRepaired: true,
      validating: 0,
    };
    const heads: Topic = {
      bytesMax: HEAD_BYTES_MAX,
      validationsMax: HEADS_WAITING_MAX,
      budgetOf: ({ headBudget }) => headBudget,
      judge: async (...message) => await judges.onGossipHead(...message),
      isRepaired: false,
      validating: 0,
    };
    this.#topics = new Map([
      [STATE_TOPIC, this.#states],
      [HEAD_TOPIC, heads],
    ]);
  }

  /** For libp2p's `services`. */
  create(components: GossipSubComponents): GossipSub {
    const scoreParams = {
      ...GOSSIPSUB.scoreParams,
      appSpecificWeight: 1,
      appSpecificScore: (id: string): number => this.#ownScore(id),
    };
    const rules: GossipRules = {
      admits: (peerId) => this.#admission.admits(peerId),
      onBytes: (from, bytes) => this.#charge(from, bytes / BYTES_A_WORK),
      onRpc: (from, fields, rpc) => this.#onRpc(from, fields, rpc),
      onUnseen: async (from, topic, look) => await this.#onUnseen(from, topic, look),
      asksFor: (topic) => this.#topics.get(topic)?.isRepaired === true,
      wants: (id, asked) => this.#wants(id, asked),
      maySend: (id, bytes) =>
        this.#memberOf(id)?.iwantBudget.take(this.#options.nowMs(), bytes) === true,
      onAttached: (peerId) => this.#events?.onAttached(peerId),
    };
    const options = { ...GOSSIPSUB, scoreParams };
    const { rpcDeadlineMs } = this.#options;
    this.#inside = new GossipsubInside(options, components, rules, rpcDeadlineMs);
    const { pubsub } = this.#inside;
    for (const [name, topic] of this.#topics) {
      pubsub.topicValidators.set(
        name,
        async (forwarder, message) => await this.#validate(topic, forwarder, message),
      );
    }
    return pubsub;
  }

  /** Once libp2p has started. */
  start(events: GossipEvents): void {
    this.#events = events;
    for (const name of this.#topics.keys()) this.#inside?.pubsub.subscribe(name);
  }

  /** Opens the outbound gossip stream to a connected, admitted peer, unless there is one. */
  attach(peerId: PeerId, connection: Connection): void {
    this.#inside?.streams.attach(peerId, connection);
  }

  detach(peerId: PeerId): void {
    this.#inside?.streams.detach(peerId);
  }

  /** Never rejects for want of peers: whoever misses it is repaired by sync. */
  async publish(envelope: Uint8Array): Promise<void> {
    assert(envelope.length <= ENVELOPE_BYTES_MAX, "the core bounds envelopes");
    await this.#inside?.pubsub.publish(STATE_TOPIC, envelope);
  }

  /** Never rejects for want of peers. */
  async publishHead(envelope: Uint8Array): Promise<void> {
    assert(envelope.length <= HEAD_BYTES_MAX, "the core bounds heads");
    await this.#inside?.pubsub.publish(HEAD_TOPIC, envelope);
  }

  /** Whether gossip of this peer is not looked at now. */
  graylists(peerId: PeerId): boolean {
    return (
      this.#admission.member(peerId)?.conduct.graylisted(this.#options.nowMs()) === true ||
      (this.#inside?.pubsub.getScore(peerId.toString()) ?? 0) < GRAYLIST_THRESHOLD
    );
  }

  #ownScore(id: string): number {
    const graylisted = this.#memberOf(id)?.conduct.graylisted(this.#options.nowMs()) === true;
    return graylisted ? GRAYLISTED_SCORE : 0;
  }

  #memberOf(id: string): Member | undefined {
    const peerId = readPeerId(id);
    return peerId && this.#admission.member(peerId);
  }

  /** To whichever of its trust domains has the better conduct now. */
  #charge(from: PeerId, work: number): void {
    this.#admission.member(from)?.conduct.onWork(work, this.#options.nowMs());
  }

  #onRpc(from: PeerId, fields: number, rpc: RPC | undefined): boolean {
    this.#charge(from, fields + (rpc?.messages.length ?? 0) * MESSAGE_WORK);
    const nowMs = this.#options.nowMs();
    const member = this.#admission.member(from);
    if (member === undefined) return false; // No longer admitted.
    const { conduct } = member;
    this.#turns.of(member).spend(0, fields / FIELDS_A_FRAME);
    if (rpc?.messages.length === 0) conduct.onControl(nowMs);
    if (conduct.barred(nowMs) || conduct.graylisted(nowMs)) return false;
    if (rpc !== undefined && hasOurIds(rpc)) return true;
    this.#reject(member);
    return false;
  }

  /** Of a topic that is not ours nothing comes, and it is paid for like a record. */
  async #onUnseen(from: PeerId, name: string, look: () => Promise<void>): Promise<void> {
    const topic = this.#topics.get(name) ?? this.#states;
    if (!this.#mayLook(from, topic)) return;
    topic.validating += 1;
    try {
      await look();
    } finally {
      topic.validating -= 1;
    }
  }

  #mayLook(forwarder: PeerId, topic: Topic): boolean {
    const member = this.#admission.member(forwarder);
    if (member === undefined) return false; // No longer admitted.
    const nowMs = this.#options.nowMs();
    if (!topic.budgetOf(member).take(nowMs)) {
      this.counts.overBudget += 1;
      member.overBudget += 1;
      member.conduct.onOverBudget(nowMs);
      this.#onLeft(forwarder, topic); // Its own news may be among what it forwards of others.
      return false;
    }
    if (topic.validating === topic.validationsMax) {
      this.counts.overload += 1;
      this.#onLeft(forwarder, topic);
      return false;
    }
    return true;
  }

  #onLeft(forwarder: PeerId, { isRepaired }: Topic): void {
    if (isRepaired) this.#events?.onLeft(forwarder);
  }

  /** What was asked for may not have come yet. */
  #wants(id: string, asked: number): number {
    const left = this.#memberOf(id)?.gossipBudget.left(this.#options.nowMs()) ?? 0;
    return Math.min(left, WANTED_MAX, VALIDATIONS_MAX - this.#states.validating) - asked;
  }

  async #validate(
    topic: Topic,
    forwarder: PeerId,
    { data }: Message,
  ): Promise<TopicValidatorResult> {
    const member = this.#admission.member(forwarder);
    if (member === undefined) return TopicValidatorResult.Ignore; // No longer admitted.
    if (data.length > topic.bytesMax) {
      this.#reject(member);
      return TopicValidatorResult.Reject;
    }
    try {
      // A copy: what the core keeps of it must not keep a whole RPC of a peer in memory.
      const verdict = await topic.judge(new Uint8Array(data), forwarder.toString());
      if (verdict === "reject") this.#reject(member);
      if (verdict === "unjudged") {
        this.#inside?.forget(data);
        this.#onLeft(forwarder, topic);
      }
      return VERDICTS[verdict];
    } catch (error) {
      this.#options.log("error", "gossip: no verdict", { reason: String(error) });
      return TopicValidatorResult.Ignore;
    }
  }

  #reject(member: Member): void {
    member.rejected += 1;
    member.conduct.onInvalid(this.#options.nowMs());
  }
}

/** gossipsub bounds how many ids there are, and makes text of each, however long. */
function hasOurIds({ control }: RPC): boolean {
  return idsOf(control).every((ids) => ids.every(({ length }) => length === SHA256_BYTES));
}

/** Message ids, by entry. */
function idsOf({ ihave = [], iwant = [], idontwant = [] }: Control = {}): readonly Uint8Array[][] {
  return [...ihave, ...iwant, ...idontwant].map(({ messageIDs }) => messageIDs);
}

const VERDICTS = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
  unjudged: TopicValidatorResult.Ignore,
} as const;
