/**
 * The bytes under every signature and id of the protocol, all in this one file (docs/protocol.md 2).
 * Each has a prefix of its own, so that no signature can be passed off as another.
 */
import { concatBytes, toUtf8, u64be } from "../std/bytes.ts";
import { encodeCbor } from "../std/cbor.ts";
import { sha256 } from "../std/sha256.ts";

/** Kinds of record, by their number on the wire. */
export const RECORD_KINDS = { 1: "state" } as const;
export type RecordKind = keyof typeof RECORD_KINDS;

/** A recovery key (32 bytes) and its signature (64 bytes). */
export type RecoverySignature = readonly [publicKey: Uint8Array, signature: Uint8Array];

/** SHA-256 of DSSE's pre-authentication encoding of a payload: 32 bytes that name the record. */
export function recordId(kind: RecordKind, payload: Uint8Array): Uint8Array {
  const type = `application/vnd.spire-mesh.${RECORD_KINDS[kind]}.v1+cbor`;
  const head = toUtf8(`DSSEv1 ${type.length} ${type} ${payload.length} `);
  return sha256(concatBytes(head, payload));
}

/** What the X509-SVID's key signs: record, node, time and its own chain. */
export function svidPreimage(
  recordIdBytes: Uint8Array,
  nodePublicKey: Uint8Array,
  signedAtS: number,
  chain: readonly Uint8Array[],
): Uint8Array {
  return concatBytes(
    toUtf8("spire-mesh svid 1\0"),
    recordIdBytes,
    nodePublicKey,
    u64be(BigInt(signedAtS)),
    sha256(encodeCbor(chain)),
  );
}

/** What the node key signs: record, time and everything else that its block and envelope carry. */
export function nodePreimage(
  recordIdBytes: Uint8Array,
  signedAtS: number,
  chains: readonly (readonly Uint8Array[])[],
  svidSignatures: readonly Uint8Array[],
  recovery: readonly RecoverySignature[],
): Uint8Array {
  return concatBytes(
    toUtf8("spire-mesh node 1\0"),
    recordIdBytes,
    u64be(BigInt(signedAtS)),
    sha256(encodeCbor([chains, svidSignatures, recovery])),
  );
}

/** What each recovery key signs: the record alone. */
export function recoveryPreimage(recordIdBytes: Uint8Array): Uint8Array {
  return concatBytes(toUtf8("spire-mesh recovery 1\0"), recordIdBytes);
}
