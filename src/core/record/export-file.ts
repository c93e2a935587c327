/**
 * A record as a file: how two trust domains meet without a network (docs/protocol.md 5).
 *
 *     [1, envelope bstr, addresses [tstr …]]        deterministic CBOR, at most 160 KiB
 *
 * The envelope proves itself, and the fingerprint that travels beside the file is the id of its
 * record. The addresses are hints for dialing: nobody signed them, so they are never trusted.
 */
import assert from "node:assert/strict";
import { encodeCbor } from "../std/cbor.ts";
import { ENVELOPE_BYTES_MAX } from "../std/limits.ts";
import { type Result, no, ok } from "../std/result.ts";
import { arrayOf, bytesBetween, literal, readCbor, textLike, tuple } from "../std/shape.ts";

export interface ExportFile {
  /** One encoded envelope, not yet looked at: 1 byte to 128 KiB. */
  readonly envelope: Uint8Array;
  /** Multiaddrs as text, not yet parsed; the first is tried first. */
  readonly addresses: readonly string[];
}

/** Why bytes are no export file, in the words of whoever tried to open it. */
export interface ExportFileProblem {
  readonly kind: "empty" | "too-large" | "truncated" | "not-an-export";
  /** Continues a sentence that begins with the file's name. */
  readonly problem: string;
}

const FORMAT = 1;
/** An envelope and as many hints as there may be, with room to spare. Above: refused unread. */
export const EXPORT_FILE_BYTES_MAX = 160 * 1024;
/**
 * A daemon listens on a few addresses, and 16 nodes of one domain are the most there can be. Above: a
 * file is refused, and of the own addresses the first ones are written.
 */
export const EXPORT_ADDRESSES_MAX = 16;
/** Printable ASCII; a multiaddr with a 255-byte DNS name, a port and a peer id is below 400. */
const ADDRESS = /^[\x21-\x7e]{1,512}$/;
/** How every export file begins: an array of three, then the format, then a byte string. */
const FIRST_BYTES = [0x83, FORMAT] as const;

const readExportFile = tuple(
  literal(FORMAT),
  bytesBetween(1, ENVELOPE_BYTES_MAX),
  arrayOf(textLike(ADDRESS), 0, EXPORT_ADDRESSES_MAX),
);

/** Encodes what `decodeExportFile` takes, and asserts that it does: the caller keeps its bounds. */
export function encodeExportFile(file: ExportFile): Uint8Array {
  const bytes = encodeCbor([FORMAT, file.envelope, file.addresses]);
  assert(decodeExportFile(bytes).ok, "an export file that can be read");
  return bytes;
}

/** Decodes exactly one export file, strictly: what is taken encodes to the same bytes again. */
export function decodeExportFile(bytes: Uint8Array): Result<ExportFile, ExportFileProblem> {
  if (bytes.length === 0) return no({ kind: "empty", problem: "is empty" });
  if (bytes.length > EXPORT_FILE_BYTES_MAX) {
    const problem = `is larger than ${EXPORT_FILE_BYTES_MAX / 1024} KiB, as no export file is`;
    return no({ kind: "too-large", problem });
  }
  const read = readCbor(bytes, "export file", readExportFile);
  if (!read.ok) return no(isCutOff(bytes, read.reason) ? TRUNCATED : notAnExport(read.reason));
  const [, envelope, addresses] = read.value;
  return ok({ envelope, addresses });
}

const TRUNCATED: ExportFileProblem = {
  kind: "truncated",
  problem: "ends too early: it was not copied whole",
};

function notAnExport(reason: string): ExportFileProblem {
  return {
    kind: "not-an-export",
    problem: `is not an export file that this version of spire-mesh reads (${reason})`,
  };
}

/** Whether the bytes begin as an export file does and then stop. */
function isCutOff(bytes: Uint8Array, reason: string): boolean {
  const begins = FIRST_BYTES.every((byte, index) => index >= bytes.length || bytes[index] === byte);
  return begins && reason.endsWith("ends too early");
}
