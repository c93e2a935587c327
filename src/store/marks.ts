/**
 * The marks: what was held of each trust domain, without the records. A file beside the store, so that
 * a store that went back or was lost is noticed, and what it held is known (docs/protocol.md 7).
 *
 *     file  = CBOR of [format, store id, batches, head counter, entries] ‖ SHA-256 of it
 *     entry = CBOR of [name, lineage, version, record id, base id or [], nodes, pin or [], own or []],
 *             as a byte string, so that one that did not change is not encoded again
 *
 * Whatever has no pin is the own trust domain: nobody approved it, and no partner has to have all of
 * it. So its entry holds everything. What a later version adds is appended.
 */
import assert from "node:assert/strict";
import type { Pin } from "../core/mesh/partner.ts";
import { TRUST_DOMAIN_NAME, type TrustDomain } from "../core/spiffe/trust-domain.ts";
import { concatBytes, equalBytes } from "../core/std/bytes.ts";
import { type CborValue, encodeCbor, peekItem } from "../core/std/cbor.ts";
import { PINNED_DOMAINS_MAX } from "../core/std/limits.ts";
import { type Result, no, ok } from "../core/std/result.ts";
import { SHA256_BYTES, sha256 } from "../core/std/sha256.ts";
import * as shape from "../core/std/shape.ts";
import type { Mark, StepEntry, StoredDomain } from "../ports/record-store.ts";
import { heldDomain, id, map, nodes, optional, pinOf, version } from "./position.ts";
import { STORE_ID_BYTES } from "./stored-value.ts";

export interface Marks {
  /** 16 bytes: which store they stand beside. */
  readonly storeId: Uint8Array;
  /** Batches that it held at least. */
  readonly writes: bigint;
  readonly headCounter: bigint;
  readonly entries: ReadonlyMap<TrustDomain, MarkEntry>;
}

/** What `encodeMark` made. */
export type MarkEntry = Uint8Array;

/** What stands in an entry. */
export interface Marked {
  readonly mark: Mark;
  /** Of the own trust domain all that is held. */
  readonly own: StoredDomain | undefined;
}

export const MARKS_FORMAT = 1;
/** Partners, the own trust domain, and names that it had before. More are our own mistake: refused. */
const ENTRIES_MAX = PINNED_DOMAINS_MAX + 16;
/** Two lead to a partner whose records are lost; the others come back with its sync. The rest is left out. */
const HINTS_MAX = 2;
/** The own trust domain's entry; another's takes 2 KiB at the most. More is not read: damaged. */
const ENTRY_BYTES_MAX = 640 * 1_024;

export function encodeMarks({ storeId, writes, headCounter, entries }: Marks): Uint8Array {
  assert(entries.size <= ENTRIES_MAX, "no more marks than partners");
  const bytes = encodeCbor([MARKS_FORMAT, storeId, writes, headCounter, [...entries.values()]]);
  return concatBytes(bytes, sha256(bytes));
}

/** What is wrong with marks that were read: in words, and their format when that is another. */
export interface BadMarks {
  readonly problem: string;
  readonly format: number | bigint | undefined;
}

export function decodeMarks(file: Uint8Array): Result<Marks, BadMarks> {
  const bytes = file.subarray(0, -SHA256_BYTES);
  if (!equalBytes(sha256(bytes), file.subarray(-SHA256_BYTES))) {
    return no({ problem: "they do not match their hash", format: undefined });
  }
  const read = shape.readCbor(bytes, "marks", readFile, ENTRIES_MAX + ITEMS_AROUND);
  if (!read.ok) {
    const first = peekItem(bytes, 0);
    const isFormat = typeof first === "number" || typeof first === "bigint";
    const format = isFormat && first !== MARKS_FORMAT ? first : undefined;
    return no({ problem: read.reason, format });
  }
  const [, storeId, writes, headCounter, list] = read.value;
  const entries = new Map<TrustDomain, MarkEntry>();
  for (const entry of list) {
    const marked = readEntry(entry);
    if (!marked.ok) return no({ problem: marked.reason, format: undefined });
    entries.set(marked.value.mark.trustDomain, entry);
  }
  if (entries.size < list.length) return no({ problem: "one is there twice", format: undefined });
  return ok({ storeId, writes, headCounter, entries });
}

/** @param steps Ascending; the last is held, and the one before it is the base. */
export function encodeMark(
  domain: StoredDomain,
  steps: readonly StepEntry[],
  pin: Pin | undefined,
): MarkEntry {
  const { trustDomain, held } = domain;
  const entry = encodeCbor([
    trustDomain,
    id.encode(domain.lineage),
    held.epoch,
    held.rev,
    held.sequence,
    id.encode(held.recordId),
    optional(id).encode(steps.at(-2)?.recordId),
    nodes.encode(domain.nodes),
    pin === undefined ? [] : pinOf(trustDomain, HINTS_MAX).encode(pin),
    optional(heldDomain).encode(pin === undefined ? domain : undefined),
  ]);
  const readBack = readEntry(entry);
  assert(readBack.ok, `a mark that cannot be read back: ${readBack.ok ? "" : readBack.reason}`);
  return entry;
}

/** What stands in an entry that was made here or came with `decodeMarks`. */
export function decodeMark(entry: MarkEntry): Marked {
  const read = readEntry(entry);
  assert(read.ok, "a mark was read before");
  return read.value;
}

/** The file's own positions, and the arrays around them. */
const ITEMS_AROUND = 6;

const readFile = shape.tuple(
  shape.literal(MARKS_FORMAT),
  shape.bytesExactly(STORE_ID_BYTES),
  shape.u64,
  shape.u64,
  shape.arrayOf(shape.bytesBetween(1, ENTRY_BYTES_MAX), 0, ENTRIES_MAX),
);

const anything: shape.Reader<CborValue> = (value) => value;
const readPositions = shape.tuple(
  map(shape.textLike(TRUST_DOMAIN_NAME), (name) => name as TrustDomain),
  id.read,
  ...version,
  id.read,
  optional(id).read,
  nodes.read,
  anything,
  optional(heldDomain).read,
);

function readEntry(entry: MarkEntry): Result<Marked, string> {
  return shape.readCbor(entry, "mark", (value, at) => {
    const [trustDomain, lineage, epoch, rev, sequence, recordId, baseId, keys, pinned, own] =
      readPositions(value, at);
    const pin = shape.emptyOr(pinOf(trustDomain, HINTS_MAX).read)(pinned, at);
    return {
      mark: { trustDomain, lineage, epoch, rev, sequence, recordId, baseId, nodes: keys, pin },
      own: own && { trustDomain, ...own },
    };
  });
}
