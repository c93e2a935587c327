/**
 * Step 6, and what of step 10 needs no certificate: whether the step from what stands to a record may
 * be made, and by whom (docs/protocol.md 3).
 *
 *     same epoch ─────── a listed node signs; recovery keys are committed once, or changed by themselves
 *     the next epoch ─── the committed recovery keys sign; the nodes are new
 *     a rotated node ─── one key in, one out, signed by both
 */
import { concatBytes, equalBytes } from "../std/bytes.ts";
import { REV_JUMP_MAX } from "../std/limits.ts";
import { ok } from "../std/result.ts";
import type { Block } from "./envelope.ts";
import type { Proofs } from "./proofs.ts";
import { isCommitted, judgeRecovery } from "./recovery.ts";
import { type Judged, refuse } from "./refusal.ts";
import type { Standing } from "./standing.ts";
import type { RecoveryCommitment, State } from "./state.ts";
import type { SignedRecord } from "./verify.ts";

/** Who may sign a step. */
export interface Signers {
  /** Blocks of nodes that may, at least one. */
  readonly blocks: readonly Block[];
  /** Each of them must verify, not one: the node that comes and the one that goes. */
  readonly isRotation: boolean;
}

/**
 * Whether the step may be made, and by whom. No certificate is read, and no signature but those of
 * recovery keys verified, so it comes before whatever the signing node has to pay for.
 *
 * @param before Undefined for a first record: its exact id came out of band, and it is its own "before".
 */
export function judgeStep(
  record: SignedRecord,
  before: Standing | undefined,
  proofs: Pick<Proofs, "verifiesNode">,
): Judged<Signers> {
  const { state } = record;
  if (before === undefined) return judgeNodes(record, state);
  const held = before.state;
  if (state.version.epoch !== held.version.epoch) return judgeEpoch(record, held, proofs);
  if (state.version.rev - held.version.rev > REV_JUMP_MAX) {
    return refuse("REV_JUMP", `rev ${held.version.rev} to ${state.version.rev}`);
  }
  const recovery = judgeCommitment(record, held, proofs);
  if (!recovery.ok) return recovery;
  return judgeRotation(record, held) ?? judgeNodes(record, held);
}

/** Only the committed keys begin an epoch, and what they reveal is worth nothing from then on. */
function judgeEpoch(
  record: SignedRecord,
  held: State,
  proofs: Pick<Proofs, "verifiesNode">,
): Judged<Signers> {
  const { epoch, rev } = record.state.version;
  if (epoch !== held.version.epoch + 1) {
    return refuse("EPOCH_JUMP", `epoch ${held.version.epoch} to ${epoch}`);
  }
  if (rev > REV_JUMP_MAX) return refuse("REV_JUMP", `rev ${rev} in a new epoch`);
  const signed = judgeRecoverySignatures(record, held.recovery, proofs);
  return signed.ok ? judgeNodes(record, record.state) : signed;
}

/**
 * Whoever has both live factors could commit keys of his own, and re-root the trust domain: so keys
 * that are committed are changed by themselves alone.
 */
function judgeCommitment(
  record: SignedRecord,
  held: State,
  proofs: Pick<Proofs, "verifiesNode">,
): Judged<undefined> {
  const { state, envelope } = record;
  if (sameRecovery(state.recovery, held.recovery)) {
    return envelope.recovery.length === 0
      ? ok(undefined)
      : refuse("RECOVERY_UNASKED", "recovery keys signed what needs no such signature");
  }
  if (state.version.rev !== held.version.rev + 1) {
    return refuse("RECOVERY_CHANGED", "the recovery keys changed without a step of rev");
  }
  if (held.recovery !== undefined) return judgeRecoverySignatures(record, held.recovery, proofs);
  return envelope.recovery.length === 0
    ? ok(undefined)
    : refuse("RECOVERY_UNASKED", "recovery keys signed their own first commitment");
}

function judgeRecoverySignatures(
  { id, state, envelope }: SignedRecord,
  commitment: RecoveryCommitment | undefined,
  proofs: Pick<Proofs, "verifiesNode">,
): Judged<undefined> {
  const judged = judgeRecovery(id, envelope.recovery, commitment, proofs);
  if (!judged.ok) return judged;
  const next = state.recovery?.keyHashes ?? [];
  return envelope.recovery.some(([publicKey]) => isCommitted(publicKey, next))
    ? refuse("RECOVERY_REVEALED", "it commits a key again that it reveals")
    : ok(undefined);
}

/** The blocks of nodes that are listed before and after, and were never removed. */
function judgeNodes({ state, envelope }: SignedRecord, before: State): Judged<Signers> {
  const standing = envelope.blocks.filter(
    ({ nodePublicKey: node }) => !has(state.removed, node) && !has(before.removed, node),
  );
  if (standing.length === 0) return refuse("NODE_REMOVED", "a removed node signed it");
  const blocks = standing.filter(
    ({ nodePublicKey: node }) => has(state.nodes, node) && has(before.nodes, node),
  );
  return blocks.length > 0
    ? ok({ blocks, isRotation: false })
    : refuse("NODE_NOT_LISTED", "a node that is not listed");
}

/**
 * The one step whose signer leaves: exactly one node in another's place, which is removed by it, and
 * both sign. Undefined when it is another step.
 */
function judgeRotation(
  { state, envelope }: SignedRecord,
  before: State,
): Judged<Signers> | undefined {
  const [left, ...moreLeft] = before.nodes.filter((node) => !has(state.nodes, node));
  const [came, ...moreCame] = state.nodes.filter((node) => !has(before.nodes, node));
  if (left === undefined || came === undefined || moreLeft.length + moreCame.length > 0) {
    return undefined;
  }
  const isRemovedLast = has(state.removed.slice(-1), left) && !has(before.removed, left);
  if (!isRemovedLast || has(before.removed, came) || has(state.removed, came)) return undefined;
  const [ofLeft, ofCame] = [left, came].map((node) =>
    envelope.blocks.filter(({ nodePublicKey }) => equalBytes(nodePublicKey, node)),
  );
  // Without both it is a step like another, made by a node that stays.
  if (!ofLeft?.length || !ofCame?.length) return undefined;
  return ok({ blocks: [...ofLeft, ...ofCame], isRotation: true });
}

export function sameRecovery(
  left: RecoveryCommitment | undefined,
  right: RecoveryCommitment | undefined,
): boolean {
  if (left === undefined || right === undefined) return left === right;
  return (
    left.threshold === right.threshold &&
    equalBytes(concatBytes(...left.keyHashes), concatBytes(...right.keyHashes))
  );
}

export function has(nodes: readonly Uint8Array[], node: Uint8Array): boolean {
  return nodes.some((each) => equalBytes(each, node));
}
