/** Names in extensions that must not pass the gate: constraints, addresses, hosts, mailboxes, URIs. */
import { extension, name, sequence, tlv } from "../arbitraries/der.ts";
import { constraints, withExtension } from "./refused-extensions.ts";
import type { Refused } from "./refused.ts";

/** Wrong in a name. */
export const REFUSED_NAMES: Refused = {
  "excluded before permitted constraints": [
    withExtension(
      extension(
        "2.5.29.30",
        sequence(tlv(0xa1, sequence(tlv(0x82, "a"))), tlv(0xa0, sequence(tlv(0x82, "a")))),
        true,
      ),
    ),
    "bytes after",
  ],
  "a constraint of another kind": [
    withExtension(constraints(tlv(0x88, Buffer.of(1)))),
    "kind that is not on the list",
  ],
  "a constraint on an IPv6 address as URI": [
    withExtension(constraints(tlv(0x86, "::1"))),
    "URI constraint",
  ],
  "an empty URI constraint": [withExtension(constraints(tlv(0x86))), "IA5String is empty"],
  "a URI constraint that is a dot": [withExtension(constraints(tlv(0x86, "."))), "URI constraint"],
  "a URI constraint with two dots": [
    withExtension(constraints(tlv(0x86, "..a"))),
    "URI constraint",
  ],
  "a DNS constraint with a wildcard": [
    withExtension(constraints(tlv(0x82, "*.a"))),
    "name constraint is no domain",
  ],
  "a DNS constraint that ends with a dot": [
    withExtension(constraints(tlv(0x82, "a."))),
    "name constraint is no domain",
  ],
  "a mailbox constraint with two at signs": [
    withExtension(constraints(tlv(0x81, "a@b@c"))),
    "no mailbox",
  ],
  "a mailbox constraint without a local part": [
    withExtension(constraints(tlv(0x81, "@a"))),
    "no mailbox",
  ],
  "an address constraint that is an address": [
    withExtension(constraints(tlv(0x87, Buffer.alloc(4)))),
    "neither 8 nor 32 bytes",
  ],
  "an address constraint of 16 bytes": [
    withExtension(constraints(tlv(0x87, Buffer.alloc(16)))),
    "neither 8 nor 32 bytes",
  ],
  "an address constraint with a last bit": [
    withExtension(constraints(tlv(0x87, Buffer.from("0000000000000001", "hex")))),
    "gaps",
  ],
  "an address constraint with a mask without its first bit": [
    withExtension(constraints(tlv(0x87, Buffer.from("000000007f000000", "hex")))),
    "gaps",
  ],
  ...Object.fromEntries(
    [0, 3, 8, 15, 17].map((length) => [
      `an address of ${length} bytes`,
      [
        withExtension(extension("2.5.29.17", sequence(tlv(0x87, Buffer.alloc(length))))),
        "iPAddress",
      ] as const,
    ]),
  ),
  ...Object.fromEntries(
    [
      "",
      ".",
      "a.",
      ".a",
      "a..b",
      "-a",
      "a-",
      "a*",
      "*",
      "*.",
      "a.*.b",
      "**.a",
      "a".repeat(64),
      `${"a".repeat(63)}.`.repeat(3) + "a".repeat(62),
    ].map((host) => [
      `the DNS name "${host}"`,
      [withExtension(extension("2.5.29.17", sequence(tlv(0x82, host)))), ""] as const,
    ]),
  ),
  ...Object.fromEntries(
    ["@", "a@", "@a", "a@b@c", "a b@c", ".a@b", "a.@b", "a..b@c", '"a"@b', "a@b.", "a@[::1]"].map(
      (mailbox) => [
        `the mailbox ${mailbox}`,
        [withExtension(extension("2.5.29.17", sequence(tlv(0x81, mailbox)))), "mailbox"] as const,
      ],
    ),
  ),
  "a critical alternative name of a directory name alone": [
    withExtension(extension("2.5.29.17", sequence(tlv(0xa4, name([["2.5.4.10", "a"]]))), true)),
    "directory names alone",
  ],
  "an alternative name of an empty directory name": [
    withExtension(extension("2.5.29.17", sequence(tlv(0xa4, sequence())))),
    "found nothing",
  ],
};

/** URIs that Go refuses, or that RFC 3986 does. */
export const BAD_URIS = [
  "",
  "alpha.test",
  "//alpha.test",
  "spiffe//alpha.test",
  "1spiffe://alpha.test",
  "spiffe://alpha..test",
  "spiffe://alpha.test.",
  "spiffe://.test",
  "spiffe://al pha.test",
  "spiffe://alpha.test/%",
  "spiffe://alpha.test/%4",
  "spiffe://alpha.test/%zz",
  "spiffe://alpha%41.test/",
  "spiffe://user@alpha.test/",
  "spiffe://alpha.test:port/",
  "spiffe://alpha.test:/",
  "spiffe://[::1/",
  "http://[::1]/",
  "http://[::ffff:192.0.2.1]/",
  "http://[::ffff:c000:201]:80/",
  "spiffe://[1::2::3]/",
  "spiffe://[not]/",
  "spiffe://alpha.test/\u0000",
  "spiffe://alpha.test/é",
  'spiffe://alpha.test/"',
  "spiffe://alpha.test/a b",
  "spiffe://alpha.test/#%",
  ":opaque",
  "a:",
  "a:/",
  "a:/b",
  "a://b:123456",
  "a://b:8x",
  "a://b:80:80",
  "a://[::1]x",
  "a://[::1]:",
  "a://[::1%25eth0]/",
  "a://[192.0.2.1]/",
  "a://b..c",
  "a://b/\\",
  "a://b?^",
  "a://b#c#d",
  "a_b:c",
  "a://b\u007f",
];
