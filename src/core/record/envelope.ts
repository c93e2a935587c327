/** The envelope around a payload: the signature blocks of one record (docs/protocol.md 2). */
import { toHex } from "../std/bytes.ts";
import { encodeCbor } from "../std/cbor.ts";
import {
  BLOCKS_MAX,
  CERTIFICATE_BYTES_MAX,
  CHAIN_CERTIFICATES_MAX,
  ENVELOPE_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  RECOVERY_KEYS_MAX,
} from "../std/limits.ts";
import { type Result, no } from "../std/result.ts";
import * as shape from "../std/shape.ts";
import type { RecoverySignature } from "./preimages.ts";

/** X.509 certificates as DER, leaf first, 1 to 4 of them, without the root. */
export type Chain = readonly Uint8Array[];

/** One node's signature over a record: both factors. */
export interface Block {
  /** Ed25519, 32 bytes. */
  readonly nodePublicKey: Uint8Array;
  /** Unix time in seconds. */
  readonly signedAtS: number;
  /** `[old, new]`, or one chain that is both. */
  readonly chains: readonly Chain[];
  /** One for each chain: ECDSA P-256, 64 bytes r‖s, s ≤ n/2. */
  readonly svidSignatures: readonly Uint8Array[];
  /** Ed25519, 64 bytes. */
  readonly nodeSignature: Uint8Array;
}

export interface Envelope {
  /** A state; heads have an envelope of their own. */
  readonly kind: 1;
  readonly payload: Uint8Array;
  /** 1 to 8, no node signature twice: one signature would be paid for once and checked eight times. */
  readonly blocks: readonly Block[];
  /** Empty, or those of recovery keys, ascending by public key. */
  readonly recovery: readonly RecoverySignature[];
}

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

export function encodeEnvelope(envelope: Envelope): Uint8Array {
  return encodeCbor([
    envelope.kind,
    envelope.payload,
    envelope.blocks.map((block) => [
      block.nodePublicKey,
      block.signedAtS,
      block.chains,
      block.svidSignatures,
      block.nodeSignature,
    ]),
    envelope.recovery,
  ]);
}

const certificate = shape.bytesBetween(1, CERTIFICATE_BYTES_MAX);
const signature = shape.bytesExactly(SIGNATURE_BYTES);

const readBlock = shape.tuple(
  shape.bytesExactly(KEY_BYTES),
  shape.timeS,
  shape.arrayOf(shape.arrayOf(certificate, 1, CHAIN_CERTIFICATES_MAX), 1, 2),
  shape.arrayOf(signature, 1, 2),
  signature,
);

const readPositions = shape.tuple(
  shape.literal(1),
  shape.bytesBetween(1, PAYLOAD_BYTES_MAX),
  shape.arrayOf(readBlock, 1, BLOCKS_MAX),
  shape.sortedArrayOf(
    shape.tuple(shape.bytesExactly(KEY_BYTES), signature),
    0,
    RECOVERY_KEYS_MAX,
    ([publicKey]) => publicKey,
  ),
);

/** Reads an envelope strictly: size, depth, shape, ranges. The reason is in words, for a log. */
export function decodeEnvelope(bytes: Uint8Array): Result<Envelope, string> {
  if (bytes.length > ENVELOPE_BYTES_MAX) return no("envelope: above 128 KiB");
  const read = shape.readCbor(bytes, "envelope", (value, at): Envelope => {
    const [kind, payload, blocks, recovery] = readPositions(value, at);
    return {
      kind,
      payload,
      blocks: blocks.map(([nodePublicKey, signedAtS, chains, svidSignatures, nodeSignature]) => ({
        nodePublicKey,
        signedAtS,
        chains,
        svidSignatures,
        nodeSignature,
      })),
      recovery,
    };
  });
  if (!read.ok) return read;
  const { blocks } = read.value;
  if (blocks.some((b) => b.chains.length !== b.svidSignatures.length)) {
    return no("envelope: a block needs one SVID signature for each chain");
  }
  if (new Set(blocks.map((b) => toHex(b.nodeSignature))).size < blocks.length) {
    return no("envelope: the same block twice");
  }
  return read;
}
