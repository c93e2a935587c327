/** The own trust domain of a daemon without SPIRE and mesh: one node, one record, keys as committed. */
import type {
  AdoptReply,
  AdoptRequest,
  NodeEntry,
  OrderReply,
} from "../../src/admin-contract/own.ts";
import type {
  CommitRequest,
  Commitment,
  PrepareReply,
  PrepareRequest,
  RecoverRequest,
  RecoveryStatus,
} from "../../src/admin-contract/recovery.ts";
import type { OwnOperations } from "../../src/admin/own-operations.ts";
import { Fault } from "../../src/fault.ts";

export const OWN_PEER_ID = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const RECORD_ID = "3".repeat(64);

export class OwnOperationsInMemory implements OwnOperations {
  /** What every order but a read throws, when set. */
  ownFailure: Fault | undefined;
  recovering = false;
  commitment: Commitment | null = null;
  /** What `recovery request` answers. */
  prepared: PrepareReply | undefined;
  /** Each order in the words that came over the socket. */
  readonly orders: unknown[] = [];
  readonly nodeIds = new Set([OWN_PEER_ID]);

  async confirmRestore(): Promise<OrderReply> {
    return this.#take("confirm-restore", {});
  }

  async newLineage(reason: string): Promise<OrderReply> {
    return this.#take("new-lineage", { reason });
  }

  async adopt(order: AdoptRequest): Promise<AdoptReply> {
    const { trust_domain } = this.#take("adopt", order);
    const { fingerprint: record_id } = order;
    return { trust_domain, record_id, outcome: record_id === RECORD_ID ? "unchanged" : "pending" };
  }

  async resume(): Promise<void> {
    if (!this.recovering) throw new Fault("NOT_FOUND", "there is nothing to resume");
    this.#take("resume", {});
    this.recovering = false;
  }

  nodes(): readonly NodeEntry[] {
    return [...this.nodeIds].map((peer_id, index) => ({
      peer_id,
      fingerprint: "f".repeat(64),
      is_self: peer_id === OWN_PEER_ID,
      is_lowest: index === 0,
      connected: peer_id === OWN_PEER_ID,
      record_id: peer_id === OWN_PEER_ID ? RECORD_ID : null,
      holds_ours: peer_id === OWN_PEER_ID,
      last_heard_at: null,
    }));
  }

  async addNode(order: { readonly peer_id: string }): Promise<OrderReply> {
    const reply = this.#take("add-node", order);
    if (this.nodeIds.has(order.peer_id)) return { ...reply, outcome: "unchanged" };
    this.nodeIds.add(order.peer_id);
    return reply;
  }

  async removeNode(order: { readonly peer_id: string }): Promise<OrderReply> {
    const reply = this.#take("remove-node", order);
    if (this.nodeIds.delete(order.peer_id)) return reply;
    throw new Fault("NOT_FOUND", "no such node is listed");
  }

  recoveryStatus(): RecoveryStatus {
    return {
      trust_domain: "alpha.test",
      lineage: RECORD_ID,
      epoch: 0,
      rev: 0,
      record_id: RECORD_ID,
      threshold: this.commitment?.threshold ?? null,
      key_hashes: [...(this.commitment?.key_hashes ?? [])],
    };
  }

  async commitRecovery(order: CommitRequest): Promise<OrderReply> {
    const reply = this.#take("commit-recovery", order);
    this.commitment = { threshold: order.threshold, key_hashes: order.key_hashes };
    return reply;
  }

  async prepareRecovery(order: PrepareRequest): Promise<PrepareReply> {
    this.#take("prepare-recovery", order);
    if (this.prepared !== undefined) return this.prepared;
    throw new Fault("NOT_READY", "no recovery keys are committed");
  }

  async recover(order: RecoverRequest): Promise<OrderReply> {
    return this.#take("recover", order);
  }

  #take(kind: string, order: object): OrderReply {
    if (this.ownFailure !== undefined) throw this.ownFailure;
    this.orders.push({ kind, ...order });
    return { trust_domain: "alpha.test", record_id: RECORD_ID, outcome: "published" };
  }
}
