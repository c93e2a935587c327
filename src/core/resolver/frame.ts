/**
 * What a slot knows beside its records, as bytes for the store: what stood before, what a fork left,
 * under what it was signed, and what is gone. The records themselves are stored as they travel.
 *
 *     frame = [1, base payload or empty, fork [] or [nodes, [[x509 hash, tainted], …], [[key id, tainted, expires_at], …]],
 *              anchors, [[hash, until or 0], …]]
 */
import { equalBytes } from "../std/bytes.ts";
import { type CborValue, encodeCbor } from "../std/cbor.ts";
import {
  FRAME_ITEMS_MAX,
  GONE_MAX,
  JWT_AUTHORITIES_MAX,
  NODES_MAX,
  PAYLOAD_BYTES_MAX,
  X509_AUTHORITIES_MAX,
} from "../std/limits.ts";
import { type Result, no, ok } from "../std/result.ts";
import { SHA256_BYTES, sha256 } from "../std/sha256.ts";
import * as shape from "../std/shape.ts";
import { readAuthorities } from "../record/authority.ts";
import type { Proofs } from "../record/proofs.ts";
import { type Standing, standingOf } from "../record/standing.ts";
import { decodeState, encodeState } from "../record/state.ts";
import type { VerifiedRecord } from "../record/verify.ts";
import { JWT_KEY_ID } from "../spiffe/trust-bundle.ts";
import type { Gone } from "./gone.ts";
import type { Slot } from "./slot.ts";

const FORMAT = 1;
const NODE_BYTES = 32;
/** Stands in a base for no node at all, as a payload has one: a fork may have left none. */
const NOBODY = new Uint8Array(NODE_BYTES);

export function encodeFrame({ base, effective, sibling, anchors, gone }: Slot): Uint8Array {
  return encodeCbor([
    FORMAT,
    base === undefined ? new Uint8Array() : encodeBase(base),
    sibling === undefined ? [] : forkValue(effective),
    anchors,
    gone.map(({ hash, untilS }) => [hash, Number.isFinite(untilS) ? untilS : 0]),
  ]);
}

function encodeBase({ state }: Standing): Uint8Array {
  return encodeState({ ...state, nodes: state.nodes.length > 0 ? state.nodes : [NOBODY] });
}

function forkValue({ state, authorities }: Standing): CborValue {
  return [
    state.nodes,
    authorities.map(({ facts, tainted }) => [sha256(facts.der), tainted]),
    state.jwtAuthorities.map(({ keyId, tainted, expiresAtS }) => [keyId, tainted, expiresAtS]),
  ];
}

const hash = shape.bytesExactly(SHA256_BYTES);
const readPositions = shape.tuple(
  shape.literal(FORMAT),
  shape.bytesBetween(0, PAYLOAD_BYTES_MAX),
  shape.emptyOr(
    shape.tuple(
      shape.arrayOf(shape.bytesExactly(NODE_BYTES), 0, NODES_MAX),
      shape.arrayOf(shape.tuple(hash, shape.boolean), 1, X509_AUTHORITIES_MAX),
      shape.arrayOf(
        shape.tuple(shape.textLike(JWT_KEY_ID), shape.boolean, shape.timeS),
        0,
        JWT_AUTHORITIES_MAX,
      ),
    ),
  ),
  shape.arrayOf(hash, 1, X509_AUTHORITIES_MAX),
  shape.arrayOf(shape.tuple(hash, shape.timeS), 0, GONE_MAX),
);

/** A slot back from what was stored of it. The reason says what does not read. */
export function restoreSlot(
  held: VerifiedRecord,
  sibling: VerifiedRecord | undefined,
  frame: Uint8Array,
  proofs: Proofs,
): Result<Slot, string> {
  const read = shape.readCbor(frame, "frame", readPositions, FRAME_ITEMS_MAX);
  if (!read.ok) return read;
  const [, basePayload, fork, anchors, goneValues] = read.value;
  if ((fork === undefined) !== (sibling === undefined)) return no("frame: a fork has two records");
  const base = basePayload.length === 0 ? ok(undefined) : restoreBase(basePayload, proofs);
  if (!base.ok) return base;
  const alone = standingOf(held);
  const effective = fork === undefined ? alone : forkStanding(alone, fork);
  const gone = goneValues.map(([each, untilS]): Gone => ({
    hash: each,
    untilS: untilS === 0 ? Infinity : untilS,
  }));
  return ok({ held, sibling, effective, base: base.value, anchors, gone });
}

function restoreBase(payload: Uint8Array, proofs: Proofs): Result<Standing, string> {
  const state = decodeState(payload);
  if (!state.ok) return state;
  const authorities = readAuthorities(state.value, proofs);
  if (!authorities.ok) return no(`frame: ${authorities.reason.code}`);
  const nodes = state.value.nodes.filter((node) => !equalBytes(node, NOBODY));
  return ok({ state: { ...state.value, nodes }, authorities: authorities.value });
}

type Fork = NonNullable<ReturnType<typeof readPositions>[2]>;

/** What the held record says, less what a sibling took away. */
function forkStanding({ state, authorities }: Standing, [nodes, x509, jwt]: Fork): Standing {
  const left = authorities.flatMap(({ facts }) => {
    const mine = sha256(facts.der);
    const found = x509.find(([each]) => equalBytes(each, mine));
    return found === undefined ? [] : [{ facts, tainted: found[1] }];
  });
  return {
    authorities: left,
    state: {
      ...state,
      nodes,
      x509Authorities: left.map(({ facts, tainted }) => ({ der: facts.der, tainted })),
      jwtAuthorities: state.jwtAuthorities.flatMap((authority) => {
        const found = jwt.find(([keyId]) => keyId === authority.keyId);
        return found === undefined
          ? []
          : [{ ...authority, tainted: found[1], expiresAtS: found[2] }];
      }),
    },
  };
}
