/**
 * The payload of a `state` record: what a trust domain says about itself (docs/protocol.md 2).
 * No clock, no signer, no nonce: replicas that see the same SPIRE make identical bytes, so that
 * their signature blocks add up.
 */
import { compareBytes, equalBytes, toUtf8 } from "../std/bytes.ts";
import { encodeCbor } from "../std/cbor.ts";
import {
  CERTIFICATE_BYTES_MAX,
  JWT_AUTHORITIES_MAX,
  NODES_MAX,
  RECOVERY_KEYS_MAX,
  REMOVED_NODES_MAX,
  SPKI_BYTES_MAX,
  X509_AUTHORITIES_MAX,
} from "../std/limits.ts";
import type { Result } from "../std/result.ts";
import { no } from "../std/result.ts";
import { SHA256_BYTES, sha256 } from "../std/sha256.ts";
import * as shape from "../std/shape.ts";
import { JWT_KEY_ID, type JwtAuthority, type X509Authority } from "../spiffe/trust-bundle.ts";
import { TRUST_DOMAIN_NAME, type TrustDomain } from "../spiffe/trust-domain.ts";

/** Total order of a trust domain's states, compared left to right. */
export interface Version {
  /** u32; rises only by recovery keys. */
  readonly epoch: number;
  /** u32; rises on what the sequence cannot order: nodes, recovery, a healed fork. */
  readonly rev: number;
  /** u64; SPIRE's own sequence number. */
  readonly sequence: bigint;
}

/** The offline keys that may re-root the trust domain, as hashes: `threshold` of them must sign. */
export interface RecoveryCommitment {
  readonly threshold: number;
  /** SHA-256 of each Ed25519 public key, ascending. */
  readonly keyHashes: readonly Uint8Array[];
}

export interface State {
  readonly trustDomain: TrustDomain;
  /** Record id of the genesis record; in the genesis itself 32 zero bytes. */
  readonly lineage: Uint8Array;
  readonly version: Version;
  /** Ed25519 public keys of the daemons that may publish, ascending, 1 to 16. */
  readonly nodes: readonly Uint8Array[];
  /** The last 32 former nodes in order of removal. */
  readonly removed: readonly Uint8Array[];
  readonly recovery: RecoveryCommitment | undefined;
  /** 1 to 64, ascending by SHA-256 of the DER. */
  readonly x509Authorities: readonly X509Authority[];
  /** 0 to 64, ascending by key id. */
  readonly jwtAuthorities: readonly JwtAuthority[];
}

const NODE_KEY_BYTES = 32;
const FORMAT = 1;
const NO_LINEAGE = new Uint8Array(SHA256_BYTES);

/** Whether the state starts a lineage, whose id is then the record's own. */
export function isGenesis(state: State): boolean {
  return equalBytes(state.lineage, NO_LINEAGE);
}

/** The lineage of a genesis record before it has an id. */
export function noLineage(): Uint8Array {
  return NO_LINEAGE.slice();
}

/** Negative when `left` is the older one. */
export function compareVersions(left: Version, right: Version): number {
  if (left.epoch !== right.epoch) return left.epoch - right.epoch;
  if (left.rev !== right.rev) return left.rev - right.rev;
  return left.sequence < right.sequence ? -1 : Number(left.sequence > right.sequence);
}

/** Encodes a state; sets are sorted here, so the same state always gives the same bytes. */
export function encodeState(state: State): Uint8Array {
  const { epoch, rev, sequence } = state.version;
  const { recovery } = state;
  return encodeCbor([
    FORMAT,
    state.trustDomain,
    state.lineage,
    epoch,
    rev,
    sequence,
    [...state.nodes].sort(compareBytes),
    state.removed,
    recovery === undefined ? [] : [recovery.threshold, [...recovery.keyHashes].sort(compareBytes)],
    state.x509Authorities
      .map(({ der, tainted }) => ({ hash: sha256(der), item: [der, tainted] }))
      .sort((left, right) => compareBytes(left.hash, right.hash))
      .map(({ item }) => item),
    [...state.jwtAuthorities]
      .sort((left, right) => compareBytes(toUtf8(left.keyId), toUtf8(right.keyId)))
      .map(({ keyId, spki, expiresAtS, tainted }) => [keyId, spki, expiresAtS, tainted]),
  ]);
}

const node = shape.bytesExactly(NODE_KEY_BYTES);
const hash = shape.bytesExactly(SHA256_BYTES);
const bytesThemselves = (bytes: Uint8Array): Uint8Array => bytes;

const readPositions = shape.tuple(
  shape.literal(FORMAT),
  shape.textLike(TRUST_DOMAIN_NAME),
  hash,
  shape.u32,
  shape.u32,
  shape.u64,
  shape.sortedArrayOf(node, 1, NODES_MAX, bytesThemselves),
  shape.arrayOf(node, 0, REMOVED_NODES_MAX),
  shape.emptyOr(
    shape.tuple(
      shape.integerBetween(1, RECOVERY_KEYS_MAX),
      shape.sortedArrayOf(hash, 1, RECOVERY_KEYS_MAX, bytesThemselves),
    ),
  ),
  shape.sortedArrayOf(
    shape.tuple(shape.bytesBetween(1, CERTIFICATE_BYTES_MAX), shape.boolean),
    1,
    X509_AUTHORITIES_MAX,
    ([der]) => sha256(der),
  ),
  shape.sortedArrayOf(
    shape.tuple(
      shape.textLike(JWT_KEY_ID),
      shape.bytesBetween(1, SPKI_BYTES_MAX),
      shape.timeS,
      shape.boolean,
    ),
    0,
    JWT_AUTHORITIES_MAX,
    ([keyId]) => toUtf8(keyId),
  ),
);

/** Reads a state strictly: shape, ranges, order. The reason is in words, for a log. */
export function decodeState(payload: Uint8Array): Result<State, string> {
  const read = shape.readCbor(payload, "state", (value, at): State => {
    const [, name, lineage, epoch, rev, sequence, nodes, removed, recovery, x509, jwt] =
      readPositions(value, at);
    return {
      trustDomain: name as TrustDomain,
      lineage,
      version: { epoch, rev, sequence },
      nodes,
      removed,
      recovery: recovery && { threshold: recovery[0], keyHashes: recovery[1] },
      x509Authorities: x509.map(([der, tainted]) => ({ der, tainted })),
      jwtAuthorities: jwt.map(([keyId, spki, expiresAtS, tainted]) => ({
        keyId,
        spki,
        expiresAtS,
        tainted,
      })),
    };
  });
  if (!read.ok) return read;
  const { version, removed, recovery } = read.value;
  if (isGenesis(read.value) && (version.epoch > 0 || version.rev > 0 || removed.length > 0)) {
    return no("state: a genesis has epoch 0, rev 0 and no removed nodes");
  }
  if (recovery !== undefined && recovery.threshold > recovery.keyHashes.length) {
    return no("state: a recovery threshold above the number of keys");
  }
  return read;
}
