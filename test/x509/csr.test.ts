import { createPublicKey, verify } from "node:crypto";
import forge from "node-forge";
import { describe, expect, test } from "vitest";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { publisherId } from "../../src/core/spiffe/trust-domain.ts";
import { DerCursor, TAG, readDer } from "../../src/x509/der.ts";
import { requestSvid } from "../../src/x509/csr.ts";

const ID = publisherId("alpha.test" as TrustDomain);

describe("a request for an X509-SVID", () => {
  test("is signed by its own key, which is fresh", () => {
    const { csr, privateKey } = requestSvid(ID);
    const [info, signature] = readDer(csr, (whole) =>
      whole.within(TAG.sequence, (fields) => {
        const signed = fields.takeWhole(TAG.sequence);
        fields.take(TAG.sequence);
        return [signed, fields.take(TAG.bitString).subarray(1)] as const;
      }),
    );
    expect(verify("sha256", info, createPublicKey(privateKey), signature)).toBe(true);
    expect(privateKey.asymmetricKeyDetails).toEqual({ namedCurve: "prime256v1" });
    expect(requestSvid(ID).privateKey.equals(privateKey)).toBe(false);
  });

  test("asks for one URI SAN and nothing else", () => {
    const { csr } = requestSvid(ID);
    const text = Buffer.from(csr).toString("latin1");
    expect(text.split(ID)).toHaveLength(2);
    // A subject of no RDN follows version 1.
    const info = new DerCursor(new DerCursor(csr).take(TAG.sequence)).take(TAG.sequence);
    expect([...info.subarray(0, 5)]).toEqual([TAG.integer, 1, 0, TAG.sequence, 0]);
  });

  test("is written as another ASN.1 library writes it", () => {
    for (const length of [1, 60, 100, 130, 250, 300, 2_000]) {
      const { csr } = requestSvid(`spiffe://alpha.test/${"a".repeat(length)}`);
      const tree = forge.asn1.fromDer(Buffer.from(csr).toString("latin1"), true);
      expect(forge.asn1.toDer(tree).toHex()).toBe(Buffer.from(csr).toString("hex"));
    }
  });
});
