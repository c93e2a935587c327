/**
 * One X.509 certificate, read by the positive list: every field has a strict decoder and what it does
 * not know is refused. Its law is that whatever passes parses in Go's crypto/x509, because one
 * authority that does not stops every agent that should have received it (measured).
 */
import { verify } from "node:crypto";
import type { CertificateFacts } from "../core/record/proofs.ts";
import { equalBytes } from "../core/std/bytes.ts";
import {
  type DerCursor,
  DerProblem,
  TAG,
  readDer,
  readSmallUnsigned,
  readUnsigned,
  readWholeBytes,
} from "./der.ts";
import { readExtensions } from "./extensions.ts";
import { isEmptyName, readName, readSubject } from "./names.ts";
import { keyObjectOf, readPublicKey } from "./public-key.ts";
import { familyOf, readSignatureAlgorithm } from "./signature-algorithm.ts";
import { readValidity } from "./validity.ts";

const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
/** Versions count from 0. */
const V3 = 2;
/** RFC 5280, 4.1.2.2. Above: refused, and so is the record. */
const SERIAL_NUMBER_BYTES_MAX = 20;

/** The three fields of a Certificate. */
interface SignedPart {
  /** The signed part and its algorithm, as they stand. */
  readonly tbs: Uint8Array;
  readonly algorithm: Uint8Array;
  readonly signature: Uint8Array;
}

/** Reads the one certificate that fills `der`, or throws a `DerProblem`. The facts point into `der`. */
export function readCertificateDer(der: Uint8Array): CertificateFacts {
  const { tbs, algorithm } = split(der);
  const fields = (content: DerCursor) => readTbs(content, algorithm);
  return { der, ...readDer(tbs, (whole) => whole.within(TAG.sequence, fields)) };
}

/** Whether the parent's key made the signature of a certificate that was read before. */
export function isSignedBy(der: Uint8Array, parent: CertificateFacts): boolean {
  const { tbs, algorithm, signature } = split(der);
  const { family, digest } = readDer(algorithm, readSignatureAlgorithm);
  if (digest === undefined || family !== familyOf(parent.key.type)) return false;
  return verify(digest, tbs, keyObjectOf(parent.key), signature);
}

function split(der: Uint8Array): SignedPart {
  return readDer(der, (whole) =>
    whole.within(TAG.sequence, (fields) => ({
      tbs: fields.takeWhole(TAG.sequence),
      algorithm: fields.takeWhole(TAG.sequence),
      signature: readWholeBytes(fields),
    })),
  );
}

function readTbs(fields: DerCursor, outerAlgorithm: Uint8Array): Omit<CertificateFacts, "der"> {
  if (fields.within(VERSION, readSmallUnsigned) !== V3) throw new DerProblem("not version 3");
  checkSerialNumber(readUnsigned(fields));
  const algorithm = fields.takeWhole(TAG.sequence);
  readDer(algorithm, readSignatureAlgorithm);
  if (!equalBytes(algorithm, outerAlgorithm)) {
    throw new DerProblem("signature algorithms inside and outside differ");
  }
  const issuer = readName(fields);
  const validity = readValidity(fields);
  const subject = readSubject(fields);
  const key = readPublicKey(fields);
  // Unique ids would come here; RFC 5280 forbids making them.
  const { namedByCriticalSan, ...extensions } = fields.within(EXTENSIONS, readExtensions);
  // RFC 5280, 4.1.2.6: only the critical subjectAltName of an end entity may stand for a name.
  if (isEmptyName(subject) && (extensions.isCa || !namedByCriticalSan)) {
    throw new DerProblem("empty subject of a CA, or without a critical subjectAltName");
  }
  return { issuer, subject, ...validity, key, ...extensions };
}

/** Positive and at most 20 bytes, a sign byte included (RFC 5280, 4.1.2.2). */
function checkSerialNumber(unsigned: Uint8Array): void {
  const [first = 0] = unsigned;
  const encodedBytes = unsigned.length + (first >= 0x80 ? 1 : 0);
  // In the shortest form, zero alone begins with a zero byte.
  if (first === 0 || encodedBytes > SERIAL_NUMBER_BYTES_MAX) {
    throw new DerProblem("serial number is zero or longer than 20 bytes");
  }
}
