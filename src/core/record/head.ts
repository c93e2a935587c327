/**
 * A head: one node says which record of its trust domain it stands on, every minute and on change. It
 * claims freshness and nothing else, so the node key alone signs it (docs/protocol.md 2).
 */
import { encodeCbor } from "../std/cbor.ts";
import { HEAD_BYTES_MAX } from "../std/limits.ts";
import { type Result, no } from "../std/result.ts";
import { ok } from "../std/result.ts";
import { SHA256_BYTES } from "../std/sha256.ts";
import * as shape from "../std/shape.ts";
import { TRUST_DOMAIN_NAME, type TrustDomain } from "../spiffe/trust-domain.ts";
import { headPreimage, recordId } from "./preimages.ts";
import type { Proofs } from "./proofs.ts";
import { type Judged, refuse } from "./refusal.ts";
import type { Version } from "./state.ts";

export interface Head {
  readonly trustDomain: TrustDomain;
  /** Record id of the genesis. 32 bytes. */
  readonly lineage: Uint8Array;
  readonly version: Version;
  /** The record that the node holds as its own. 32 bytes. */
  readonly recordId: Uint8Array;
  /** u64; rises with each head of one node, restarts included. */
  readonly counter: bigint;
  /** Unix milliseconds by the node's clock, below 2^53. */
  readonly issuedAtMs: number;
}

/** A head as it came: whether its node signed it is asked last. */
export interface ClaimedHead {
  readonly head: Head;
  /** Ed25519, 32 bytes. */
  readonly nodePublicKey: Uint8Array;
  readonly signature: Uint8Array;
  readonly payload: Uint8Array;
}

const FORMAT = 1;
const KIND = 2;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

export function encodeHeadPayload(head: Head): Uint8Array {
  const { epoch, rev, sequence } = head.version;
  return encodeCbor([
    FORMAT,
    head.trustDomain,
    head.lineage,
    epoch,
    rev,
    sequence,
    head.recordId,
    head.counter,
    head.issuedAtMs,
  ]);
}

/** What the node key signs. */
export function headSigningBytes(payload: Uint8Array): Uint8Array {
  return headPreimage(recordId(KIND, payload));
}

/** @param signature Of the node over {@link headSigningBytes}, 64 bytes. */
export function encodeHead(
  payload: Uint8Array,
  nodePublicKey: Uint8Array,
  signature: Uint8Array,
): Uint8Array {
  return encodeCbor([KIND, payload, [[nodePublicKey, signature]], []]);
}

const readEnvelope = shape.tuple(
  shape.literal(KIND),
  shape.bytesBetween(1, HEAD_BYTES_MAX),
  shape.arrayOf(
    shape.tuple(shape.bytesExactly(KEY_BYTES), shape.bytesExactly(SIGNATURE_BYTES)),
    1,
    1,
  ),
  shape.arrayOf(shape.boolean, 0, 0),
);
const hash = shape.bytesExactly(SHA256_BYTES);
const readPayload = shape.tuple(
  shape.literal(FORMAT),
  shape.textLike(TRUST_DOMAIN_NAME),
  hash,
  shape.u32,
  shape.u32,
  shape.u64,
  hash,
  shape.u64,
  shape.timeS, // In milliseconds here; the bound is the same.
);

/** Size, shape, ranges. */
export function decodeHead(bytes: Uint8Array): Judged<ClaimedHead> {
  const read = readHead(bytes);
  return read.ok ? read : refuse("HEAD_MALFORMED", read.reason);
}

function readHead(bytes: Uint8Array): Result<ClaimedHead, string> {
  if (bytes.length > HEAD_BYTES_MAX) return no("head: above 1 KiB");
  const envelope = shape.readCbor(bytes, "head", readEnvelope);
  if (!envelope.ok) return envelope;
  const [, payload, [signed]] = envelope.value;
  const read = shape.readCbor(payload, "head", readPayload);
  if (!read.ok) return read;
  if (signed === undefined) return no("head: without a signature");
  const [, name, lineage, epoch, rev, sequence, recordIdBytes, counter, issuedAtMs] = read.value;
  const version = { epoch, rev, sequence };
  const trustDomain = name as TrustDomain;
  return ok({
    head: { trustDomain, lineage, version, recordId: recordIdBytes, counter, issuedAtMs },
    nodePublicKey: signed[0],
    signature: signed[1],
    payload,
  });
}

/** Whether the node that it carries signed it. */
export function isSignedHead(
  { payload, nodePublicKey, signature }: ClaimedHead,
  proofs: Pick<Proofs, "verifiesNode">,
): boolean {
  return proofs.verifiesNode(nodePublicKey, headSigningBytes(payload), signature);
}
