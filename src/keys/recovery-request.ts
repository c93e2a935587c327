/**
 * What the holders of recovery keys are asked to sign, as a file that travels to their laptops: the
 * payload of a record, and the recovery keys that the trust domain's partners know of.
 *
 *     [1, payload bstr, held epoch, held rev, [m, [SHA-256(public key) …]]]   deterministic CBOR, in armor
 *
 * The id that is signed is computed from the payload and nowhere carried, so a request cannot name
 * another. Whether the payload is what the domain wants, only people can say: the words are for them.
 */
import assert from "node:assert/strict";
import { recordId } from "../core/record/preimages.ts";
import { type RecoveryCommitment, type State, decodeState } from "../core/record/state.ts";
import { sameRecovery } from "../core/record/step.ts";
import { encodeCbor } from "../core/std/cbor.ts";
import { PAYLOAD_BYTES_MAX } from "../core/std/limits.ts";
import { type Result, no, ok } from "../core/std/result.ts";
import { sha256 } from "../core/std/sha256.ts";
import * as shape from "../core/std/shape.ts";
import { Fault } from "../fault.ts";
import { commitmentShape } from "./recovery-commitment.ts";
import { field, grouped, readRecoveryText, writeRecoveryText } from "./recovery-text.ts";

/** What partners hold, as far as recovery goes: their commitment judges the signatures. */
export interface HeldRecovery {
  readonly epoch: number;
  readonly rev: number;
  readonly commitment: RecoveryCommitment;
}

export interface RecoveryRequest {
  /** Of the state record that is to be signed. */
  readonly payload: Uint8Array;
  readonly held: HeldRecovery;
}

/** A request that was read, with what its payload says. */
export interface ReadRequest extends RecoveryRequest {
  /** Of the payload: what is signed. 32 bytes. */
  readonly recordId: Uint8Array;
  readonly state: State;
}

const FORMAT = 1;
/** The kind of record that recovery keys sign. */
const STATE = 1;

const positions = shape.tuple(
  shape.literal(FORMAT),
  shape.bytesBetween(1, PAYLOAD_BYTES_MAX),
  shape.u32,
  shape.u32,
  commitmentShape,
);

/** The file's text. The payload is a state that this daemon made. */
export function encodeRequest({ payload, held }: RecoveryRequest): string {
  const read = readPayload(payload, held);
  assert(read.ok, "a request has a state as its payload");
  return encodeRead(read.value);
}

/**
 * @param name What the operator calls the file.
 * @throws {Fault} `RECOVERY_FILE_KIND`, `RECOVERY_FILE_DAMAGED`; `RECOVERY_OTHER_EPOCH` when the
 *   payload is no next step from what it says is held.
 */
export function decodeRequest(text: string, name: string): ReadRequest {
  const request = readRecoveryText("request", name, text, readContent, encodeRead);
  const { held, state } = request;
  if (!isRecovery(state, held) && !isExchange(state, held)) {
    const from = `epoch ${held.epoch}, rev ${held.rev}`;
    const to = `epoch ${state.version.epoch}, rev ${state.version.rev}`;
    throw new Fault("RECOVERY_OTHER_EPOCH", `${name} goes from ${from} to ${to}`);
  }
  return request;
}

/** What a request does, for whoever shall sign it; several lines. */
export function describeRequest({ recordId: id, state, held }: ReadRequest): string {
  const { trustDomain, version, recovery } = state;
  const { epoch, rev, sequence } = version;
  const { threshold, keyHashes } = held.commitment;
  return [
    field("Trust domain", trustDomain),
    field("Lineage", grouped(state.lineage)),
    field("Epoch", `${epoch} (held now: ${held.epoch})`),
    field("Revision", `${rev} (held now: ${held.rev}), sequence number ${sequence}`),
    field("Record id", grouped(id)),
    "",
    ...(isRecovery(state, held)
      ? [
          `This is a RECOVERY. What it lists takes the place of all that ${trustDomain} published`,
          "before, at every partner: other nodes and authorities of it count no more.",
        ]
      : [
          `This EXCHANGES THE RECOVERY KEYS of ${trustDomain}. The keys that sign it, and those that it`,
          "does not list, count no more.",
        ]),
    "",
    `Nodes that may publish (${state.nodes.length}), by their public keys:`,
    ...state.nodes.map((each) => `  ${grouped(each)}`),
    ...(state.removed.length === 0 ? [] : [`Nodes that were removed (${state.removed.length}):`]),
    ...state.removed.map((each) => `  ${grouped(each)}`),
    `X.509 authorities (${state.x509Authorities.length}), by SHA-256:`,
    ...state.x509Authorities.map((each) => `  ${grouped(sha256(each.der))}${mark(each)}`),
    `JWT authorities (${state.jwtAuthorities.length}), by SHA-256 and key id:`,
    ...state.jwtAuthorities.map(
      (each) => `  ${grouped(sha256(each.spki))}  ${each.keyId}${mark(each)}`,
    ),
    ...(recovery === undefined
      ? [`NO RECOVERY KEYS AFTER IT: ${trustDomain} could not be recovered a second time.`]
      : [
          `Recovery keys after it: ${recovery.threshold} of these ${recovery.keyHashes.length}, by hash:`,
          ...recovery.keyHashes.map((each) => `  ${grouped(each)}`),
        ]),
    `To be signed by exactly ${threshold} of these ${keyHashes.length}, by hash:`,
    ...keyHashes.map((each) => `  ${grouped(each)}`),
    "",
    "Before you sign, compare the record id by voice with whoever made this request.",
  ].join("\n");
}

function mark({ tainted }: { readonly tainted: boolean }): string {
  return tainted ? "  tainted" : "";
}

/** The next epoch: everything may be new. */
function isRecovery({ version }: State, held: HeldRecovery): boolean {
  return version.epoch === held.epoch + 1;
}

/** The next revision with other recovery keys. */
function isExchange(
  { version, recovery }: State,
  { epoch, rev, commitment }: HeldRecovery,
): boolean {
  const isNext = version.epoch === epoch && version.rev === rev + 1;
  return isNext && !sameRecovery(recovery, commitment);
}

function encodeRead(request: ReadRequest): string {
  const { epoch, rev, commitment } = request.held;
  const { threshold, keyHashes } = commitment;
  const content = encodeCbor([FORMAT, request.payload, epoch, rev, [threshold, keyHashes]]);
  return writeRecoveryText("request", describeRequest(request), content);
}

function readContent(content: Uint8Array): Result<ReadRequest, string> {
  const read = shape.readCbor(content, "request", (value, at): RecoveryRequest => {
    const [, payload, epoch, rev, [threshold, keyHashes]] = positions(value, at);
    return { payload, held: { epoch, rev, commitment: { threshold, keyHashes } } };
  });
  if (!read.ok) return read;
  const { payload, held } = read.value;
  if (held.commitment.threshold > held.commitment.keyHashes.length) {
    return no("a threshold above the number of keys");
  }
  return readPayload(payload, held);
}

function readPayload(payload: Uint8Array, held: HeldRecovery): Result<ReadRequest, string> {
  const state = decodeState(payload);
  return state.ok
    ? ok({ payload, held, recordId: recordId(STATE, payload), state: state.value })
    : state;
}
