/**
 * What the admin API can make the daemon decide about its own trust domain. As in `Operations`: each
 * change is idempotent by its content, lies on disk when its promise resolves, and throws a `Fault`.
 * Those that wait for other nodes throw `NOT_READY` with what they wait for.
 */
import type {
  AddNodeRequest,
  AdoptReply,
  AdoptRequest,
  NodeEntry,
  OrderReply,
  RemoveNodeRequest,
} from "../admin-contract/own.ts";
import type {
  CommitRequest,
  PrepareReply,
  PrepareRequest,
  RecoverRequest,
  RecoveryStatus,
} from "../admin-contract/recovery.ts";

export interface OwnOperations {
  /** What SPIRE shows after a restored datastore is meant. Throws `NOT_FOUND`: nothing to confirm. */
  confirmRestore(): Promise<OrderReply>;
  /** A first record anew; the reason goes to the log. */
  newLineage(reason: string): Promise<OrderReply>;
  /** This replica goes on from exactly one record of its own trust domain. */
  adopt(order: AdoptRequest): Promise<AdoptReply>;
  /** Ends `recovering` with what the marks say. Throws `NOT_FOUND` when the daemon is not. */
  resume(): Promise<void>;
  /** Those that the own record lists, the lowest first; none before there is one. */
  nodes(): readonly NodeEntry[];
  /** Throws `USAGE` for a peer id of no node, `DATA_INVALID` when the fingerprint is not that node's. */
  addNode(order: AddNodeRequest): Promise<OrderReply>;
  /** Throws `NOT_FOUND` for the last node, this one, and one that is not listed. */
  removeNode(order: RemoveNodeRequest): Promise<OrderReply>;
  /** Throws `NOT_FOUND` before there is an own record. */
  recoveryStatus(): RecoveryStatus;
  /** The first recovery keys. */
  commitRecovery(order: CommitRequest): Promise<OrderReply>;
  /** The record that the recovery keys are to sign. Changes nothing. */
  prepareRecovery(order: PrepareRequest): Promise<PrepareReply>;
  /** Publishes what the recovery keys signed. */
  recover(order: RecoverRequest): Promise<OrderReply>;
}
