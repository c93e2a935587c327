import { X509Certificate } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkPublicKey, parseCertificates } from "../../../peers/embedded-spire/go-parser.ts";
import { makeAuthority } from "../../arbitraries/authority.ts";
import { mutatedDer } from "../../arbitraries/mutated-der.ts";

const certificates = [1, 2, 3].map(() => makeAuthority({ trustDomain: "bravo.test" }).der);
const certificate = fc.constantFrom(...certificates);

describe("certificates of an asn1 field", () => {
  test("are read one after the other, however many", () => {
    fc.assert(
      fc.property(fc.array(certificate, { maxLength: 5 }), (parts) => {
        const read = parseCertificates(Buffer.concat(parts)).map(({ raw }) => raw);
        expect(read).toEqual(parts);
      }),
    );
  });

  test("are refused with anything after the last", () => {
    const tail = fc.uint8Array({ minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(certificate, tail, (der, more) => {
        expect(() => parseCertificates(Buffer.concat([der, more]))).toThrow(/^x509: /);
      }),
    );
  });

  test("are refused when they are cut", () => {
    const [der = Buffer.of()] = certificates;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: der.length - 1 }), (length) => {
        expect(() => parseCertificates(der.subarray(0, length))).toThrow(/^x509: /);
      }),
    );
  });

  test("never throw anything but a reason, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), mutatedDer(certificate)), (bytes) => {
        for (const parse of [parseCertificates, checkPublicKey]) {
          try {
            parse(bytes);
          } catch (error) {
            expect(String(error)).toMatch(/^Error: x509: /);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test("are no PEM, which Node's own reader would take", () => {
    const [der = Buffer.of()] = certificates;
    const pem = Buffer.from(new X509Certificate(der).toString());
    expect(() => parseCertificates(pem)).toThrow(/^x509: /);
  });
});
