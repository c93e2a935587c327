/** The fields of a certificate at their edges, and the words for one that is refused. */
import { describe, expect, test } from "vitest";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { makeAuthority } from "../arbitraries/authority.ts";
import { extensions } from "../arbitraries/certificate.ts";
import { extension, integer, sequence, tlv } from "../arbitraries/der.ts";

const outcome = (overrides: Parameters<typeof makeAuthority>[0]["overrides"]): string => {
  const { der } = makeAuthority({ trustDomain: "alpha.test", overrides: overrides ?? {} });
  const facts = x509Proofs.readCertificate(der);
  return "malformed" in facts ? facts.malformed : "taken";
};

const san = (critical: boolean): Buffer =>
  extension("2.5.29.17", sequence(tlv(0x86, "spiffe://alpha.test/a")), critical);

describe("a certificate", () => {
  const SERIAL = "serial number is zero or longer than 20 bytes";

  test.each<readonly [string, Buffer, string]>([
    ["1", integer(1), "taken"],
    ["256", integer(256), "taken"],
    ["0", integer(0), SERIAL],
    ["of 20 bytes", integer(Buffer.alloc(20, 0x7f)), "taken"],
    ["of 20 bytes and a sign byte", integer(Buffer.alloc(20, 0x80)), SERIAL],
    ["of 19 bytes and a sign byte", integer(Buffer.alloc(19, 0x80)), "taken"],
    ["of 21 bytes", integer(Buffer.alloc(21, 0x7f)), SERIAL],
  ])("with serial number %s", (_, serialNumber, said) => {
    expect(outcome({ serialNumber })).toBe(said);
  });

  const emptySubject = "empty subject of a CA, or without a critical subjectAltName";
  test.each<readonly [string, readonly Buffer[], string]>([
    ["a leaf with a critical subjectAltName", [san(true)], "taken"],
    ["a leaf with one that is not critical", [san(false)], emptySubject],
    ["a leaf without one", [extensions.basicConstraints(false)], emptySubject],
    ["a CA with a critical one", [extensions.basicConstraints(true), san(true)], emptySubject],
  ])("with an empty subject, as %s", (_, each, said) => {
    expect(outcome({ subject: sequence(), extensions: each })).toBe(said);
  });

  test("without an empty subject needs no subjectAltName", () => {
    expect(outcome({ extensions: [extensions.basicConstraints(true)] })).toBe("taken");
  });
});
