/** Names, strings and times at their edges: the last that is taken and the first that is not. */
import { describe, expect, test } from "vitest";
import { fromHex } from "../../src/core/std/bytes.ts";
import { TAG, type DerCursor, readDer, readingDer } from "../../src/x509/der.ts";
import { readNameConstraints } from "../../src/x509/name-constraints.ts";
import { readGeneralName, readGeneralNames, readName, readSubject } from "../../src/x509/names.ts";
import { readString } from "../../src/x509/text.ts";
import { readValidity } from "../../src/x509/validity.ts";
import { oid, sequence, set, tlv } from "../arbitraries/der.ts";

type Reader = (cursor: DerCursor) => unknown;

/** "taken", or why not. */
function outcome(der: Uint8Array, read: Reader): string {
  const answer = readingDer(der, 100_000, (bytes) => ({ value: readDer(bytes, read) }));
  return "malformed" in answer ? answer.malformed : "taken";
}

const label = (length: number): string => "a".repeat(length);
/** A host of so many characters, in labels of at most 63. */
function hostOf(length: number): string {
  const labels = Array.from({ length: Math.floor(length / 64) }, () => label(63));
  const rest = length - labels.length * 64;
  return [...labels, label(rest)].join(".");
}

const HOSTS: readonly (readonly [string, boolean])[] = [
  ["a", true],
  ["a.b", true],
  ["A9.z", true],
  ["_spiffe._tcp.test", true],
  ["a_b", true],
  ["a-b", true],
  [label(63), true],
  [`${label(63)}.${label(63)}`, true],
  [hostOf(253), true],
  ["", false],
  [label(64), false],
  [`a.${label(64)}`, false],
  [hostOf(254), false],
  ["-a", false],
  ["a-", false],
  ["a.-b", false],
  ["a.b-", false],
  ["a..b", false],
  [".a", false],
  ["a.", false],
  ["a b", false],
  [" a", false],
  ["a ", false],
  ["a,b", false],
  ["a.b!", false],
  ["*", false],
];

describe("a dNSName", () => {
  test.each(HOSTS)("%j is taken: %s", (host, isTaken) => {
    const said =
      host === "" ? "IA5String is empty or outside its alphabet" : "dNSName is not a host name";
    expect(outcome(tlv(0x82, host), readGeneralName)).toBe(isTaken ? "taken" : said);
  });

  test.each([
    ["*.a", true],
    ["*.*.a", false],
    ["a.*.b", false],
    ["*a.b", false],
    ["*.", false],
    ["**.a", false],
  ])("%j is taken: %s", (host, isTaken) => {
    expect(outcome(tlv(0x82, host), readGeneralName) === "taken").toBe(isTaken);
  });
});

describe("an rfc822Name", () => {
  test.each([
    ["a@b", true],
    ["a.b+c/d=e@b.test", true],
    ["!#$%&'*+-/=?^_`{|}~@b", true],
    ["a", false],
    ["a@", false],
    ["@b", false],
    ["a@b@c", false],
    ["a..b@c", false],
    [".a@c", false],
    ["a.@c", false],
    ["a b@c", false],
    [" a@c", false],
    ["a@b c", false],
    ["a@-b", false],
    ['"a"@b', false],
    ["a,b@c", false],
  ])("%j is taken: %s", (mailbox, isTaken) => {
    const said = isTaken ? "taken" : "rfc822Name is not a mailbox";
    expect(outcome(tlv(0x81, mailbox), readGeneralName)).toBe(said);
  });
});

describe("an iPAddress", () => {
  test.each([
    [3, false],
    [4, true],
    [5, false],
    [15, false],
    [16, true],
    [17, false],
  ])("of %i bytes is taken: %s", (length, isTaken) => {
    const said = isTaken ? "taken" : "iPAddress is neither 4 nor 16 bytes";
    expect(outcome(tlv(0x87, new Uint8Array(length)), readGeneralName)).toBe(said);
  });
});

describe("a URI", () => {
  test.each([
    "a:b",
    "a+b-c.9:b",
    "Z:b",
    "spiffe://alpha.test",
    "spiffe://a_b-c.9",
    "spiffe://alpha.test/",
    "spiffe://alpha.test/a//b",
    "spiffe://alpha.test/a/b?c=d/e?f#g/h?i",
    "spiffe://alpha.test/%4a%F0",
    "https://alpha.test:8",
    "https://alpha.test:65535/a",
    "ldap:///CN=Root,DC=corp?list?base?objectClass=*",
    "urn:uuid:a/b",
    "a:~!$&'()*+,;=:@-._",
    "a:%00",
    "a:b?",
    "a:b#",
    "a://b?%20",
    "a://b#%20",
  ])("%s is taken", (uri) => {
    expect(outcome(tlv(0x86, uri), readGeneralName)).toBe("taken");
  });

  test.each([
    ["9a:b", "URI does not parse"],
    ["+a:b", "URI does not parse"],
    [" a:b", "URI does not parse"],
    ["a_b:c", "URI does not parse"],
    ["a:", "URI does not parse"],
    ["a:/", "URI does not parse"],
    ["a:/b", "URI does not parse"],
    ["a:b ", "URI does not parse"],
    ["a:b[", "URI does not parse"],
    ["a:b%4", "URI does not parse"],
    ["a:b%4g", "URI does not parse"],
    ["a:b%g4", "URI does not parse"],
    ["a:b?[", "URI does not parse"],
    ["a:b#[", "URI does not parse"],
    ["a:b?%", "URI does not parse"],
    ["a:b#%", "URI does not parse"],
    ["a:b#c#d", "URI does not parse"],
    ["a://b:123456", "URI does not parse"],
    ["a://b:", "URI does not parse"],
    ["a://b:c", "URI does not parse"],
    ["a://b[::1]", "URI does not parse"],
    ["a://[]", "URI does not parse"],
    ["a://[g]", "URI does not parse"],
    ["a://[::1]b", "URI does not parse"],
    ["a://b/[", "URI does not parse"],
    ["a://b!", "URI does not parse"],
    ["a://u@b", "URI does not parse"],
    ["a://[1]", "URI does not parse"],
    ["a://[1.2.3.4]", "URI does not parse"],
    ["https://[::1]", "URI does not parse"],
    ["https://[2001:DB8::1]:443/a", "URI does not parse"],
    ["https://[::ffff:1.2.3.4]/", "URI does not parse"],
    ["a://b.", "URI does not parse"],
    ["a://.b", "URI does not parse"],
    ["a://b..c", "URI does not parse"],
  ])("%s: %s", (uri, said) => {
    expect(outcome(tlv(0x86, uri), readGeneralName)).toBe(said);
  });
});

describe("a GeneralName", () => {
  test("is returned with its kind and its content as it stands", () => {
    const der = Uint8Array.from(sequence(tlv(0x82, "a.b"), tlv(0x86, "c:d")));
    expect(readDer(der, readGeneralNames)).toEqual([
      { kind: "dns", content: Uint8Array.from(Buffer.from("a.b")) },
      { kind: "uri", content: Uint8Array.from(Buffer.from("c:d")) },
    ]);
  });

  const directory = sequence(set(sequence(oid("2.5.4.3"), tlv(TAG.utf8String, "a"))));

  test.each([
    ["of a directory", tlv(0xa4, directory), "taken"],
    [
      "of an empty directory",
      tlv(0xa4, sequence()),
      "expected identifier octet 0x31, found nothing",
    ],
    ["of a directory and more", tlv(0xa4, directory, tlv(TAG.null)), "bytes after the last value"],
    ["otherName", tlv(0xa0, directory), "GeneralName of a kind that is not on the list"],
    ["x400Address", tlv(0xa3), "GeneralName of a kind that is not on the list"],
    ["ediPartyName", tlv(0xa5), "GeneralName of a kind that is not on the list"],
    ["registeredID", tlv(0x88, "a"), "GeneralName of a kind that is not on the list"],
  ])("%s", (_, der, said) => {
    expect(outcome(der, readGeneralName)).toBe(said);
  });
});

const attribute = (value: string, type = "2.5.4.3"): Buffer =>
  sequence(oid(type), tlv(TAG.utf8String, value));

describe("a Name", () => {
  test.each([
    ["of two values in order", sequence(set(attribute("a"), attribute("b"))), "taken"],
    [
      "of two values out of order",
      sequence(set(attribute("b"), attribute("a"))),
      "values of an RDN are not in order",
    ],
    [
      "of one value twice",
      sequence(set(attribute("a"), attribute("a"))),
      "values of an RDN are not in order",
    ],
    [
      "whose last value is out of order",
      sequence(set(attribute("a"), attribute("c"), attribute("b"))),
      "values of an RDN are not in order",
    ],
    ["of two RDNs in any order", sequence(set(attribute("b")), set(attribute("a"))), "taken"],
    [
      "with more than type and value",
      sequence(set(sequence(oid("2.5.4.3"), tlv(TAG.utf8String, "a"), tlv(TAG.null)))),
      "bytes after the last value",
    ],
  ])("%s", (_, der, said) => {
    expect(outcome(der, readName)).toBe(said);
    expect(outcome(der, readSubject)).toBe(said);
  });

  test("may be empty as a subject alone", () => {
    expect(outcome(sequence(), readSubject)).toBe("taken");
    expect(outcome(sequence(), readName)).toBe("expected identifier octet 0x31, found nothing");
    expect(outcome(sequence(set()), readSubject)).not.toBe("taken");
  });

  test("is returned as it stands", () => {
    const der = sequence(set(attribute("a")));
    expect(readDer(der, readName)).toEqual(der);
    expect(readDer(der, readSubject)).toEqual(der);
    expect(readDer(sequence(), readSubject)).toEqual(sequence());
  });
});

/** UCS-2 code units, most significant byte first. */
const ucs2 = (...units: readonly number[]): Buffer =>
  Buffer.from(units.flatMap((unit) => [unit >> 8, unit & 0xff]));
const ascii = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, index) => String.fromCharCode(from + index)).join("");

describe("a string", () => {
  test.each<readonly [string, Buffer, string]>([
    ["PrintableString of its alphabet", tlv(TAG.printableString, "AZaz09 '()+,-./:=?"), " "],
    ...'!"#$%&*;<>@[\\]^_`{|}~\n'
      .split("")
      .map((character): readonly [string, Buffer, string] => [
        `PrintableString with ${JSON.stringify(character)}`,
        tlv(TAG.printableString, character),
        "PrintableString is empty or outside its alphabet",
      ]),
    ["PrintableString that begins well", tlv(TAG.printableString, "a*"), "PrintableString"],
    ["PrintableString that ends well", tlv(TAG.printableString, "*a"), "PrintableString"],
    ["IA5String of its alphabet", tlv(TAG.ia5String, ascii(0x20, 0x7e)), " "],
    ["IA5String with DEL", tlv(TAG.ia5String, "a\x7fb"), "IA5String"],
    ["IA5String with a line feed after it", tlv(TAG.ia5String, "a\n"), "IA5String"],
    ["IA5String with US before it", tlv(TAG.ia5String, "\x1fa"), "IA5String"],
    ["IA5String with Latin-1", tlv(TAG.ia5String, Buffer.of(0xa0)), "IA5String"],
    ["IA5String of nothing", tlv(TAG.ia5String), "IA5String"],
    ["TeletexString of ASCII", tlv(TAG.teletexString, ascii(0x20, 0x7e)), " "],
    ["TeletexString with Latin-1", tlv(TAG.teletexString, Buffer.of(0xe4)), "TeletexString"],
    ["TeletexString of nothing", tlv(TAG.teletexString), "TeletexString"],
    ["UTF8String of every plane", tlv(TAG.utf8String, " ~\u00a0ü\ud7ff\ue000\uffff😀"), " "],
    // Nothing is taken off its beginning, or two strings of bytes would read alike.
    ["UTF8String of a byte order mark", tlv(TAG.utf8String, "\ufeff"), " "],
    ["UTF8String of nothing", tlv(TAG.utf8String), "UTF8String is empty or has control characters"],
    ["UTF8String with NUL", tlv(TAG.utf8String, "a\0"), "UTF8String is empty or has control"],
    ["UTF8String with DEL", tlv(TAG.utf8String, "\x7f"), "UTF8String is empty or has control"],
    ["UTF8String with NEL", tlv(TAG.utf8String, "\u0085"), "UTF8String is empty or has control"],
    ["UTF8String cut short", tlv(TAG.utf8String, Buffer.of(0xc3)), "UTF8String is not UTF-8"],
    ["BMPString", tlv(TAG.bmpString, ucs2(0x20, 0xfc, 0xd7ff, 0xe000, 0xfdcf)), " "],
    ["BMPString above", tlv(TAG.bmpString, ucs2(0xfdf0, 0xfffd)), " "],
    ...[0xd800, 0xdbff, 0xdc00, 0xdfff, 0xfdd0, 0xfdef, 0xfffe, 0xffff].map(
      (unit): readonly [string, Buffer, string] => [
        `BMPString with ${unit.toString(16)}`,
        tlv(TAG.bmpString, ucs2(0x61, unit)),
        "BMPString has a surrogate or non-character",
      ],
    ),
    [
      "BMPString of a surrogate pair",
      tlv(TAG.bmpString, ucs2(0xd83d, 0xde00)),
      "BMPString has a surrogate or non-character",
    ],
    ["BMPString of nothing", tlv(TAG.bmpString), "BMPString is empty or has control characters"],
    ["BMPString with NUL", tlv(TAG.bmpString, ucs2(0x61, 0)), "BMPString is empty or has control"],
    ["BMPString of one byte", tlv(TAG.bmpString, Buffer.of(0)), "BMPString has an odd length"],
    [
      "BMPString of three",
      tlv(TAG.bmpString, Buffer.of(0, 0x61, 0)),
      "BMPString has an odd length",
    ],
    ["UniversalString", tlv(0x1c, Buffer.of(0, 0, 0, 0x61)), "not a string of a known type"],
    ["NumericString", tlv(0x12, "1"), "not a string of a known type"],
    ["VisibleString", tlv(0x1a, "a"), "not a string of a known type"],
  ])("%s", (_, der, said) => {
    expect(outcome(der, readString)).toMatch(said === " " ? /^taken$/ : new RegExp(`^${said}`));
  });

  test("is read as what it says", () => {
    expect(readDer(tlv(TAG.bmpString, ucs2(0x52, 0xfc)), readString)).toBe("Rü");
    expect(readDer(tlv(TAG.utf8String, "\ufeffRü"), readString)).toBe("\ufeffRü");
    expect(readDer(tlv(TAG.teletexString, "R*"), readString)).toBe("R*");
  });
});

const validity = (...times: readonly Uint8Array[]): Buffer => sequence(...times);
const utc = (digits: string): Buffer => tlv(TAG.utcTime, digits);
const generalized = (digits: string): Buffer => tlv(TAG.generalizedTime, digits);
const UTC_0 = utc("700101000000Z");

describe("a validity", () => {
  test.each([
    ["500101000000Z", "1950-01-01T00:00:00Z"],
    ["491231235959Z", "2049-12-31T23:59:59Z"],
    ["991231235959Z", "1999-12-31T23:59:59Z"],
    ["000101000000Z", "2000-01-01T00:00:00Z"],
    ["000229000000Z", "2000-02-29T00:00:00Z"],
    ["240229235959Z", "2024-02-29T23:59:59Z"],
  ])("UTCTime %s is %s", (digits, iso) => {
    const atS = Date.parse(iso) / 1_000;
    const read = readDer(validity(utc(digits), generalized("20500101000000Z")), readValidity);
    expect(read).toEqual({ notBeforeS: atS, notAfterS: 2_524_608_000 });
  });

  test.each([
    ["20500101000000Z", "2050-01-01T00:00:00Z"],
    ["99991231235959Z", "9999-12-31T23:59:59Z"],
    ["21000228000000Z", "2100-02-28T00:00:00Z"],
  ])("GeneralizedTime %s is %s", (digits, iso) => {
    const read = readDer(validity(UTC_0, generalized(digits)), readValidity);
    expect(read).toEqual({ notBeforeS: 0, notAfterS: Date.parse(iso) / 1_000 });
  });

  const FULL = "time is not written in full, with seconds and Z";
  test.each([
    [utc("700101000000"), FULL],
    [utc("7001010000Z"), FULL],
    [utc("0700101000000Z"), FULL],
    [utc("700101000000ZZ"), FULL],
    [utc("700101000000Z "), FULL],
    [utc("70010100000aZ"), FULL],
    [utc("7a0101000000Z"), FULL],
    [utc(""), FULL],
    [utc("701301000000Z"), "time does not exist"],
    [utc("700001000000Z"), "time does not exist"],
    [utc("700100000000Z"), "time does not exist"],
    [utc("700132000000Z"), "time does not exist"],
    [utc("700101240000Z"), "time does not exist"],
    [utc("700101006000Z"), "time does not exist"],
    [utc("700101000060Z"), "time does not exist"],
    [utc("230229000000Z"), "time does not exist"],
    [generalized("21000229000000Z"), "time does not exist"],
    [generalized("2050"), FULL],
    [generalized("205001010000Z"), FULL],
    [generalized("20500101000000.0Z"), FULL],
    [generalized("20491231235959Z"), "a year before 2050 is not written as UTCTime"],
    [tlv(TAG.utf8String, "20500101000000Z"), "expected identifier octet 0x18, found 0x0c"],
  ])("%s: %s", (notAfter, said) => {
    expect(outcome(validity(UTC_0, notAfter), readValidity)).toBe(said);
  });

  test("may last for one second and not end before it begins", () => {
    expect(outcome(validity(UTC_0, UTC_0), readValidity)).toBe("taken");
    const before = validity(utc("700101000001Z"), UTC_0);
    expect(outcome(before, readValidity)).toBe("validity ends before it begins");
    expect(outcome(validity(UTC_0, UTC_0, UTC_0), readValidity)).toBe("bytes after the last value");
  });
});

const readCritical = (cursor: DerCursor): unknown => readNameConstraints(cursor, true);

const on = (...bases: readonly Buffer[]): Buffer =>
  sequence(tlv(0xa0, ...bases.map((base) => sequence(base))));

const uri = (host: string): Buffer => sequence(tlv(0x86, host));

describe("name constraints", () => {
  test.each([
    [0x86, "a.test", "taken"],
    [0x86, ".a.test", "taken"],
    [0x86, "..a", "URI constraint is no host or domain"],
    [0x86, "a..b", "URI constraint is no host or domain"],
    [0x86, ".", "URI constraint is no host or domain"],
    [0x86, "1.2.3.4", "URI constraint is no host or domain"],
    [0x86, "::1", "URI constraint is no host or domain"],
    [0x86, "a b", "URI constraint is no host or domain"],
    [0x86, "", "IA5String is empty or outside its alphabet"],
    [0x82, "a.test", "taken"],
    [0x82, ".a.test", "taken"],
    [0x82, "", "taken"],
    [0x82, "..a", "name constraint is no domain"],
    [0x82, "a..b", "name constraint is no domain"],
    [0x82, "a b", "name constraint is no domain"],
    [0x82, "*.a", "name constraint is no domain"],
    [0x81, "a.test", "taken"],
    [0x81, ".a.test", "taken"],
    [0x81, "", "taken"],
    [0x81, "a@b", "taken"],
    [0x81, "a@", "name constraint is no mailbox"],
    [0x81, "@b", "name constraint is no mailbox"],
    [0x81, "a b", "name constraint is no domain"],
    [0x83, "a", "name constraint of a kind that is not on the list"],
    [0x88, "a", "name constraint of a kind that is not on the list"],
  ])("of kind %i on %j: %s", (kind, base, said) => {
    expect(outcome(on(tlv(kind, base)), readCritical)).toBe(said);
  });

  test.each([
    ["0a000000ff000000", "taken"],
    ["0a000000fffffffe", "taken"],
    ["0a00000080000000", "taken"],
    ["0000000000000000", "taken"],
    ["0a000001ffffffff", "taken"],
    [`${"00".repeat(16)}${"ff".repeat(8)}${"00".repeat(8)}`, "taken"],
    ["0a0000007f000000", "address constraint has a mask with gaps"],
    ["0a000000ff00ff00", "address constraint has a mask with gaps"],
    ["0a000000fffffffd", "address constraint has a mask with gaps"],
    ["0a00000000000001", "address constraint has a mask with gaps"],
    ["0a000000ff0000", "address constraint is neither 8 nor 32 bytes"],
    ["00".repeat(9), "address constraint is neither 8 nor 32 bytes"],
    ["00".repeat(16), "address constraint is neither 8 nor 32 bytes"],
    ["00".repeat(31), "address constraint is neither 8 nor 32 bytes"],
    ["00".repeat(33), "address constraint is neither 8 nor 32 bytes"],
  ])("on the address and mask %s: %s", (hex, said) => {
    expect(outcome(on(tlv(0x87, fromHex(hex))), readCritical)).toBe(said);
  });

  test("on a directory read its name to the last byte", () => {
    const name = sequence(set(sequence(oid("2.5.4.10"), tlv(TAG.utf8String, "a"))));
    expect(outcome(on(tlv(0xa4, name)), readCritical)).toBe("taken");
    expect(outcome(on(tlv(0xa4, sequence())), readCritical)).not.toBe("taken");
    expect(outcome(on(tlv(0xa4, name, name)), readCritical)).toBe("bytes after the last value");
  });

  const dns = sequence(tlv(0x82, "a"));
  test.each([
    [[tlv(0xa0, uri("a"), uri("b"))], true, ["a", "b"], [], false],
    [[tlv(0xa1, uri("a"))], true, [], ["a"], false],
    [[tlv(0xa0, uri("a")), tlv(0xa1, uri("b"))], true, ["a"], ["b"], false],
    [[tlv(0xa0, dns)], true, [], [], true],
    [[tlv(0xa1, dns)], true, [], [], true],
    [[tlv(0xa0, dns, uri("a"))], true, ["a"], [], true],
    [[tlv(0xa0, dns)], false, [], [], false],
    [[tlv(0xa1, dns)], false, [], [], false],
  ] as const)(
    "(%#) become facts",
    (fields, critical, permittedUris, excludedUris, othersCritical) => {
      const facts = readDer(sequence(...fields), (each) => readNameConstraints(each, critical));
      expect(facts).toEqual({ permittedUris, excludedUris, othersCritical });
    },
  );

  test.each([
    [sequence(), "nameConstraints are empty"],
    [sequence(tlv(0xa0)), "expected identifier octet 0x30, found nothing"],
    [sequence(tlv(0xa1, uri("a")), tlv(0xa0, uri("a"))), "bytes after the last value"],
    [sequence(tlv(0xa2)), "bytes after the last value"],
  ])("(%#) are refused: %s", (der, said) => {
    expect(outcome(der, readCritical)).toBe(said);
  });
});
