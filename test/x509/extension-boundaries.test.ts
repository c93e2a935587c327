/** Extensions, one at a time, at their edges. */
import { describe, expect, test } from "vitest";
import { fromHex } from "../../src/core/std/bytes.ts";
import { TAG, readDer, readingDer } from "../../src/x509/der.ts";
import { type ExtensionFacts, readExtensions } from "../../src/x509/extensions.ts";
import { bitString, extension, name, octetString, oid, sequence, tlv } from "../arbitraries/der.ts";

type Outcome = Partial<ExtensionFacts> | string;

/** What a list of extensions adds to the facts, or why it is refused. */
function outcome(...extensions: readonly Uint8Array[]): Outcome {
  const answer = readingDer(sequence(...extensions), 10_000, (bytes) => ({
    facts: readDer(bytes, readExtensions),
  }));
  return "malformed" in answer ? answer.malformed : answer.facts;
}

const uri = tlv(0x86, "http://a");
const uris = sequence(uri);
const directory = tlv(0xa4, name([["2.5.4.3", "a"]]));
const access = sequence(sequence(oid("1.3.6.1.5.5.7.48.1"), uri));
const distribution = sequence(sequence(tlv(0xa0, tlv(0xa0, uri))));
const TRUE = tlv(TAG.boolean, Uint8Array.of(0xff));

/** A value of each kind on the list, and whether it may be critical. */
const KINDS: readonly (readonly [string, boolean, Buffer])[] = [
  ["2.5.29.14", false, octetString(Buffer.of(1))],
  ["2.5.29.15", true, bitString(Buffer.of(0x80), 7)],
  ["2.5.29.17", true, uris],
  ["2.5.29.18", false, uris],
  ["2.5.29.19", true, sequence()],
  ["2.5.29.30", true, sequence(tlv(0xa0, sequence(tlv(0x86, "a"))))],
  ["2.5.29.31", false, distribution],
  ["2.5.29.32", true, sequence(sequence(oid("2.5.29.32.0")))],
  ["2.5.29.35", false, sequence()],
  ["2.5.29.37", true, sequence(oid("2.5.29.37.0"))],
  ["2.5.29.46", false, distribution],
  ["1.3.6.1.5.5.7.1.1", false, access],
  ["1.3.6.1.5.5.7.1.11", false, access],
];

describe("an extension on the list", () => {
  test.each(KINDS)("%s may be critical: %s", (id, mayBeCritical, value) => {
    expect(outcome(extension(id, value))).toBeTypeOf("object");
    const critical = outcome(extension(id, value, true));
    if (mayBeCritical) expect(critical).toBeTypeOf("object");
    else expect(critical).toBe(`extension ${id} is critical`);
  });

  test.each(KINDS)("%s is read to its last byte", (id, _, value) => {
    expect(outcome(extension(id, Buffer.concat([value, tlv(TAG.null)])))).toBe(
      "bytes after the last value",
    );
    expect(outcome(extension(id, Buffer.of()))).toMatch(/^expected identifier octet .* nothing$/);
    expect(outcome(extension(id, tlv(TAG.null)))).toMatch(/^expected identifier octet/);
  });

  test.each(KINDS)("%s stands once", (id, _, value) => {
    expect(outcome(extension(id, value), extension(id, value))).toBe(
      `extension ${id} is there twice`,
    );
  });

  test("has an identifier, whether it is critical, and a value", () => {
    const [id, value] = [oid("2.5.29.14"), octetString(octetString(Buffer.of(1)))];
    expect(outcome(sequence(id, value))).toBeTypeOf("object");
    expect(outcome(sequence(id, value, tlv(TAG.null)))).toBe("bytes after the last value");
    expect(outcome(sequence(id))).toBe("expected identifier octet 0x04, found nothing");
    expect(outcome(sequence(value))).toBe("expected identifier octet 0x06, found 0x04");
    expect(outcome()).toBe("expected identifier octet 0x30, found nothing");
  });
});

describe("a subjectAltName", () => {
  const REFUSED = "critical subjectAltName of directory names alone";
  test.each<readonly [string, boolean, readonly Buffer[], string]>([
    ["a directory", true, [directory], REFUSED],
    ["directories", true, [directory, directory], REFUSED],
    ["a directory and a URI", true, [directory, uri], "taken"],
    ["a URI and a directory", true, [uri, directory], "taken"],
    ["a URI", true, [uri], "taken"],
    ["a directory", false, [directory], "taken"],
  ])("of %s, critical %s", (_, critical, names, said) => {
    const answer = outcome(extension("2.5.29.17", sequence(...names), critical));
    expect(typeof answer === "string" ? answer : "taken").toBe(said);
  });
});

describe("an extension that is not on the list", () => {
  test.each([
    ["1.3.6.1.4.1.311.20.2", false, true],
    ["1.3.6.1.4.1.311.20.2", true, false],
    ["2.16.840.1.113730.1.13", false, true],
    ["2.16.840.1.113730.1.13", true, false],
    ["1.3.6.1.4.10", false, false],
    ["1.3.6.1.4.2.1", false, false],
    ["2.16.840.1.113730.10", false, false],
    ["2.16.840.1.113730.2.1", false, false],
    ["2.5.29.16", false, false],
    ["2.5.29.36", false, false],
  ])("%s, critical %s, is passed over: %s", (id, critical, isPassedOver) => {
    const said = outcome(extension(id, tlv(TAG.null), critical));
    if (isPassedOver) expect(said).toEqual(outcome(extension("2.5.29.18", uris)));
    else expect(said).toBe(`extension ${id} is not on the list`);
  });
});

describe("the facts", () => {
  const none = {
    isCa: false,
    pathLength: undefined,
    keyUsage: undefined,
    uriSans: [],
    subjectKeyId: undefined,
    authorityKeyId: undefined,
    nameConstraints: undefined,
    namedByCriticalSan: false,
  };

  test.each<readonly [string, Buffer, boolean, Partial<ExtensionFacts>]>([
    ["2.5.29.14", octetString(Buffer.of(7)), false, { subjectKeyId: Uint8Array.of(7) }],
    [
      "2.5.29.17",
      sequence(tlv(0x82, "a"), uri, tlv(0x86, "b:c")),
      false,
      { uriSans: ["http://a", "b:c"] },
    ],
    ["2.5.29.17", sequence(tlv(0x82, "a")), true, { namedByCriticalSan: true }],
    ["2.5.29.18", uris, false, {}],
    ["2.5.29.19", sequence(), false, {}],
    ["2.5.29.19", sequence(TRUE), false, { isCa: true }],
    ["2.5.29.19", sequence(TRUE, tlv(2, Buffer.of(0))), false, { isCa: true, pathLength: 0 }],
    ["2.5.29.35", sequence(), false, {}],
    ["2.5.29.35", sequence(tlv(0x80, Buffer.of(7))), false, { authorityKeyId: Uint8Array.of(7) }],
    ["2.5.29.35", sequence(tlv(0xa1, directory), tlv(0x82, Buffer.of(7))), false, {}],
    ["2.5.29.31", distribution, false, {}],
    ["2.5.29.37", sequence(oid("2.5.29.37.0")), false, {}],
  ])("of %s (%#)", (id, value, critical, facts) => {
    expect(outcome(extension(id, value, critical))).toEqual({ ...none, ...facts });
  });

  test.each([
    [Buffer.of(0x80), 7, true, false],
    [Buffer.of(0x04), 2, false, true],
    [Buffer.of(0x84), 2, true, true],
    [Buffer.of(0x7b), 0, false, false],
    [Buffer.of(0xff, 0x80), 7, true, true],
    [Buffer.of(0x00, 0x80), 7, false, false],
  ])("of key usage (%#): digitalSignature is bit 0, keyCertSign bit 5", (bits, unused, ...said) => {
    const [digitalSignature, keyCertSign] = said;
    expect(outcome(extension("2.5.29.15", bitString(bits, unused)))).toEqual({
      ...none,
      keyUsage: { digitalSignature, keyCertSign },
    });
  });

  test("of several extensions add up", () => {
    const both = outcome(
      extension("2.5.29.14", octetString(Buffer.of(7))),
      extension("2.5.29.19", sequence(TRUE)),
      extension("2.5.29.18", uris),
    );
    expect(both).toEqual({ ...none, isCa: true, subjectKeyId: Uint8Array.of(7) });
  });
});

const keyId = (length: number): Buffer => Buffer.alloc(length, 7);

const policy = (...qualifiers: readonly Buffer[]): Buffer =>
  sequence(sequence(oid("1.2.3"), sequence(...qualifiers)));

describe("an extension's value", () => {
  const KEY_ID = "key identifier is empty or longer than 64 bytes";
  const serial = (bytes: Buffer): Buffer => sequence(tlv(0xa1, directory), tlv(0x82, bytes));
  const CPS = oid("1.3.6.1.5.5.7.2.1");
  const NOTICE = oid("1.3.6.1.5.5.7.2.2");
  const notice = (...parts: readonly Buffer[]): Buffer =>
    policy(sequence(NOTICE, sequence(...parts)));

  test.each<readonly [string, string, Buffer, string]>([
    ["the longest key id", "2.5.29.14", octetString(keyId(64)), "taken"],
    ["a longer key id", "2.5.29.14", octetString(keyId(65)), KEY_ID],
    ["no key id", "2.5.29.14", octetString(keyId(0)), KEY_ID],
    ["the authority's longest", "2.5.29.35", sequence(tlv(0x80, keyId(64))), "taken"],
    ["the authority's longer", "2.5.29.35", sequence(tlv(0x80, keyId(65))), KEY_ID],
    ["a serial of 20 bytes", "2.5.29.35", serial(Buffer.alloc(20, 7)), "taken"],
    [
      "a serial of 21 bytes",
      "2.5.29.35",
      serial(Buffer.alloc(21, 7)),
      "authorityKeyIdentifier has a serial number above 20 bytes",
    ],
    [
      "an issuer without a serial",
      "2.5.29.35",
      sequence(tlv(0xa1, directory)),
      "expected identifier octet 0x82, found nothing",
    ],
    [
      "a key id after the serial",
      "2.5.29.35",
      sequence(tlv(0xa1, directory), tlv(0x82, Buffer.of(1)), tlv(0x80, Buffer.of(1))),
      "bytes after the last value",
    ],
    [
      "a path length of no CA",
      "2.5.29.19",
      sequence(tlv(2, Buffer.of(0))),
      "basicConstraints limit the path of no CA",
    ],
    [
      "more than a path length",
      "2.5.29.19",
      sequence(TRUE, tlv(2, Buffer.of(0)), tlv(2, Buffer.of(0))),
      "bytes after the last value",
    ],
    [
      "a tenth bit of key usage",
      "2.5.29.15",
      bitString(Buffer.of(0, 0x40), 6),
      "keyUsage has a bit without a name",
    ],
    [
      "a relative distribution point",
      "2.5.29.31",
      sequence(sequence(tlv(0xa0, tlv(0xa1, uri)))),
      "expected identifier octet 0xa0, found 0xa1",
    ],
    [
      "a distribution point with reasons",
      "2.5.29.31",
      sequence(sequence(tlv(0xa0, tlv(0xa0, uri)), tlv(0x81, Buffer.of(7, 0x80)))),
      "bytes after the last value",
    ],
    [
      "a distribution point without a name",
      "2.5.29.31",
      sequence(sequence(tlv(0xa0, tlv(0xa0)))),
      "GeneralName of a kind that is not on the list",
    ],
    [
      "two distribution points",
      "2.5.29.31",
      sequence(...Array.from({ length: 2 }, () => sequence(tlv(0xa0, tlv(0xa0, uri))))),
      "taken",
    ],
    [
      "an access description and more",
      "1.3.6.1.5.5.7.1.1",
      sequence(sequence(oid("1.3.6.1.5.5.7.48.1"), uri, uri)),
      "bytes after the last value",
    ],
    ["a policy with a CPS", "2.5.29.32", policy(sequence(CPS, tlv(TAG.ia5String, "a"))), "taken"],
    [
      "a CPS in UTF-8",
      "2.5.29.32",
      policy(sequence(CPS, tlv(TAG.utf8String, "a"))),
      "expected identifier octet 0x16, found 0x0c",
    ],
    [
      "a CPS with a line feed",
      "2.5.29.32",
      policy(sequence(CPS, tlv(TAG.ia5String, "\n"))),
      "IA5String is empty or outside its alphabet",
    ],
    ["a notice in UTF-8", "2.5.29.32", notice(tlv(TAG.utf8String, "ü")), "taken"],
    ["a notice in visible characters", "2.5.29.32", notice(tlv(0x1a, "a")), "taken"],
    [
      "a notice of Latin-1",
      "2.5.29.32",
      notice(tlv(0x1a, fromHex("e4"))),
      "IA5String is empty or outside its alphabet",
    ],
    ["a notice of nothing", "2.5.29.32", notice(), "not a string of a known type"],
    [
      "a notice of two texts",
      "2.5.29.32",
      notice(tlv(0x1a, "a"), tlv(0x1a, "a")),
      "bytes after the last value",
    ],
    [
      "another qualifier",
      "2.5.29.32",
      policy(sequence(oid("1.3.6.1.5.5.7.2.3"), tlv(TAG.ia5String, "a"))),
      "policy qualifier 1.3.6.1.5.5.7.2.3 is not on the list",
    ],
    [
      "no qualifier in its list",
      "2.5.29.32",
      policy(),
      "expected identifier octet 0x30, found nothing",
    ],
    [
      "a policy twice",
      "2.5.29.32",
      sequence(sequence(oid("1.2.3")), sequence(oid("1.2.4")), sequence(oid("1.2.3"))),
      "policy 1.2.3 is there twice",
    ],
    [
      "a purpose and another value",
      "2.5.29.37",
      sequence(oid("1.2.3"), tlv(TAG.null)),
      "expected identifier octet 0x06, found 0x05",
    ],
    [
      "an issuer's alternative name of another kind",
      "2.5.29.18",
      sequence(tlv(0x88, "a")),
      "GeneralName of a kind that is not on the list",
    ],
  ])("%s (%s)", (_, id, value, said) => {
    const answer = outcome(extension(id, value));
    expect(typeof answer === "string" ? answer : "taken").toBe(said);
  });
});
