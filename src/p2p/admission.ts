/**
 * Which nodes may take part. Everybody else is a stranger: identify and ping for a few seconds,
 * never gossip or sync (docs/protocol.md 5).
 *
 * A node takes part for the trust domain that lists it, and what it does goes to that one's account.
 * A record may list a key that is another's. So a node that two list takes from whichever account
 * has something left, and is judged by the better conduct: who lists a foreign node lends it an
 * account and can neither spend nor spoil the one it has. Two that list each other's nodes have no
 * more than their two accounts.
 */
import assert from "node:assert/strict";
import type { Ed25519PeerId, PeerId } from "@libp2p/interface";
import { toHex } from "../core/std/bytes.ts";
import { Account, type BudgetName } from "./account.ts";
import { BARRED_MS, type Conduct } from "./conduct.ts";
import { nodeOfPeerId, peerIdOfNode } from "./node-identity.ts";

interface Budget {
  /** Takes `count`, or says no and takes nothing. */
  take(nowMs: number, count?: number): boolean;
  /** How often one may be taken. */
  left(nowMs: number): number;
}

/** An admitted node. */
export class Member {
  readonly peerId: Ed25519PeerId;
  /** Those of the trust domains that list it, by name; one at least, the last one for good. */
  readonly accounts: Map<string, Account>;
  readonly connectBudget = this.#budget("connect");
  readonly gossipBudget = this.#budget("gossip");
  readonly headBudget = this.#budget("head");
  readonly requestBudget = this.#budget("request");
  readonly lookupBudget = this.#budget("lookup");
  readonly answerBudget = this.#budget("answer");
  readonly iwantBudget = this.#budget("iwant");
  readonly uselessBudget = this.#budget("useless");
  /** Messages of this peer that got the verdict reject. */
  rejected = 0;
  /** Messages of this peer beyond its budget, that were not looked at. */
  overBudget = 0;
  readonly #nowMs: () => number;

  constructor(peerId: Ed25519PeerId, trustDomain: string, account: Account, nowMs: () => number) {
    this.peerId = peerId;
    this.accounts = new Map([[trustDomain, account]]);
    this.#nowMs = nowMs;
  }

  get conduct(): Conduct {
    const nowMs = this.#nowMs();
    const all = [...this.accounts.values()].map(({ conduct }) => conduct);
    const unbarred = all.filter((each) => !each.barred(nowMs));
    const best = unbarred.find((each) => !each.graylisted(nowMs)) ?? unbarred[0] ?? all[0];
    assert(best !== undefined, "a member has an account");
    return best;
  }

  #budget(name: BudgetName): Budget {
    return {
      take: (nowMs, count) =>
        [...this.accounts.values()].some((account) => account.take(name, nowMs, count)),
      left: (nowMs) =>
        [...this.accounts.values()].reduce(
          (sum, each) => sum + Math.floor(each.left(name, nowMs)),
          0,
        ),
    };
  }
}

export interface AdmissionChange {
  readonly added: readonly Member[];
  readonly removed: readonly Member[];
}

export class Admission {
  readonly #selfKey: string | undefined;
  readonly #nowMs: () => number;
  /** By node public key as hex. The caller bounds it: 16 nodes for each pinned trust domain. */
  readonly #members = new Map<string, Member>();
  /** By trust domain: those that list nodes, and those that did within the last {@link BARRED_MS}. */
  readonly #accounts = new Map<string, Account>();
  /** Trust domains whose last node went, and when, oldest first. */
  readonly #emptiedAtMs = new Map<string, number>();

  constructor(self: PeerId, nowMs: () => number) {
    const node = nodeOfPeerId(self);
    this.#selfKey = node && toHex(node);
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

  /** Takes one from a budget of one of the trust domains, or says no. */
  take(name: BudgetName, trustDomains: readonly string[]): boolean {
    return trustDomains.some(
      (each) => this.#accounts.get(each)?.take(name, this.#nowMs()) === true,
    );
  }

  /** Replaces the nodes (32-byte public keys) of one trust domain; the own one is left out. */
  admit(trustDomain: string, nodes: readonly Uint8Array[]): AdmissionChange {
    this.#forgetEmptied();
    const account = this.#accounts.get(trustDomain) ?? new Account(this.#nowMs());
    this.#accounts.set(trustDomain, account);
    const listed = new Map(nodes.map((node) => [toHex(node), node]));
    if (this.#selfKey !== undefined) listed.delete(this.#selfKey);
    const added: Member[] = [];
    for (const [key, node] of listed) {
      const member = this.#members.get(key);
      if (member === undefined) added.push(this.#add(key, node, trustDomain, account));
      else member.accounts.set(trustDomain, account);
    }
    const left = [...account.nodes.keys()].filter((key) => !listed.has(key));
    const removed = left.flatMap((key) => this.#remove(key, trustDomain));
    account.nodes.clear();
    for (const key of listed.keys()) {
      const member = this.#members.get(key);
      if (member !== undefined) account.nodes.set(key, member.peerId);
    }
    this.#emptiedAtMs.delete(trustDomain);
    if (listed.size === 0) this.#emptiedAtMs.set(trustDomain, this.#nowMs());
    return { added, removed };
  }

  #add(key: string, node: Uint8Array, trustDomain: string, account: Account): Member {
    const member = new Member(peerIdOfNode(node), trustDomain, account, this.#nowMs);
    this.#members.set(key, member);
    return member;
  }

  /** Returns the member when no other trust domain lists it. */
  #remove(key: string, trustDomain: string): Member[] {
    const member = this.#members.get(key);
    if (member === undefined) return [];
    if (member.accounts.size > 1) {
      member.accounts.delete(trustDomain);
      return [];
    }
    this.#members.delete(key);
    return [member];
  }

  /** By then every bar is over and every budget full again: a new account would be the same. */
  #forgetEmptied(): void {
    for (const [trustDomain, atMs] of this.#emptiedAtMs) {
      if (this.#nowMs() - atMs < BARRED_MS) break;
      this.#emptiedAtMs.delete(trustDomain);
      this.#accounts.delete(trustDomain);
    }
  }
}
