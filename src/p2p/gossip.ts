/**
 * Push (docs/protocol.md 5): gossipsub on one topic, unsigned, as records prove themselves. Each
 * message passes, in this order, its forwarder's budget, the bound on validations under way, the
 * size bound, and the core's verdict, which decides whether it travels on.
 *
 * gossipsub drops what it has seen for two minutes. What we leave for reasons of our own is not
 * seen: otherwise whoever forwards a record when nobody looks keeps every other copy of it from us.
 *
 * gossipsub is given a registrar of ours in place of libp2p's: it sees streams of admitted peers
 * only, and learns of a peer when we attach it. So a stranger costs it nothing, a peer that is
 * admitted while connected joins in place, and a stream that broke is opened again.
 */
import assert from "node:assert/strict";
import {
  type GossipSub,
  type GossipSubComponents,
  type Message,
  TopicValidatorResult,
  gossipsub,
} from "@libp2p/gossipsub";
import type { Connection, PeerId, Stream, Topology } from "@libp2p/interface";
import { toHex } from "../core/std/bytes.ts";
import { ENVELOPE_BYTES_MAX } from "../core/std/limits.ts";
import { sha256 } from "../core/std/sha256.ts";
import type { Verdict } from "../ports/peer-network.ts";
import type { Admission, Member } from "./admission.ts";
import { GOSSIPSUB, GRAYLIST_THRESHOLD, STATE_TOPIC } from "./gossip-options.ts";
import type { PeerNetworkLog } from "./log.ts";
import { LengthPrefixes } from "./length-prefixes.ts";
import { readPeerId } from "./node-identity.ts";

/** Validations waiting for the core. Above: left, the forwarder is asked for a round of sync. */
const VALIDATIONS_MAX = 256;
/**
 * The shortest RPC of our topics has 25. Each costs 4 µs and more, so empty ones of a byte would be
 * the cheapest way to keep us busy. Below: the stream ends before they are looked at.
 */
const RPC_BYTES_MIN = 8;
/** Of score, on the scale where gossipsub stops to listen at −80 and to publish at −50. */
const GRAYLISTED_SCORE = -100;
/** Prices of what an RPC carries, see conduct.ts. */
const MESSAGE_WORK = 4;
const BYTES_A_WORK = 1024;
/** Messages that were not looked at, and why, since the start. */
export interface GossipCounts {
  overBudget: number;
  overload: number;
}

/**
 * The core's verdict; `unjudged` when it did not look, for reasons of its own: the record is taken
 * from whoever brings it next, and its forwarder is asked for a round of sync.
 */
type OnGossip = (envelope: Uint8Array, peerId: string) => Promise<Verdict | "unjudged">;

export interface GossipEvents {
  /** A peer has learned that we want what it publishes: what came before is sync's business. */
  onAttached(peerId: PeerId): void;
  /** We left what this peer gossiped, and not for anything it did. */
  onLeft(peerId: PeerId): void;
}

export interface GossipOptions {
  /** A clock that never goes backwards. */
  readonly nowMs: () => number;
  readonly log: PeerNetworkLog;
}

export class Gossip {
  readonly counts: GossipCounts = { overBudget: 0, overload: 0 };
  readonly #options: GossipOptions;
  readonly #admission: Admission;
  readonly #onGossip: OnGossip;
  /** What gossipsub wants to be told about peers. The same object for each of its protocols. */
  readonly #topologies = new Set<Topology>();
  #pubsub: MeshGossip | undefined;
  #events: GossipEvents | undefined;
  #validating = 0;

  constructor(options: GossipOptions, admission: Admission, onGossip: OnGossip) {
    this.#options = options;
    this.#admission = admission;
    this.#onGossip = onGossip;
  }

  /** For libp2p's `services`. */
  create(components: GossipSubComponents): GossipSub {
    const { privateKey, peerId, peerStore, connectionManager, logger } = components;
    const registrar = this.#admittedOnly(components.registrar);
    const parts = { privateKey, peerId, peerStore, registrar, connectionManager, logger };
    const scoreParams = {
      ...GOSSIPSUB.scoreParams,
      appSpecificWeight: 1,
      appSpecificScore: (id: string): number => this.#ownScore(id),
    };
    const pubsub = withInsides(gossipsub({ ...GOSSIPSUB, scoreParams })(parts));
    this.#pubsub = pubsub;
    this.#meterRpcs(pubsub);
    this.#leaveMessages(pubsub);
    pubsub.topicValidators.set(
      STATE_TOPIC,
      async (forwarder, message) => await this.#validate(forwarder, message),
    );
    return pubsub;
  }

  /** Once libp2p has started. */
  start(events: GossipEvents): void {
    this.#events = events;
    this.#pubsub?.subscribe(STATE_TOPIC);
  }

  /** Opens the outbound gossip stream to a connected, admitted peer, unless there is one. */
  attach(peerId: PeerId, connection: Connection): void {
    const careful = this.#watched(connection);
    for (const topology of this.#topologies) void topology.onConnect?.(peerId, careful);
  }

  detach(peerId: PeerId): void {
    for (const topology of this.#topologies) void topology.onDisconnect?.(peerId);
  }

  /** Never rejects for want of peers: whoever misses it is repaired by sync. */
  async publish(envelope: Uint8Array): Promise<void> {
    assert(envelope.length <= ENVELOPE_BYTES_MAX, "the core bounds envelopes");
    await this.#pubsub?.publish(STATE_TOPIC, envelope);
  }

  /** Whether gossip of this peer is not looked at now. */
  graylists(peerId: PeerId): boolean {
    return (
      this.#admission.member(peerId)?.conduct.graylisted(this.#options.nowMs()) === true ||
      (this.#pubsub?.getScore(peerId.toString()) ?? 0) < GRAYLIST_THRESHOLD
    );
  }

  #ownScore(id: string): number {
    const peerId = readPeerId(id);
    const conduct = peerId && this.#admission.member(peerId)?.conduct;
    return conduct?.graylisted(this.#options.nowMs()) === true ? GRAYLISTED_SCORE : 0;
  }

  /**
   * Charges each RPC to its sender, before gossipsub does anything with it: repeated messages and
   * control entries never come to the validator.
   */
  #meterRpcs(pubsub: MeshGossip): void {
    const handle = pubsub.handleReceivedRpc.bind(pubsub);
    pubsub.handleReceivedRpc = async (from, rpc) => {
      const conduct = this.#admission.member(from)?.conduct;
      const nowMs = this.#options.nowMs();
      conduct?.onWork(workOf(rpc), nowMs);
      if (conduct === undefined || conduct.barred(nowMs) || conduct.graylisted(nowMs)) return;
      await handle(from, rpc);
    };
  }

  /**
   * Decides what is looked at before gossipsub takes it for seen, which it does ahead of the
   * validator. Copies of what was seen are only counted by gossipsub, and cost no budget.
   */
  #leaveMessages(pubsub: MeshGossip): void {
    const handle = pubsub.handleReceivedMessage.bind(pubsub);
    pubsub.handleReceivedMessage = async (from, message) => {
      if (pubsub.seenCache.has(messageId(message.data))) return await handle(from, message);
      if (!this.#mayLook(from)) return;
      this.#validating += 1;
      try {
        await handle(from, message);
      } finally {
        this.#validating -= 1;
      }
    };
  }

  #mayLook(forwarder: PeerId): boolean {
    const member = this.#admission.member(forwarder);
    if (member === undefined) return false; // No longer admitted.
    const nowMs = this.#options.nowMs();
    if (!member.gossipBudget.take(nowMs)) {
      this.counts.overBudget += 1;
      member.overBudget += 1;
      member.conduct.onOverBudget(nowMs);
      return false;
    }
    if (this.#validating === VALIDATIONS_MAX) {
      this.counts.overload += 1;
      this.#events?.onLeft(forwarder);
      return false;
    }
    return true;
  }

  async #validate(forwarder: PeerId, { data }: Message): Promise<TopicValidatorResult> {
    const member = this.#admission.member(forwarder);
    if (member === undefined) return TopicValidatorResult.Ignore; // No longer admitted.
    if (data.length > ENVELOPE_BYTES_MAX) {
      this.#reject(member);
      return TopicValidatorResult.Reject;
    }
    try {
      // A copy: what the core keeps of it must not keep a whole RPC of a peer in memory.
      const verdict = await this.#onGossip(new Uint8Array(data), forwarder.toString());
      if (verdict === "reject") this.#reject(member);
      if (verdict === "unjudged") {
        this.#pubsub?.seenCache.entries.delete(messageId(data));
        this.#events?.onLeft(forwarder);
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

  /** What cannot be decoded, too, costs its sender. Sees all before gossipsub does. */
  #meterBytes(stream: Stream, { conduct }: Member): void {
    const rpcs = new LengthPrefixes();
    stream.addEventListener("message", (event) => {
      conduct.onWork(event.data.byteLength / BYTES_A_WORK, this.#options.nowMs());
      if (rpcs.shortest(event.data.subarray()) >= RPC_BYTES_MIN) return;
      event.stopImmediatePropagation();
      stream.abort(new Error("an RPC too short to say anything"));
    });
  }

  /**
   * The connection as gossipsub gets it. A peer that does not admit us resets the stream while it is
   * being opened; gossipsub listens for that only after `newStream` resolved, so it would keep the
   * dead stream for good and never open another (seen in 17.1.1).
   */
  #watched(connection: Connection): Connection {
    const newStream: Connection["newStream"] = async (protocols, options) => {
      const stream = await connection.newStream(protocols, options);
      if (stream.status !== "open") throw new Error("the peer closed the stream at once");
      // gossipsub sends our subscription before anything else happens.
      setImmediate(() => this.#events?.onAttached(connection.remotePeer));
      return stream;
    };
    return Object.create(connection, { newStream: { value: newStream } }) as Connection;
  }

  #admittedOnly(registrar: Registrar): Registrar {
    return {
      handle: async (protocol, handler, options) => {
        await registrar.handle(
          protocol,
          (stream, connection) => {
            const member = this.#admission.member(connection.remotePeer);
            if (member === undefined) return stream.abort(new Error("not admitted"));
            this.#meterBytes(stream, member);
            return handler(stream, this.#watched(connection));
          },
          options,
        );
      },
      register: async (protocol, topology) => {
        this.#topologies.add(topology);
        return protocol;
      },
      unregister: () => this.#topologies.clear(),
      unhandle: async (protocol, options) => await registrar.unhandle(protocol, options),
      getProtocols: () => registrar.getProtocols(),
      getHandler: (protocol) => registrar.getHandler(protocol),
      getTopologies: (protocol) => registrar.getTopologies(protocol),
      use: (protocol, middleware) => registrar.use(protocol, middleware),
      unuse: (protocol) => registrar.unuse(protocol),
      getMiddleware: (protocol) => registrar.getMiddleware(protocol),
    };
  }
}

type Registrar = GossipSubComponents["registrar"];

/** What of an RPC has a price. */
interface Rpc {
  readonly subscriptions: readonly unknown[];
  readonly messages: readonly unknown[];
  readonly control?: Readonly<
    Record<string, readonly { readonly messageIDs?: readonly unknown[] }[]>
  >;
}

/** With insides of gossipsub's class that the interface of its factory does not declare. */
interface MeshGossip extends GossipSub {
  handleReceivedRpc(from: PeerId, rpc: Rpc): Promise<void>;
  handleReceivedMessage(from: PeerId, message: { readonly data?: Uint8Array }): Promise<void>;
  /** By message id as text. */
  readonly seenCache: { has(id: string): boolean; readonly entries: Map<string, unknown> };
  getScore(id: string): number;
}

function withInsides(pubsub: GossipSub): MeshGossip {
  const insides = ["handleReceivedRpc", "handleReceivedMessage", "getScore", "seenCache"];
  assert(
    insides.every((each) => each in pubsub),
    "another gossipsub than 17.1.1",
  );
  return pubsub as MeshGossip;
}

function messageId(data: Uint8Array = new Uint8Array()): string {
  return toHex(sha256(data));
}

function workOf({ subscriptions, messages, control = {} }: Rpc): number {
  const entries = Object.values(control).flat();
  const ids = entries.reduce((sum, { messageIDs = [] }) => sum + messageIDs.length, 0);
  return 1 + subscriptions.length + messages.length * MESSAGE_WORK + entries.length + ids;
}

const VERDICTS = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
  unjudged: TopicValidatorResult.Ignore,
} as const;
