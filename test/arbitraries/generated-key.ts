/** Public keys of every kind and size, and bytes that are none. */
import * as fc from "fast-check";
import { type TestKeyType, makeKeyPair, spkiOf } from "./certificate.ts";
import { TAG, bitString, integer, oid, sequence, tlv } from "./der.ts";
import { type Der, bytes, mostly } from "./der-grammar.ts";
import { OID } from "./generated-names.ts";

const KEY_TYPES: readonly TestKeyType[] = ["ec-p256", "ec-p384", "ec-p521", "rsa-2048", "ed25519"];
const ODD_KEY_TYPES: readonly TestKeyType[] = ["ec-p224", "ec-secp256k1", "rsa-1024"];
const keys = (types: readonly TestKeyType[]): Der =>
  fc.constantFrom(...types.map((type) => spkiOf(makeKeyPair(type).publicKey)));
const RSA = oid("1.2.840.113549.1.1.1");
const NULL = tlv(TAG.null);
const rsaKey = (modulus: Uint8Array, exponent: Uint8Array): Buffer =>
  sequence(sequence(RSA, NULL), bitString(sequence(integer(modulus), integer(exponent))));

/** A SubjectPublicKeyInfo of every kind, and of many that are none. */
export const generatedKey: Der = fc.oneof(
  { weight: 6, arbitrary: keys(KEY_TYPES) },
  keys(ODD_KEY_TYPES),
  // Numbers of any size: nobody who reads factors them.
  fc.tuple(bytes(120, 520), bytes(1, 6)).map(([modulus, exponent]) => rsaKey(modulus, exponent)),
  bytes(256, 256).map((modulus) => rsaKey(modulus, Buffer.of(1, 0, 1))),
  bytes(30, 34).map((point) => sequence(sequence(oid("1.3.101.112")), bitString(point))),
  bytes(32, 32).map((point) => sequence(sequence(oid("1.3.101.112")), bitString(point))),
  fc
    .tuple(fc.constantFrom("1.3.101.110", "1.3.101.113", "1.2.840.10045.2.1"), OID, bytes(0, 66))
    .map(([algorithm, curve, point]) =>
      sequence(sequence(oid(algorithm), curve), bitString(point)),
    ),
  fc
    .tuple(fc.constantFrom("1.2.840.10045.3.1.7", "1.3.132.0.34"), bytes(96, 97))
    .map(([curve, point]) =>
      sequence(
        sequence(oid("1.2.840.10045.2.1"), oid(curve)),
        bitString(Buffer.concat([Buffer.of(4), point])),
      ),
    ),
);
export const KEY: Der = mostly(keys(KEY_TYPES), generatedKey);
