/** A request says what its payload says, and nothing that is read differs from what is signed. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { recordId } from "../../src/core/record/preimages.ts";
import { type State, encodeState } from "../../src/core/record/state.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { compareBytes, toHex, toUtf8 } from "../../src/core/std/bytes.ts";
import { PAYLOAD_BYTES_MAX } from "../../src/core/std/limits.ts";
import { sha256, sha256Hex } from "../../src/core/std/sha256.ts";
import {
  type HeldRecovery,
  decodeRequest,
  describeRequest,
  encodeRequest,
} from "../../src/keys/recovery-request.ts";
import { RECOVERY_TEXT_BYTES_MAX } from "../../src/keys/recovery-text.ts";
import {
  HELD,
  KEYS,
  codeOf,
  commitmentOf,
  expectEachByteToMatter,
  expectWholeFilesAlone,
  keyAt,
  requestOf,
  requestText,
  stateOf,
} from "./recovery-material.ts";

const decode = (text: string) => decodeRequest(text, "the request");

const hashes = (min: number, max: number) =>
  fc
    .uniqueArray(fc.nat(), { minLength: min, maxLength: max })
    .map((each) => each.map((number) => sha256(toUtf8(`${number}`))).sort(compareBytes));
const commitment = hashes(1, 5).chain((keyHashes) =>
  fc.record({
    threshold: fc.integer({ min: 1, max: keyHashes.length }),
    keyHashes: fc.constant(keyHashes),
  }),
);
const held: fc.Arbitrary<HeldRecovery> = fc.record({
  epoch: fc.nat({ max: 2 ** 32 - 2 }),
  rev: fc.nat({ max: 2 ** 32 - 1 }),
  commitment,
});
const requests = fc.tuple(
  held,
  fc.record({
    trustDomain: fc.stringMatching(/^[a-z0-9._-]{1,60}$/).map((name) => name as TrustDomain),
    lineage: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    rev: fc.nat({ max: 2 ** 32 - 1 }),
    sequence: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    nodes: hashes(1, 4),
    recovery: fc.option(commitment, { nil: undefined }),
    isTainted: fc.boolean(),
    keyIds: fc.uniqueArray(fc.stringMatching(/^[!-~]{1,20}$/), { maxLength: 3 }),
  }),
);

const authority = (length: number) => ({
  der: new Uint8Array(length).fill(length),
  tainted: true,
});

describe("a recovery request", () => {
  test("is read as it was written, and its words name all that it does", () => {
    fc.assert(
      fc.property(requests, ([held, { rev, sequence, isTainted, keyIds, ...said }]) => {
        const state = stateOf({
          ...said,
          version: { epoch: held.epoch + 1, rev, sequence },
          x509Authorities: [{ der: said.lineage, tainted: isTainted }],
          jwtAuthorities: keyIds.map((keyId) => ({
            keyId,
            spki: toUtf8(keyId),
            expiresAtS: 0,
            tainted: isTainted,
          })),
        });
        const payload = encodeState(state);
        const request = decode(encodeRequest({ payload, held }));
        expect(request).toMatchObject({ payload, held, recordId: recordId(1, payload) });
        const words = describeRequest(request);
        const dense = words.replaceAll(" ", "");
        const ids = [
          ...state.nodes,
          ...state.removed,
          ...held.commitment.keyHashes,
          request.recordId,
          said.lineage,
        ];
        for (const id of [...ids, ...(state.recovery?.keyHashes ?? [])]) {
          expect(dense).toContain(toHex(id));
        }
        for (const { der } of state.x509Authorities) expect(dense).toContain(sha256Hex(der));
        for (const { keyId, spki } of state.jwtAuthorities) {
          expect(words).toContain(keyId);
          expect(dense).toContain(sha256Hex(spki));
        }
        expect(words.includes("tainted")).toBe(
          isTainted || keyIds.some((each) => /tainted/.test(each)),
        );
        expect(words.includes("NO RECOVERY KEYS AFTER IT")).toBe(state.recovery === undefined);
        expect(words).toContain(`exactly ${held.commitment.threshold} of`);
      }),
    );
  });

  test("of which any byte changed on the way is refused", () => {
    expectEachByteToMatter(requestText(), decode);
  });

  test("is taken whole or not at all, and with another system's line ends", () => {
    expectWholeFilesAlone(requestText(), decode);
  });

  test("whose words say something else than its payload is refused", () => {
    const honest = requestText();
    const other = requestText({ nodes: [sha256(toUtf8("a thief's node"))] });
    const block = /-----BEGIN[^]*/;
    const forged = honest.replace(block, () => block.exec(other)?.[0] ?? "");
    expect(codeOf(() => decode(honest))).toBe("none");
    expect(codeOf(() => decode(forged))).toBe("RECOVERY_FILE_DAMAGED");
    const soothing = honest.replace("This is a RECOVERY.", "This does nothing.");
    expect(codeOf(() => decode(soothing))).toBe("RECOVERY_FILE_DAMAGED");
  });

  test.each<[string, number, number, Partial<State>, string]>([
    ["the next epoch", 1, 0, {}, "none"],
    ["the next epoch, with a revision", 1, 9, {}, "none"],
    ["the next epoch, without recovery keys", 1, 0, { recovery: undefined }, "none"],
    ["the next revision with other keys", 0, 5, {}, "none"],
    ["the next revision without keys", 0, 5, { recovery: undefined }, "none"],
    [
      "the next revision with another threshold",
      0,
      5,
      { recovery: commitmentOf(2, KEYS.slice(0, 5)) },
      "none",
    ],
    [
      "the next revision with the same keys",
      0,
      5,
      { recovery: HELD.commitment },
      "RECOVERY_OTHER_EPOCH",
    ],
    ["the held version", 0, 4, {}, "RECOVERY_OTHER_EPOCH"],
    ["a later revision", 0, 6, {}, "RECOVERY_OTHER_EPOCH"],
    ["an epoch further", 2, 0, {}, "RECOVERY_OTHER_EPOCH"],
  ])("to %s", (_, epoch, rev, change, code) => {
    const version = { epoch, rev, sequence: 12n };
    expect(codeOf(() => requestOf({ ...change, version }))).toBe(code);
  });

  test("says when it exchanges keys instead of recovering", () => {
    expect(describeRequest(requestOf())).toContain("This is a RECOVERY.");
    const version = { epoch: 0, rev: 5, sequence: 12n };
    expect(describeRequest(requestOf({ version }))).toContain("EXCHANGES THE RECOVERY KEYS");
  });

  test("of the largest record fits into its bound", () => {
    const certificates = Array.from({ length: 64 }, (_, index) => authority(1_300 + index));
    const jwtAuthorities = Array.from({ length: 64 }, (_, index) => ({
      keyId: `${index}`.padStart(128, "k"),
      spki: new Uint8Array(1),
      expiresAtS: 0,
      tainted: true,
    }));
    const nodes = Array.from({ length: 16 }, (_, index) => new Uint8Array(32).fill(index));
    const state = stateOf({ x509Authorities: certificates, jwtAuthorities, nodes });
    const missing = PAYLOAD_BYTES_MAX - encodeState(state).length;
    const [, ...others] = certificates;
    const x509Authorities = [...others, authority(1_300 + missing)];
    expect(encodeState({ ...state, x509Authorities })).toHaveLength(PAYLOAD_BYTES_MAX);
    const text = requestText({ x509Authorities, jwtAuthorities, nodes });
    expect(Buffer.byteLength(text)).toBeLessThan(RECOVERY_TEXT_BYTES_MAX);
    expect(decode(text).state.x509Authorities).toHaveLength(64);
  });

  test("is not made of a payload that is no state", () => {
    expect(() => encodeRequest({ payload: toUtf8("no state"), held: HELD })).toThrow(/has a state/);
  });

  test("that commits one of its own signers again can still be read", () => {
    expect(codeOf(() => requestOf({ recovery: commitmentOf(1, [keyAt(0)]) }))).toBe("none");
  });
});
