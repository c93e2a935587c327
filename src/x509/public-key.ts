/**
 * SubjectPublicKeyInfo: the key kinds that SPIFFE implementations and Go both take, each with exactly
 * the parameters and the point or number that its standard asks for.
 */
import { type KeyObject, createPublicKey } from "node:crypto";
import type { KeyFacts, KeyType } from "../core/record/proofs.ts";
import {
  type DerCursor,
  DerProblem,
  TAG,
  readDer,
  readOid,
  readUnsigned,
  readWholeBytes,
} from "./der.ts";
import { isUsablePoint } from "./ed25519.ts";

const RSA = "1.2.840.113549.1.1.1";
const EC = "1.2.840.10045.2.1";
const ED25519 = "1.3.101.112";

interface Curve {
  readonly type: KeyType;
  readonly bits: number;
}

const CURVES: ReadonlyMap<string, Curve> = new Map<string, Curve>([
  ["1.2.840.10045.3.1.7", { type: "ec-p256", bits: 256 }],
  ["1.3.132.0.34", { type: "ec-p384", bits: 384 }],
  ["1.3.132.0.35", { type: "ec-p521", bits: 521 }],
]);

const RSA_BITS_MIN = 2048;
/** Go's TLS refuses larger keys, as their verification is a way to burn a server's time. */
const RSA_BITS_MAX = 8192;
/** Go's rsa package takes exponents of at most 31 bits. */
const RSA_EXPONENT_BYTES_MAX = 4;
const UNCOMPRESSED_POINT = 0x04;

/** A key's object lives as long as its facts: making one takes 30 µs, a third of verifying with it. */
const keyObjects = new WeakMap<KeyFacts, KeyObject>();

/** The key object of facts that were read here, for node:crypto. */
export function keyObjectOf(facts: KeyFacts): KeyObject {
  return keyObjects.get(facts) ?? makeKeyObject(facts.spki);
}

/** Reads one SubjectPublicKeyInfo. */
export function readPublicKey(cursor: DerCursor): KeyFacts {
  const spki = cursor.takeWhole(TAG.sequence);
  const facts = { spki, ...readDer(spki, (whole) => whole.within(TAG.sequence, readKind)) };
  // OpenSSL refuses a point that is not on its curve, and whatever else it could not verify with.
  keyObjects.set(facts, makeKeyObject(spki));
  return facts;
}

function makeKeyObject(spki: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  } catch {
    throw new DerProblem("public key is not valid for its algorithm");
  }
}

function readKind(fields: DerCursor): Curve {
  const [algorithm, curve] = fields.within(TAG.sequence, readAlgorithm);
  const key = readWholeBytes(fields);
  if (algorithm === RSA) return { type: "rsa", bits: readDer(key, readRsaBits) };
  if (algorithm === ED25519) {
    if (!isUsablePoint(key)) throw new DerProblem("Ed25519 key is no usable point");
    return { type: "ed25519", bits: 256 };
  }
  const known = CURVES.get(curve);
  if (known === undefined) throw new DerProblem(`curve ${curve} is not on the list`);
  const coordinateBytes = Math.ceil(known.bits / 8);
  if (key[0] !== UNCOMPRESSED_POINT || key.length !== 1 + 2 * coordinateBytes) {
    throw new DerProblem("EC point is not uncompressed");
  }
  return known;
}

/** The algorithm and, for EC, the named curve: each algorithm has exactly its own parameters. */
function readAlgorithm(fields: DerCursor): readonly [algorithm: string, curve: string] {
  const algorithm = readOid(fields);
  if (algorithm === EC) return [algorithm, readOid(fields)];
  if (algorithm === RSA) {
    if (fields.take(TAG.null).length > 0) throw new DerProblem("NULL is not empty");
  } else if (algorithm !== ED25519) {
    throw new DerProblem(`key algorithm ${algorithm} is not on the list`);
  }
  return [algorithm, ""];
}

function readRsaBits(cursor: DerCursor): number {
  return cursor.within(TAG.sequence, (fields) => {
    const modulus = readUnsigned(fields);
    const exponent = readUnsigned(fields);
    const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) throw new DerProblem(`RSA key of ${bits} bits`);
    const tooLarge =
      exponent.length > RSA_EXPONENT_BYTES_MAX ||
      (exponent.length === RSA_EXPONENT_BYTES_MAX && (exponent[0] ?? 0) >= 0x80);
    const isOne = exponent.length === 1 && exponent[0] === 1;
    if (tooLarge || isOne || !isOdd(exponent) || !isOdd(modulus)) {
      throw new DerProblem("RSA modulus or exponent is even, or the exponent is out of range");
    }
    return bits;
  });
}

function isOdd(bigEndian: Uint8Array): boolean {
  return ((bigEndian.at(-1) ?? 0) & 1) === 1;
}
