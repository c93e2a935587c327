/**
 * All that we change of gossipsub behind its streams (gossip-streams.ts): the places where it asks
 * nobody, in the order in which an RPC passes them. What is decided there is gossip.ts; what happens
 * without each, which test shows it and when it may go is
 * docs/decisions/0010-around-gossipsub-and-yamux.md.
 *
 *     stream ──▶ lengths ──▶ fields ──▶ RPC ──┬──▶ message ──▶ seen ──▶ validator
 *     admitted?  not too     not too    may   │    look at it?
 *                large?      many?      it?   └──▶ IHAVE ──▶ IWANT    RPC ──▶ split ──▶ stream
 *                                                  how many?
 *
 * Its class is not exported, so each method is replaced on the one object that there is, by one that
 * calls it.
 */
import assert from "node:assert/strict";
import { type GossipSub, type GossipSubComponents, gossipsub } from "@libp2p/gossipsub";
import type { RPC } from "@libp2p/gossipsub/message";
import type { Connection, PeerId } from "@libp2p/interface";
import { toHex } from "../core/std/bytes.ts";
import { sha256 } from "../core/std/sha256.ts";
import { MESSAGES_BYTES_MAX, MESSAGE_FRAME_BYTES } from "./gossip-options.ts";
import { GossipStreams, type StreamRules } from "./gossip-streams.ts";
import { RPC_FIELDS_MAX, countRpcFields } from "./rpc-fields.ts";

/** The version that was read for this. An update is read again, place by place. */
export const GOSSIPSUB_VERSION = "17.1.1";
/** For which a peer may want to be left out of our mesh: ten times what ours say. Above: for that long. */
const PRUNE_BACKOFF_S_MAX = 600;

/** What we decide where gossipsub asks nobody. */
export interface GossipRules extends StreamRules {
  /** Whether anything of the RPC is looked at; undefined is one that cannot be. `fields`: at all depths. */
  onRpc(from: PeerId, fields: number, rpc: RPC | undefined): boolean;
  /** A message came that was not seen. Does `look`, or leaves it to come again. */
  onUnseen(from: PeerId, topic: string, look: () => Promise<void>): Promise<void>;
  /** Whether we ask for what a peer has on the topic. */
  asksFor(topic: string): boolean;
  /** How many more of the messages that it has we want of a peer; `asked` since the heartbeat. */
  wants(peerId: string, asked: number): number;
  /** Whether a peer that asked for a message gets so many bytes more of us. */
  maySend(peerId: string, bytes: number): boolean;
}

/** With what the type of its factory does not declare. */
interface Inside extends GossipSub {
  decodeRpc(bytes: Uint8Array): RPC;
  handleReceivedRpc(from: PeerId, rpc: RPC): Promise<void>;
  handleReceivedMessage(from: PeerId, message: RPC.Message): Promise<void>;
  /** Returns one entry or none. */
  handleIHave(peerId: string, ihave: readonly RPC.ControlIHave[]): RPC.ControlIWant[];
  /** Returns the messages that the peer gets. */
  handleIWant(peerId: string, iwant: readonly RPC.ControlIWant[]): RPC.Message[];
  handleGraft(peerId: string, graft: readonly RPC.ControlGraft[]): Promise<RPC.ControlPrune[]>;
  handlePrune(peerId: string, prune: readonly RPC.ControlPrune[]): Promise<void>;
  createOutboundStream(peerId: PeerId, connection: Connection): Promise<void>;
  /** Whether it was sent. */
  sendRpc(peerId: string, rpc: RPC): boolean;
  getScore(peerId: string): number;
  /** How many messages a peer was asked for since the heartbeat, by its id. */
  readonly iasked: Map<string, number>;
  /** By topic, the ids of peers; and until when each is not grafted, in milliseconds since 1970. */
  readonly mesh: Map<string, Set<string>>;
  readonly backoff: Map<string, Map<string, number>>;
  /** By message id as text. */
  readonly seenCache: { has(id: string): boolean; readonly entries: Map<string, unknown> };
}

const INSIDES = [
  "decodeRpc",
  "handleReceivedRpc",
  "handleReceivedMessage",
  "handleIHave",
  "handleIWant",
  "handleGraft",
  "handlePrune",
  "createOutboundStream",
  "sendRpc",
  "getScore",
  "iasked",
  "seenCache",
  "mesh",
  "backoff",
] as const satisfies readonly (keyof Inside)[];

export class GossipsubInside {
  readonly pubsub: Inside;
  readonly streams: GossipStreams;
  readonly #rules: GossipRules;
  /** Of what was decoded, or stands for what could not be. */
  readonly #fields = new WeakMap<RPC, { readonly count: number; readonly isRefused: boolean }>();

  constructor(
    options: Parameters<typeof gossipsub>[0],
    components: GossipSubComponents,
    rules: GossipRules,
    rpcDeadlineMs?: number,
  ) {
    this.#rules = rules;
    this.streams = new GossipStreams(rules, rpcDeadlineMs);
    const { privateKey, peerId, peerStore, connectionManager, logger } = components;
    const registrar = this.streams.admittedOnly(components.registrar);
    const parts = { privateKey, peerId, peerStore, registrar, connectionManager, logger };
    this.pubsub = withInsides(gossipsub(options)(parts));
    this.#countFields();
    this.#askForRpcs();
    this.#askForMessages();
    this.#askForWants();
    this.#askForAnswers();
    this.#askForGrafts();
    this.#askForPrunes();
    this.#splitRpcs();
    this.#openAtOnce();
  }

  /** The message is looked at again, whoever brings it. */
  forget(data: Uint8Array): void {
    this.pubsub.seenCache.entries.delete(messageId(data));
  }

  /** gossipsub would decode whatever comes, and leave it unseen when that fails. */
  #countFields(): void {
    const { pubsub } = this;
    const decode = pubsub.decodeRpc.bind(pubsub);
    pubsub.decodeRpc = (bytes) => {
      const { count, isMalformed } = countRpcFields(bytes);
      let rpc: RPC = { subscriptions: [], messages: [] };
      let isRefused = isMalformed || count > RPC_FIELDS_MAX;
      try {
        if (!isRefused) rpc = decode(bytes);
      } catch {
        isRefused = true; // More entries of a kind than it takes.
      }
      this.#fields.set(rpc, { count, isRefused });
      return rpc;
    };
  }

  /** gossipsub would ask the validator for messages only: not for copies of them, not for control. */
  #askForRpcs(): void {
    const { pubsub } = this;
    const handle = pubsub.handleReceivedRpc.bind(pubsub);
    pubsub.handleReceivedRpc = async (from, rpc) => {
      const { count = 0, isRefused = false } = this.#fields.get(rpc) ?? {};
      if (this.#rules.onRpc(from, count, isRefused ? undefined : rpc)) await handle(from, rpc);
    };
  }

  /** gossipsub takes a message for seen before it asks the validator. Copies it only counts. */
  #askForMessages(): void {
    const { pubsub } = this;
    const handle = pubsub.handleReceivedMessage.bind(pubsub);
    pubsub.handleReceivedMessage = async (from, message) => {
      const look = async (): Promise<void> => await handle(from, message);
      if (pubsub.seenCache.has(messageId(message.data))) await look();
      else await this.#rules.onUnseen(from, message.topic ?? "", look);
    };
  }

  /** gossipsub would ask for 5,000 at once, whatever they are. */
  #askForWants(): void {
    const { pubsub } = this;
    const handle = pubsub.handleIHave.bind(pubsub);
    pubsub.handleIHave = (peerId, ihave) => {
      const asked = pubsub.iasked.get(peerId) ?? 0;
      const wants = this.#rules.wants(peerId, asked);
      const advertised = ihave.filter(({ topicID = "" }) => this.#rules.asksFor(topicID));
      if (wants <= 0 || advertised.length === 0) return [];
      const [wanted] = handle(peerId, advertised);
      if (wanted === undefined) return [];
      const messageIDs = wanted.messageIDs.slice(0, wants);
      pubsub.iasked.set(peerId, asked + messageIDs.length);
      return [{ messageIDs }];
    };
  }

  /** gossipsub would send whatever it remembers, four times to each peer. */
  #askForAnswers(): void {
    const { pubsub } = this;
    const handle = pubsub.handleIWant.bind(pubsub);
    pubsub.handleIWant = (peerId, iwant) =>
      handle(peerId, iwant).filter(({ data }) => this.#rules.maySend(peerId, data?.length ?? 0));
  }

  /** gossipsub would answer each, though we have two topics. */
  #askForGrafts(): void {
    const { pubsub } = this;
    const handle = pubsub.handleGraft.bind(pubsub);
    pubsub.handleGraft = async (peerId, graft) => {
      return await handle(peerId, firstOfEach(pubsub.mesh, graft));
    };
  }

  /**
   * gossipsub would do all again for each that says the same, 80 µs (measured), and keep for as long as
   * the peer says that it is not to be grafted.
   */
  #askForPrunes(): void {
    const { pubsub } = this;
    const handle = pubsub.handlePrune.bind(pubsub);
    const isNews = (peerId: string, topic = ""): boolean =>
      pubsub.mesh.get(topic)?.has(peerId) === true ||
      (pubsub.backoff.get(topic)?.get(peerId) ?? 0) <= Date.now();
    pubsub.handlePrune = async (peerId, prune) => {
      const news = firstOfEach(pubsub.mesh, prune).filter(({ topicID }) => isNews(peerId, topicID));
      if (news.length === 0) return;
      const bounded = news.map(({ topicID = "", backoff = 0 }) => {
        return { topicID, peers: [], backoff: Math.min(backoff, PRUNE_BACKOFF_S_MAX) };
      });
      await handle(peerId, bounded);
    };
  }

  /**
   * gossipsub opens one outbound stream after the other, so a peer that leaves its own unanswered would
   * keep all others waiting for 5 s, again and again. Of each peer one is being opened.
   */
  #openAtOnce(): void {
    const { pubsub } = this;
    const create = pubsub.createOutboundStream.bind(pubsub);
    const opening = new Set<string>();
    pubsub.createOutboundStream = async (peerId, connection) => {
      const id = peerId.toString();
      if (opening.has(id)) return;
      opening.add(id);
      void create(peerId, connection).finally(() => opening.delete(id));
    };
  }

  /** gossipsub would answer an IWANT in one RPC, however large, which its own reader does not take. */
  #splitRpcs(): void {
    const { pubsub } = this;
    const send = pubsub.sendRpc.bind(pubsub);
    pubsub.sendRpc = (peerId, rpc) => {
      const [first = [], ...others] = inParts(rpc.messages);
      return (
        send(peerId, { ...rpc, messages: first }) &&
        others.every((messages) => send(peerId, { subscriptions: [], messages }))
      );
    };
  }
}

function withInsides(pubsub: GossipSub): Inside {
  const inside = pubsub as Inside;
  assert(
    INSIDES.every((each) => each in pubsub) && inside.seenCache.entries instanceof Map,
    `another gossipsub than ${GOSSIPSUB_VERSION}`,
  );
  return inside;
}

/** The first for each of our topics. */
function firstOfEach<Item extends { readonly topicID?: string | undefined }>(
  topics: ReadonlyMap<string, unknown>,
  items: readonly Item[],
): Item[] {
  return [...topics.keys()].flatMap(
    (topic) => items.find(({ topicID = "" }) => topicID === topic) ?? [],
  );
}

function messageId(data: Uint8Array = new Uint8Array()): string {
  return toHex(sha256(data));
}

/** In their order, as many in each as go into one RPC. */
function inParts(messages: readonly RPC.Message[]): RPC.Message[][] {
  const parts: RPC.Message[][] = [];
  let room = 0;
  for (const message of messages) {
    const bytes = (message.data?.length ?? 0) + MESSAGE_FRAME_BYTES;
    if (bytes > room) {
      parts.push([]);
      room = MESSAGES_BYTES_MAX;
    }
    parts.at(-1)?.push(message);
    room -= bytes;
  }
  return parts;
}
