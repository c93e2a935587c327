/** A recovery key as other tools see it, and what a guess of its passphrase costs. */
import { execFileSync } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeKeyForm } from "../../src/keys/recovery-form.ts";
import {
  RecoveryKey,
  STRETCHING,
  openRecoveryKey,
  passphraseProblem,
} from "../../src/keys/recovery-key.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import { toHex, toUtf8 } from "../../src/core/std/bytes.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { temporaryDirectory } from "../store/temporary-directory.ts";
import { ALPHA, CHEAP, LINEAGE, PASSPHRASE, recoveryKey } from "./recovery-material.ts";

describe("a recovery key", () => {
  test("is a new one each time, and signs what its public key verifies", () => {
    const [one, other] = [RecoveryKey.generate(), RecoveryKey.generate()];
    expect(one.publicKey).not.toEqual(other.publicKey);
    expect(one.keyHash).toEqual(sha256(one.publicKey));
    fc.assert(
      fc.property(fc.uint8Array(), (message) => {
        const signature = one.sign(message);
        expect(x509Proofs.verifiesNode(one.publicKey, message, signature)).toBe(true);
        expect(x509Proofs.verifiesNode(other.publicKey, message, signature)).toBe(false);
      }),
    );
  });

  test("is opened, and signs, by openssl alone, at the full price of a guess", async () => {
    const key = RecoveryKey.generate();
    const start = process.cpuUsage();
    const block = await key.encrypted(PASSPHRASE);
    const guess = process.cpuUsage(start).user;
    const label = {
      trustDomain: ALPHA,
      lineage: LINEAGE,
      number: 1,
      count: 1,
      threshold: 1,
      keyHash: key.keyHash,
      madeOn: "2026-01-31",
    };
    const directory = await temporaryDirectory();
    const form = join(directory, "key-1-of-1.txt");
    const message = join(directory, "message");
    await writeFile(form, encodeKeyForm({ label, block }));
    await writeFile(message, toUtf8("on the worst day"));
    const options = [
      "-sign",
      "-rawin",
      "-in",
      message,
      "-inkey",
      form,
      "-passin",
      `pass:${PASSPHRASE}`,
    ];
    const signature = execFileSync("openssl", ["pkeyutl", ...options]);
    expect(Uint8Array.from(signature)).toEqual(key.sign(toUtf8("on the worst day")));
    // Against one with OpenSSL's own default, as node:crypto would have written it.
    const { der } = key.inClear();
    const plain = createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" });
    const begin = process.cpuUsage();
    plain.export({ type: "pkcs8", format: "der", cipher: "aes-256-cbc", passphrase: PASSPHRASE });
    expect(guess).toBeGreaterThan(50 * process.cpuUsage(begin).user);
  });

  test("says in its file what a guess costs: scrypt with N = 2^14, r = 8, p = 16", async () => {
    expect(STRETCHING).toEqual({ N: 16_384, r: 8, p: 16 });
    const { der } = await recoveryKey(0).encrypted(PASSPHRASE, { ...STRETCHING, p: 1 });
    const [scryptOid, parameters, aes256Cbc] = [
      "06092b06010401da47040b",
      "020240000201080201",
      "060960864801650304012a",
    ];
    const hex = toHex(der);
    for (const part of [scryptOid, `${parameters}01`, aes256Cbc]) expect(hex).toContain(part);
    expect(der).toHaveLength(158);
  });

  test("is encrypted anew each time, and opens with that passphrase alone", async () => {
    const passphrases = fc.stringMatching(/^[!-~][ -~]{0,30}[!-~]$/);
    await fc.assert(
      fc.asyncProperty(passphrases, passphrases, async (passphrase, other) => {
        const key = recoveryKey(3);
        const block = await key.encrypted(passphrase, CHEAP);
        expect((await key.encrypted(passphrase, CHEAP)).der).not.toEqual(block.der);
        const opened = openRecoveryKey(block, passphrase);
        expect(opened.ok && opened.value.keyHash).toEqual(key.keyHash);
        if (other !== passphrase) {
          expect(openRecoveryKey(block, other)).toEqual({ ok: false, reason: "closed" });
        }
      }),
    );
  });
});

describe("a new passphrase", () => {
  test.each<[string, RegExp | undefined]>([
    [PASSPHRASE, undefined],
    ["fifteen letters", undefined],
    ["x".repeat(256), undefined],
    ["", /0 characters, and 15/],
    ["fourteen chars", /14 characters, and 15/],
    ["x".repeat(257), /257 characters, and 256/],
    [" a space before it", /begins or ends/],
    ["a space behind it ", /begins or ends/],
    ["ein sehr schönes Passwort", /plain ASCII/],
    ["a tab\tin the middle", /plain ASCII/],
    ["a line end in it\n", /plain ASCII/],
  ])("%j", (passphrase, problem) => {
    const found = passphraseProblem(passphrase);
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(problem);
  });
});
