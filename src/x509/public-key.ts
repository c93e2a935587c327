/**
 * SubjectPublicKeyInfo: the key kinds that SPIFFE implementations and Go both take, each with exactly
 * the parameters and the point or number that its standard asks for.
 */
import type { KeyObject } from "node:crypto";
import type { KeyFacts } from "../core/record/proofs.ts";
import { toHex } from "../core/std/bytes.ts";
import {
  type DerCursor,
  DerProblem,
  TAG,
  readDer,
  readOid,
  readSmallUnsigned,
  readUnsigned,
  readWholeBytes,
} from "./der.ts";
import { isUsablePoint } from "./ed25519.ts";
import { makeKeyObject } from "./key-object.ts";

const RSA = "1.2.840.113549.1.1.1";
const EC = "1.2.840.10045.2.1";
const ED25519 = "1.3.101.112";

type Kind = Pick<KeyFacts, "type" | "bits">;

/** y² = x³ − 3x + b over the field of p (SP 800-186, 3.2.1). */
interface Curve extends Kind {
  readonly p: bigint;
  readonly b: bigint;
}

const CURVES: ReadonlyMap<string, Curve> = new Map<string, Curve>([
  [
    "1.2.840.10045.3.1.7",
    {
      type: "ec-p256",
      bits: 256,
      p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
      b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
    },
  ],
  [
    "1.3.132.0.34",
    {
      type: "ec-p384",
      bits: 384,
      p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
      b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
    },
  ],
  [
    "1.3.132.0.35",
    {
      type: "ec-p521",
      bits: 521,
      p: 2n ** 521n - 1n,
      b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
    },
  ],
]);

const RSA_BITS_MIN = 2048;
/**
 * Go's TLS refuses larger keys, as their verification is a way to burn a server's time. Above:
 * refused.
 */
const RSA_BITS_MAX = 8192;
const UNCOMPRESSED_POINT = 0x04;

/** Most keys that are read never verify anything, so their objects are made on demand. */
const keyObjects = new WeakMap<KeyFacts, KeyObject>();

/** The key object of facts that were read here, for node:crypto. Lives as long as they do. */
export function keyObjectOf(facts: KeyFacts): KeyObject {
  const key = keyObjects.get(facts) ?? makeKeyObject(facts.spki);
  keyObjects.set(facts, key);
  return key;
}

/** Reads one SubjectPublicKeyInfo. */
export function readPublicKey(cursor: DerCursor): KeyFacts {
  const spki = cursor.takeWhole(TAG.sequence);
  return { spki, ...readDer(spki, (whole) => whole.within(TAG.sequence, readKind)) };
}

function readKind(fields: DerCursor): Kind {
  const readKey = fields.within(TAG.sequence, readAlgorithm);
  return readKey(readWholeBytes(fields));
}

/** Reads an algorithm with exactly its own parameters, and returns how its keys are read. */
function readAlgorithm(fields: DerCursor): (key: Uint8Array) => Kind {
  const algorithm = readOid(fields);
  if (algorithm === ED25519) return readEd25519;
  if (algorithm === RSA) {
    if (fields.take(TAG.null).length > 0) throw new DerProblem("NULL is not empty");
    return (key) => ({ type: "rsa", bits: readDer(key, readRsaBits) });
  }
  if (algorithm !== EC) throw new DerProblem(`key algorithm ${algorithm} is not on the list`);
  const id = readOid(fields);
  const curve = CURVES.get(id);
  if (curve === undefined) throw new DerProblem(`curve ${id} is not on the list`);
  return (key) => readPoint(key, curve);
}

function readEd25519(key: Uint8Array): Kind {
  if (!isUsablePoint(key)) throw new DerProblem("Ed25519 key is no usable point");
  return { type: "ed25519", bits: 256 };
}

/** An uncompressed point (SEC 1, 2.3.3) that lies on its curve. */
function readPoint(point: Uint8Array, { type, bits, p, b }: Curve): Kind {
  const coordinateBytes = Math.ceil(bits / 8);
  if (point[0] !== UNCOMPRESSED_POINT || point.length !== 1 + 2 * coordinateBytes) {
    throw new DerProblem("EC point is not uncompressed");
  }
  const x = BigInt(`0x${toHex(point.subarray(1, 1 + coordinateBytes))}`);
  const y = BigInt(`0x${toHex(point.subarray(1 + coordinateBytes))}`);
  if (x >= p || y >= p || (y * y - x * x * x + 3n * x - b) % p !== 0n) {
    throw new DerProblem("EC point is not on its curve");
  }
  return { type, bits };
}

function readRsaBits(cursor: DerCursor): number {
  return cursor.within(TAG.sequence, (fields) => {
    const modulus = readUnsigned(fields);
    const exponent = readSmallUnsigned(fields); // Go's rsa package takes 31 bits.
    const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) throw new DerProblem(`RSA key of ${bits} bits`);
    if (exponent < 3 || exponent % 2 === 0 || (modulus.at(-1) ?? 0) % 2 === 0) {
      throw new DerProblem("RSA modulus or exponent is even, or the exponent is below 3");
    }
    return bits;
  });
}
