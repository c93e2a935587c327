/** Whatever somebody puts into a file of recovery, it is refused in words, and soon. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeCommitment } from "../../src/keys/recovery-commitment.ts";
import { KEY_FORM_BYTES_MAX, decodeKeyForm } from "../../src/keys/recovery-form.ts";
import { decodeRequest } from "../../src/keys/recovery-request.ts";
import { decodeSignature } from "../../src/keys/recovery-signature.ts";
import {
  RECOVERY_TEXT_BYTES_MAX,
  type RecoveryTextKind,
  writeBlock,
  writeRecoveryText,
} from "../../src/keys/recovery-text.ts";
import { codeOf } from "./recovery-material.ts";

/** Of the process's own time: the machine may be busy with much else. */
const SOON_MS = 1_000;
const REFUSED = /^RECOVERY_FILE_(?:DAMAGED|KIND)$/;

const readers: readonly (readonly [RecoveryTextKind, (text: string, name: string) => unknown])[] = [
  ["request", decodeRequest],
  ["signature", decodeSignature],
  ["commitment", decodeCommitment],
];

describe.each(readers)("a %s", (kind, decode) => {
  const refused = (text: string): void => {
    expect(codeOf(() => decode(text, "it"))).toMatch(REFUSED);
  };

  test("is not any text, nor any content in its armor", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), refused));
    fc.assert(
      fc.property(fc.string(), fc.uint8Array({ maxLength: 400 }), (words, content) => {
        refused(writeRecoveryText(kind, words, content));
      }),
    );
  });

  test("as large as a file may be is refused soon", () => {
    const label = kind.toUpperCase();
    const begin = `-----BEGIN SPIRE-MESH RECOVERY ${label}-----\n`;
    const start = process.cpuUsage();
    for (const part of ["-", "A", "\n", "-----BEGIN ", begin, `${begin}AAAA\n`, "\r\n", "é"]) {
      refused(part.repeat(RECOVERY_TEXT_BYTES_MAX / part.length));
      refused(begin + part.repeat(RECOVERY_TEXT_BYTES_MAX / part.length));
    }
    expect(process.cpuUsage(start).user / 1_000).toBeLessThan(SOON_MS);
  });
});

function refusedForm(text: string): void {
  expect(codeOf(() => decodeKeyForm(text, "it"))).toMatch(REFUSED);
}

describe("a key's form", () => {
  test("is not any text", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), refusedForm));
  });

  test("with any words or digits around a block is refused", () => {
    const block = writeBlock("ENCRYPTED PRIVATE KEY", new Uint8Array(158));
    const notDigits = fc.string().filter((text) => !/^[\s0-9a-f]*$/i.test(text));
    fc.assert(
      fc.property(fc.string(), notDigits, (above, below) => {
        refusedForm(`${above}\n${block}${below}`);
      }),
    );
  });

  test("as large as a file may be is refused soon", () => {
    const begin = "-----BEGIN PRIVATE KEY-----\n";
    const start = process.cpuUsage();
    for (const part of ["-", "A", "\n", "-----BEGIN ", begin, `${begin}AAAA\n`, "aaa ", "\r\n"]) {
      const many = part.repeat(KEY_FORM_BYTES_MAX / part.length);
      for (const text of [
        many,
        begin + many,
        `${begin}AAAA\n-----END PRIVATE KEY-----\n${many}-`,
      ]) {
        refusedForm(text);
      }
    }
    expect(process.cpuUsage(start).user / 1_000).toBeLessThan(SOON_MS);
  });
});
