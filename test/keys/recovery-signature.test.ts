/** Signature files, and which of them together are a recovery. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { judgeRecovery, isCommitted } from "../../src/core/record/recovery.ts";
import { recoveryPreimage } from "../../src/core/record/preimages.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import { compareBytes, toUtf8 } from "../../src/core/std/bytes.ts";
import type { ReadRequest } from "../../src/keys/recovery-request.ts";
import {
  type NamedSignature,
  type SignatureFile,
  checkOwner,
  combine,
  decodeSignature,
  encodeSignature,
  signRequest,
} from "../../src/keys/recovery-signature.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import {
  ALPHA,
  BRAVO,
  HELD,
  KEYS,
  codeOf,
  commitmentOf,
  expectEachByteToMatter,
  expectWholeFilesAlone,
  faultOf,
  keyAt,
  requestOf,
  requestText,
} from "./recovery-material.ts";

const decode = (text: string) => decodeSignature(text, "sig");
const request = requestOf();

/** As a holder makes it and a stick brings it back. */
function signedBy(index: number, of: ReadRequest = request): NamedSignature {
  const file = signRequest(of, keyAt(index), `key ${index}`);
  return decodeSignature(encodeSignature(file), `signature ${index}`);
}

describe("a recovery signature", () => {
  test("is read as it was written, and verifies under the key that it reveals", () => {
    for (const index of [0, 1, 2, 3, 4]) {
      const { publicKey, keyHash } = keyAt(index);
      const { signature, name, ...file } = signedBy(index);
      const { recordId } = request;
      expect(file).toEqual({
        trustDomain: ALPHA,
        lineage: request.state.lineage,
        epoch: 1,
        recordId,
        publicKey,
      });
      expect(name).toBe(`signature ${index}`);
      expect(x509Proofs.verifiesNode(publicKey, recoveryPreimage(recordId), signature)).toBe(true);
      expect(sha256(publicKey)).toEqual(keyHash);
    }
  });

  test("of which any byte changed on the way is refused", () => {
    expectEachByteToMatter(encodeSignature(signedBy(0)), decode);
  });

  test("is taken whole or not at all, and with another system's line ends", () => {
    expectWholeFilesAlone(encodeSignature(signedBy(0)), decode);
  });

  test.each<[string, Partial<SignatureFile>]>([
    ["of another record", { recordId: sha256(toUtf8("another")) }],
    ["of another key", { publicKey: keyAt(1).publicKey }],
    ["of no key", { publicKey: new Uint8Array(32) }],
    ["of nothing", { signature: new Uint8Array(64) }],
  ])("that names itself one %s is refused", (_, change) => {
    const text = encodeSignature({ ...signedBy(0), ...change });
    expect(codeOf(() => decode(text))).toBe("RECOVERY_FILE_DAMAGED");
  });

  test("is made by a committed key that shall not stay one, and by no other", () => {
    expect(codeOf(() => signedBy(4))).toBe("none");
    expect(codeOf(() => signedBy(5))).toBe("RECOVERY_KEY_UNKNOWN");
    const keeping = requestOf({ recovery: commitmentOf(1, [keyAt(2), keyAt(6)]) });
    expect(codeOf(() => signedBy(2, keeping))).toBe("RECOVERY_KEY_KEPT");
    expect(codeOf(() => signedBy(1, keeping))).toBe("none");
    expect(codeOf(() => signedBy(1, requestOf({ recovery: undefined })))).toBe("none");
  });

  test("is refused before the passphrase where the key's own file says enough", () => {
    const owner = { name: "key", trustDomain: ALPHA, keyHash: keyAt(0).keyHash };
    expect(codeOf(() => checkOwner(request, owner))).toBe("none");
    const ofBravo = { ...owner, trustDomain: BRAVO };
    expect(codeOf(() => checkOwner(request, ofBravo))).toBe("RECOVERY_OTHER_TRUST_DOMAIN");
    const ofEarlierSet = { ...owner, keyHash: keyAt(6).keyHash };
    expect(codeOf(() => checkOwner(request, ofEarlierSet))).toBe("RECOVERY_KEY_UNKNOWN");
  });
});

describe("signatures together", () => {
  const scheme = fc.integer({ min: 1, max: 5 }).chain((n) =>
    fc.record({
      n: fc.constant(n),
      m: fc.integer({ min: 1, max: n }),
      picked: fc.array(fc.integer({ min: 0, max: n - 1 }), { maxLength: 6 }),
    }),
  );

  test("are a recovery exactly when m different committed keys signed, in any order", () => {
    fc.assert(
      fc.property(scheme, ({ m, n, picked }) => {
        const commitment = commitmentOf(m, KEYS.slice(0, n));
        const asked = requestOf({}, { commitment });
        const files = picked.map((index) => signedBy(index, asked));
        const distinct = new Set(picked).size;
        const expected =
          distinct < picked.length
            ? "RECOVERY_KEY_TWICE"
            : distinct === m
              ? "none"
              : "RECOVERY_COUNT";
        expect(codeOf(() => combine(asked, files))).toBe(expected);
        if (expected !== "none") return;
        const signatures = combine(asked, files);
        expect(judgeRecovery(asked.recordId, signatures, commitment, x509Proofs).ok).toBe(true);
        const keys = signatures.map(([publicKey]) => publicKey);
        expect(keys).toEqual(keys.toSorted(compareBytes));
        expect(keys.every((key) => isCommitted(key, commitment.keyHashes))).toBe(true);
      }),
    );
  });

  const three = [0, 1, 2].map((index) => signedBy(index));
  const version = { epoch: 1, rev: 0, sequence: 13n };
  const elsewhere = requestOf({ trustDomain: BRAVO });
  const epoch = { ...HELD, epoch: 1 };
  const later = requestOf({ version: { ...version, epoch: 2 } }, epoch);
  const otherSet = requestOf({}, { commitment: commitmentOf(3, KEYS.slice(3)) });
  const withoutFirst = { commitment: commitmentOf(3, KEYS.slice(1, 5)) };
  const keepingFirst = requestOf({ recovery: commitmentOf(1, [keyAt(0)]) });
  const good = (index: number): NamedSignature => signedBy(index);

  test.each<[string, readonly NamedSignature[], ReadRequest, string, RegExp]>([
    ["none", [], request, "RECOVERY_COUNT", /^0 signatures are given, and exactly 3/],
    ["one of three", [good(0)], request, "RECOVERY_COUNT", /^1 signature is given, and exactly 3/],
    ["too few", three.slice(1), request, "RECOVERY_COUNT", /^2 signatures are given/],
    ["too many", [...three, good(3)], request, "RECOVERY_COUNT", /^4 signatures are given/],
    ["one file twice", [...three.slice(1), good(1)], request, "RECOVERY_KEY_TWICE", /signature 1/],
    [
      "one of another trust domain",
      [...three.slice(1), signedBy(0, elsewhere)],
      request,
      "RECOVERY_OTHER_TRUST_DOMAIN",
      /signature 0 is of bravo.test/,
    ],
    [
      "one of a later epoch",
      [...three.slice(1), signedBy(0, later)],
      request,
      "RECOVERY_OTHER_EPOCH",
      /for epoch 2, .* for 1$/,
    ],
    [
      "one of another request",
      [...three.slice(1), signedBy(0, requestOf({ version }))],
      request,
      "RECOVERY_OTHER_RECORD",
      /signature 0/,
    ],
    [
      "one of another set of keys",
      [...three.slice(1), signedBy(5, otherSet)],
      request,
      "RECOVERY_KEY_UNKNOWN",
      /signature 5/,
    ],
    [
      "one that was revealed before",
      three,
      { ...request, held: { ...HELD, ...withoutFirst } },
      "RECOVERY_KEY_UNKNOWN",
      /signature 0/,
    ],
    [
      "one that shall stay a key",
      three,
      { ...request, state: keepingFirst.state },
      "RECOVERY_KEY_KEPT",
      /signature 0/,
    ],
  ])("%s are no recovery", (_, files, of, code, message) => {
    const fault = faultOf(() => combine(of, files));
    expect(fault).toMatchObject({ code, exitCode: 65 });
    expect(fault?.message).toMatch(message);
  });

  test("too few and too many are told what to do", () => {
    expect(faultOf(() => combine(request, []))?.advice).toMatch(/further keys sign/);
    expect(faultOf(() => combine(request, [...three, good(3)]))?.advice).toMatch(/^Give 3 of them/);
  });
});

test("a request is no signature, and a signature no request", () => {
  expect(codeOf(() => decode(requestText()))).toBe("RECOVERY_FILE_KIND");
  expect(faultOf(() => decode(requestText()))?.message).toBe(
    "sig is a recovery request, not a recovery signature",
  );
});
