/** A request for an X509-SVID, byte by byte, from RFC 2986 by another writer of object identifiers. */
import { createPublicKey, verify } from "node:crypto";
import { expect, test } from "vitest";
import { requestSvid } from "../../src/x509/csr.ts";
import { readDer } from "../../src/x509/der.ts";
import { spkiOf } from "../arbitraries/certificate.ts";
import { TAG, integer, octetString, oid, sequence, set, tlv } from "../arbitraries/der.ts";

test("a request is version 1, no subject, a P-256 key, one URI SAN and an ECDSA signature", () => {
  const id = "spiffe://alpha.test/spire-mesh/publisher";
  const { csr, privateKey } = requestSvid(id);
  const publicKey = createPublicKey(privateKey);
  const subjectAltName = sequence(oid("2.5.29.17"), octetString(sequence(tlv(0x86, id))));
  const extensionRequest = sequence(oid("1.2.840.113549.1.9.14"), set(sequence(subjectAltName)));
  const info = sequence(integer(0), sequence(), spkiOf(publicKey), tlv(0xa0, extensionRequest));
  const [read, algorithm, signature] = readDer(csr, (whole) =>
    whole.within(
      TAG.sequence,
      (fields) =>
        [
          fields.takeWhole(TAG.sequence),
          fields.takeWhole(TAG.sequence),
          fields.take(TAG.bitString),
        ] as const,
    ),
  );
  expect(Buffer.from(read).toString("hex")).toBe(info.toString("hex"));
  expect(algorithm).toEqual(Uint8Array.from(sequence(oid("1.2.840.10045.4.3.2"))));
  expect(signature[0]).toBe(0);
  expect(verify("sha256", info, publicKey, signature.subarray(1))).toBe(true);
  expect(publicKey.asymmetricKeyDetails).toEqual({ namedCurve: "prime256v1" });
});
