/** Offline recovery keys, at the daemon: what they commit to, are asked to sign, and have signed. */
import type { OrderReply } from "../admin-contract/own.ts";
import type {
  CommitRequest,
  Commitment,
  PrepareReply,
  PrepareRequest,
  RecoverRequest,
  RecoveryStatus,
} from "../admin-contract/recovery.ts";
import type { OwnOperations } from "../admin/own-operations.ts";
import type { MeshState } from "../core/mesh/mesh-state.ts";
import type { OwnOrder } from "../core/mesh/own-order.ts";
import { decodeExportFile } from "../core/record/export-file.ts";
import { type RecoverySignature, recordId } from "../core/record/preimages.ts";
import type { Proofs } from "../core/record/proofs.ts";
import { judgeRecovery } from "../core/record/recovery.ts";
import {
  type RecoveryCommitment,
  type State,
  compareVersions,
  decodeState,
} from "../core/record/state.ts";
import { has, sameRecovery } from "../core/record/step.ts";
import { readRecord } from "../core/record/verify.ts";
import { compareBytes, equalBytes, fromHex, toHex } from "../core/std/bytes.ts";
import { Fault } from "../fault.ts";
import { peerIdOfNode } from "../p2p/node-identity.ts";
import { type AskPorts, ask, logged, unexpected } from "./asking.ts";
import type { OwnPorts } from "./own-operations.ts";
import { REFUSAL_ADVICE } from "./refusal-advice.ts";

type RecoveryOperations = Pick<
  OwnOperations,
  "recoveryStatus" | "commitRecovery" | "prepareRecovery" | "recover"
>;

/** The kind of record that recovery keys sign. */
const STATE = 1;
const EMPTY_DIRECTORY =
  "Keep data_dir elsewhere, start the daemon on an empty one, and make the request before any export.";
const NEW_KEYS =
  "run `spire-mesh export -o FILE` here, and make keys for that record with `spire-mesh recovery create`";

export function createRecoveryOperations(
  ports: OwnPorts,
  carryOut: (order: OwnOrder) => Promise<OrderReply>,
): RecoveryOperations {
  const { state, log } = ports;
  return {
    recoveryStatus: () => recoveryStatus(state),
    commitRecovery: async (order) =>
      await logged(log, "Recovery keys committed", hashesOf(order), async () => {
        const commitment = readCommitment(order);
        checkOwner(state, order);
        const slot = state.own.slot;
        const isSame = sameRecovery(slot?.effective.state.recovery, commitment);
        return isSame && slot !== undefined
          ? published(state, slot.held.record.idHex, "unchanged")
          : await carryOut({ kind: "commit-recovery", commitment });
      }),
    prepareRecovery: async (order) => await prepare(ports, order),
    recover: async (order) => {
      const read = readRecover(order, ports.proofs);
      const fields = { epoch: read.state.version.epoch, record_id: read.idHex };
      return await logged(log, "Recovery published", fields, async () => {
        if (state.own.slot?.held.record.idHex === read.idHex) {
          return published(state, read.idHex, "unchanged");
        }
        checkRequest(state, read);
        const { state: next, signatures } = read;
        return await carryOut({ kind: "recovery-signed", state: next, signatures });
      });
    },
  };
}

function recoveryStatus({ self, own }: MeshState): RecoveryStatus {
  if (own.slot === undefined) {
    throw new Fault("NOT_FOUND", "there is no own record yet, so no recovery keys either", {
      advice: "`spire-mesh export -o FILE` makes the first one",
    });
  }
  const { held, effective } = own.slot;
  const { version, recovery } = effective.state;
  return {
    trust_domain: self.trustDomain,
    lineage: toHex(held.record.lineage),
    epoch: version.epoch,
    rev: version.rev,
    record_id: held.record.idHex,
    threshold: recovery?.threshold ?? null,
    key_hashes: (recovery?.keyHashes ?? []).map(toHex),
  };
}

/** Keys of another trust domain or lineage are somebody else's, or from before a new start. */
function checkOwner({ self, own }: MeshState, order: CommitRequest): void {
  if (order.trust_domain !== self.trustDomain) throw otherTrustDomain(order.trust_domain, self);
  const lineage = own.slot && toHex(own.slot.held.record.lineage);
  if (lineage === undefined || lineage === order.lineage) return;
  const message = `the keys were made for lineage ${order.lineage}, and this is ${lineage}`;
  throw new Fault("DATA_INVALID", message, { advice: NEW_KEYS });
}

async function prepare(
  ports: AskPorts & Pick<OwnPorts, "state" | "proofs">,
  { as, record, next }: PrepareRequest,
): Promise<PrepareReply> {
  const { state, proofs } = ports;
  const held = record === undefined ? undefined : readLost(record, state, proofs);
  const commitment = next === null ? undefined : readCommitment(next);
  const answer = await ask(ports, (ticket) => ({
    kind: "recovery-prepare-asked",
    ticket,
    as: as === "recover" ? "epoch" : "exchange",
    held,
    next: commitment,
  }));
  if (answer.kind !== "prepared") throw unexpected(answer);
  const { epoch, rev, recovery } = answer.held;
  return {
    payload: Buffer.from(answer.payload).toString("base64"),
    held: {
      epoch,
      rev,
      threshold: recovery.threshold,
      key_hashes: recovery.keyHashes.map(toHex),
    },
  };
}

/** What a record says that this daemon has lost. Its node signed it; whether it was the last, people know. */
function readLost(record: string, { self, own }: MeshState, proofs: Proofs): State {
  const file = decodeExportFile(bytesOf(record));
  if (!file.ok) throw new Fault("DATA_INVALID", `the record's file ${file.reason.problem}`);
  const read = readRecord(file.value.envelope, "sync", proofs);
  if (!read.ok) {
    const { code, detail } = read.reason;
    throw new Fault("DATA_INVALID", `the file carries no record: ${code}, ${detail}`);
  }
  const { state, lineage } = read.value;
  if (state.trustDomain !== self.trustDomain) throw otherTrustDomain(state.trustDomain, self);
  const held = own.slot?.held.record.lineage;
  if (held !== undefined && !equalBytes(held, lineage)) {
    const message = `the record is of lineage ${toHex(lineage)}, and this daemon holds ${toHex(held)}`;
    throw new Fault("RECOVERY_OTHER_RECORD", message, { advice: EMPTY_DIRECTORY });
  }
  return { ...state, lineage };
}

interface ReadRecover {
  readonly state: State;
  readonly idHex: string;
  readonly signatures: readonly RecoverySignature[];
}

/** Reads what was signed, and whether those signed who may by what the request says is held. */
function readRecover({ payload, held, signatures }: RecoverRequest, proofs: Proofs): ReadRecover {
  const bytes = bytesOf(payload);
  const state = decodeState(bytes);
  if (!state.ok)
    throw new Fault("DATA_INVALID", `the request's payload is no state: ${state.reason}`);
  const id = recordId(STATE, bytes);
  const signed = signatures
    .map(({ public_key, signature }): RecoverySignature => [
      fromHex(public_key),
      fromHex(signature),
    ])
    .toSorted(([left], [right]) => compareBytes(left, right));
  const judged = judgeRecovery(id, signed, readCommitment(held), proofs);
  if (!judged.ok) {
    const { code, detail } = judged.reason;
    throw new Fault("DATA_INVALID", `${code}: ${detail}`, { advice: REFUSAL_ADVICE[code] });
  }
  return { state: state.value, idHex: toHex(id), signatures: signed };
}

/** A request is for what is held now, and for the daemon that made it: its key signs the record too. */
function checkRequest({ self, own }: MeshState, { state }: ReadRecover): void {
  if (state.trustDomain !== self.trustDomain) throw otherTrustDomain(state.trustDomain, self);
  if (!has(state.nodes, self.nodePublicKey)) {
    const listed = state.nodes.map((node) => peerIdOfNode(node).toString()).join(", ");
    const message = `the request is for the node ${listed}, and this is ${peerIdOfNode(self.nodePublicKey).toString()}`;
    throw new Fault("RECOVERY_OTHER_RECORD", message, {
      advice: "run it at the daemon that made the request",
    });
  }
  const standing = own.slot?.effective.state;
  const isSameLineage = standing && equalBytes(standing.lineage, state.lineage);
  if (standing === undefined || !isSameLineage) return;
  if (compareVersions(state.version, standing.version) > 0) return;
  const { epoch, rev } = standing.version;
  const message = `the request leads to epoch ${state.version.epoch}, rev ${state.version.rev}, and epoch ${epoch}, rev ${rev} stands already`;
  throw new Fault("RECOVERY_OTHER_EPOCH", message);
}

/** Keys that count twice would make two of one. */
function readCommitment({ threshold, key_hashes }: Commitment): RecoveryCommitment {
  const distinct = new Set(key_hashes);
  if (distinct.size < key_hashes.length) throw new Fault("USAGE", "a key hash is named twice");
  if (threshold > distinct.size) {
    const message = `a threshold of ${threshold} cannot be reached with ${distinct.size} keys`;
    throw new Fault("USAGE", message);
  }
  return { threshold, keyHashes: [...distinct].map(fromHex).toSorted(compareBytes) };
}

function hashesOf({ threshold, key_hashes }: Commitment): Readonly<Record<string, string>> {
  return { threshold: String(threshold), key_hashes: key_hashes.join(",") };
}

function published(
  { self }: MeshState,
  recordIdHex: string,
  outcome: OrderReply["outcome"],
): OrderReply {
  return { trust_domain: self.trustDomain, record_id: recordIdHex, outcome };
}

function otherTrustDomain(found: string, { trustDomain }: MeshState["self"]): Fault {
  const message = `it is of ${found}, and this daemon of ${trustDomain}`;
  return new Fault("RECOVERY_OTHER_TRUST_DOMAIN", message);
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(Buffer.from(base64, "base64"));
}
