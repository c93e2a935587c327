/** A key's text, years later: as a file, as a bad copy, and typed from paper. */
import { generateKeyPairSync } from "node:crypto";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import { toUtf8 } from "../../src/core/std/bytes.ts";
import {
  type KeyLabel,
  dayOf,
  decodeKeyForm,
  encodeKeyForm,
  openKeyForm,
} from "../../src/keys/recovery-form.ts";
import type { KeyBlock } from "../../src/keys/recovery-key.ts";
import {
  ALPHA,
  CHEAP,
  LINEAGE,
  PASSPHRASE,
  codeOf,
  expectEachByteToMatter,
  expectWholeFilesAlone,
  faultOf,
  keyAt,
  requestText,
} from "./recovery-material.ts";

const decode = (text: string) => decodeKeyForm(text, "key");
const key = keyAt(1);
const label: KeyLabel = {
  trustDomain: ALPHA,
  lineage: LINEAGE,
  number: 2,
  count: 5,
  threshold: 3,
  keyHash: key.keyHash,
  madeOn: "2026-01-31",
};
/** The same in each run, unlike an encrypted key: what is found by 12 bits of it is, too. */
const block: KeyBlock = {
  isEncrypted: true,
  der: Uint8Array.from({ length: 158 }, (_, index) => sha256(toUtf8(`${index}`))[0] ?? 0),
};
const text = encodeKeyForm({ label, block });
/** From BEGIN to END and the digits below it, as somebody types them. */
const typed = text.replace(/^[^]*?(?=-----BEGIN)/, "").replace(/\nCheck:[^]*$/, "");
const [base64 = ""] = /(?<=KEY-----\n)[^-]*(?=\n-----END)/.exec(text) ?? [];

let encrypted: KeyBlock;
beforeAll(async () => {
  encrypted = await key.encrypted(PASSPHRASE, CHEAP);
});

describe("a key's form", () => {
  const labels = fc.record({
    trustDomain: fc.stringMatching(/^[a-z0-9._-]{1,255}$/).map((name) => name as TrustDomain),
    lineage: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    number: fc.integer({ min: 1, max: 5 }),
    count: fc.integer({ min: 1, max: 5 }),
    threshold: fc.integer({ min: 1, max: 5 }),
    keyHash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    madeOn: fc
      .date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
      .map((date) => dayOf(date.getTime())),
  });
  const blocks = fc.record({
    isEncrypted: fc.boolean(),
    der: fc.uint8Array({ minLength: 1, maxLength: 400 }),
  });

  test("is read as it was written", () => {
    fc.assert(
      fc.property(labels, blocks, (label, block) => {
        expect(decode(encodeKeyForm({ label, block }))).toEqual({ label, block });
      }),
    );
  });

  test("may be typed without its words, with and without its digits, and in other lines", () => {
    fc.assert(
      fc.property(labels, blocks, fc.constantFrom(" ", "\n", "\t", "\r\n"), (label, block, gap) => {
        const [, begin = "", body = "", end = "", digits = ""] =
          /(-----BEGIN.*\n)([^-]*)(-----END.*\n)([0-9a-f \n]*)/.exec(
            encodeKeyForm({ label, block }),
          ) ?? [];
        const grouped = body.replaceAll("\n", "").replaceAll(/.{5}/g, (five) => five + gap);
        for (const below of [digits, digits.toUpperCase(), digits.replaceAll(" ", gap), ""]) {
          const whole = `\n${begin}${grouped}\n${end}${below}`;
          expect(decode(whole)).toEqual({ label: undefined, block });
          expect(decode(whole.trim())).toEqual({ label: undefined, block });
        }
      }),
    );
  });

  test("of which any byte changed is refused, before any passphrase is asked", () => {
    expectEachByteToMatter(text, decode);
  });

  test("in clear, too", () => {
    expectEachByteToMatter(encodeKeyForm({ label, block: key.inClear() }), decode);
  });

  test("is taken whole or not at all, and with another system's line ends", () => {
    expectWholeFilesAlone(text, decode);
  });

  test("typed with one wrong character names the line and the place", () => {
    const lines = base64.split("\n");
    expect(lines.map(({ length }) => length)).toEqual([64, 64, 64, 20]);
    for (const [row, line] of lines.entries()) {
      for (let column = 0; column < line.length; column += 1) {
        if (line[column] === "=") continue;
        const wrong = line[column] === "l" ? "I" : "l";
        const changed = line.slice(0, column) + wrong + line.slice(column + 1);
        const fault = faultOf(() => decode(typed.replace(line, () => changed)));
        expect(fault?.code).toBe("RECOVERY_FILE_DAMAGED");
        const from = column - (column % 16) + 1;
        expect(fault?.message).toBe(
          `key is not what was written: look at line ${row + 1} of the block, from character ${from} to ${from + 15}, or at its digits`,
        );
      }
    }
  });

  test.each<[string, string, RegExp]>([
    [
      "with a character too many",
      typed.replace(base64, `${base64.slice(0, 3)}A${base64.slice(3)}`),
      /line 1 .* 1 to 16/,
    ],
    ["with a character too few", typed.replace(base64, base64.slice(1)), /line 1 .* 1 to 16/],
    ["without its last line", typed.replace(/\n.*\n(?=-----END)/, "\n"), /ends too early/],
    [
      "with wrong digits",
      typed.replace(/[0-9a-f]{3}\n$/, "000\n"),
      /line 4 .* 17 to 32, or at its digits/,
    ],
    ["with digits missing", typed.replace(/[0-9a-f]{3}\n$/, "\n"), /line 4 .* 17 to 32/],
    ["with something else below", `${typed}\nto my children`, /can stand alone/],
    ["with something else above", `my key\n${typed}`, /can stand alone/],
    [
      "with a character of no base64",
      typed
        .replace(base64, `${base64.slice(0, 3)}*${base64.slice(4)}`)
        .replace(/(?<=-----END.*\n)[^]*/, ""),
      /no base64/,
    ],
  ])("typed %s is refused", (_, attempt, message) => {
    const fault = faultOf(() => decode(attempt));
    expect(fault).toMatchObject({ code: "RECOVERY_FILE_DAMAGED", exitCode: 65 });
    expect(fault?.message).toMatch(message);
  });

  test.each<[string, string]>([
    ["a recovery request", requestText()],
    ["something else", "a shopping list"],
    ["something else", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
  ])("is not %s", (what, other) => {
    const fault = faultOf(() => decode(other));
    expect(fault).toMatchObject({ code: "RECOVERY_FILE_KIND", exitCode: 65 });
    expect(fault?.message).toBe(`key is ${what}, not a recovery key`);
  });

  test("fits on a page", () => {
    expect(text.split("\n").length).toBeLessThan(40);
    expect(Math.max(...text.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(100);
  });
});

const open = (
  changes: { readonly label?: KeyLabel | undefined; readonly block?: KeyBlock },
  passphrase = PASSPHRASE,
) => openKeyForm({ label, block: encrypted, ...changes }, passphrase, "key");

describe("a key", () => {
  test("opens with its passphrase, and without one where it is in clear", () => {
    expect(open({}).keyHash).toEqual(key.keyHash);
    expect(open({ label: undefined }).keyHash).toEqual(key.keyHash);
    expect(open({ block: key.inClear() }, "").keyHash).toEqual(key.keyHash);
  });

  test.each(["", "correct horse battery stapl", `${PASSPHRASE} `, PASSPHRASE.toUpperCase()])(
    "does not open with `%s`",
    (wrong) => {
      expect(faultOf(() => open({}, wrong))).toMatchObject({
        code: "PASSPHRASE_WRONG",
        exitCode: 77,
        message: "key does not open with this passphrase",
      });
      const typedIn = faultOf(() => open({ label: undefined }, wrong));
      expect(typedIn?.message).toMatch(/passphrase, or its block was typed wrong$/);
    },
  );

  test("is not another than its form says", () => {
    const other = { ...label, keyHash: keyAt(0).keyHash };
    expect(codeOf(() => open({ label: other }))).toBe("RECOVERY_FILE_DAMAGED");
  });

  test("is no key of another kind, and no garbage", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const ecdsa = privateKey.export({ type: "pkcs8", format: "der" });
    const codes = [ecdsa, ecdsa.subarray(1)].map((der) =>
      codeOf(() => open({ block: { isEncrypted: false, der } })),
    );
    expect(codes).toEqual(["RECOVERY_FILE_KIND", "RECOVERY_FILE_DAMAGED"]);
    expect(codeOf(() => open({ block }))).toBe("PASSPHRASE_WRONG");
  });
});
