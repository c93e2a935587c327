/** Recovery keys, requests and signatures of alpha.test, as its operators make them. */
import { createPrivateKey } from "node:crypto";
import * as fc from "fast-check";
import { expect } from "vitest";
import { type State, type RecoveryCommitment, encodeState } from "../../src/core/record/state.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { compareBytes, fromHex, toUtf8 } from "../../src/core/std/bytes.ts";
import { sha256 } from "../../src/core/std/sha256.ts";
import { Fault } from "../../src/fault.ts";
import { RecoveryKey, type Stretching } from "../../src/keys/recovery-key.ts";
import {
  type HeldRecovery,
  type ReadRequest,
  decodeRequest,
  encodeRequest,
} from "../../src/keys/recovery-request.ts";

export const ALPHA = "alpha.test" as TrustDomain;
export const BRAVO = "bravo.test" as TrustDomain;
export const LINEAGE = sha256(toUtf8("a genesis record"));
export const PASSPHRASE = "correct horse battery staple";
/** What a guess costs does not matter to most tests. */
export const CHEAP: Stretching = { N: 2, r: 1, p: 1 };

/** The same key for the same number. */
export function recoveryKey(number: number): RecoveryKey {
  const seed = new Uint8Array(32).fill(number + 1);
  const pkcs8 = Buffer.concat([fromHex("302e020100300506032b657004220420"), seed]);
  return new RecoveryKey(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
}

/** Seven keys, ascending by hash. The first five are committed unless told. */
export const KEYS = Array.from({ length: 7 }, (_, number) => recoveryKey(number)).sort((a, b) =>
  compareBytes(a.keyHash, b.keyHash),
);

export function keyAt(index: number): RecoveryKey {
  return KEYS[index] ?? recoveryKey(index);
}

export function commitmentOf(threshold: number, keys: readonly RecoveryKey[]): RecoveryCommitment {
  return { threshold, keyHashes: keys.map(({ keyHash }) => keyHash).sort(compareBytes) };
}

/** What a recovery of alpha.test says: a new node, new authorities, new recovery keys. */
export function stateOf(change: Partial<State> = {}): State {
  return {
    trustDomain: ALPHA,
    lineage: LINEAGE,
    version: { epoch: 1, rev: 0, sequence: 12n },
    nodes: [sha256(toUtf8("a new node"))],
    removed: [sha256(toUtf8("a lost node"))],
    recovery: commitmentOf(1, [keyAt(6)]),
    x509Authorities: [
      { der: toUtf8("one"), tainted: false },
      { der: toUtf8("another"), tainted: true },
    ],
    jwtAuthorities: [{ keyId: "a-key", spki: toUtf8("spki"), expiresAtS: 0, tainted: false }],
    ...change,
  };
}

export const HELD: HeldRecovery = {
  epoch: 0,
  rev: 4,
  commitment: commitmentOf(3, KEYS.slice(0, 5)),
};

export function requestText(change: Partial<State> = {}, held: Partial<HeldRecovery> = {}): string {
  const payload = encodeState(stateOf(change));
  return encodeRequest({ payload, held: { ...HELD, ...held } });
}

export function requestOf(
  change: Partial<State> = {},
  held: Partial<HeldRecovery> = {},
): ReadRequest {
  return decodeRequest(requestText(change, held), "the request");
}

/** The code of the fault that it ends with; "none" when it does not. */
export function codeOf(work: () => unknown): string {
  return faultOf(work)?.code ?? "none";
}

export function faultOf(work: () => unknown): Fault | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

/** No byte of the file may be another: each place in turn, and some values. */
export function expectEachByteToMatter(text: string, decode: (text: string) => unknown): void {
  const bytes = Buffer.from(text);
  const refusals = ["RECOVERY_FILE_DAMAGED", "RECOVERY_FILE_KIND"];
  const refused = (at: number, change: number): void => {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ change;
    const code = codeOf(() => decode(changed.toString("utf8")));
    expect(refusals, `byte ${at} changed by ${change}: ${code}`).toContain(code);
  };
  for (const at of bytes.keys()) refused(at, 1 << (at % 8));
  const places = fc.nat({ max: bytes.length - 1 });
  fc.assert(fc.property(places, fc.integer({ min: 1, max: 255 }), refused), { numRuns: 300 });
}

/** A file that is cut off anywhere, or goes on after its end, is refused. */
export function expectWholeFilesAlone(text: string, decode: (text: string) => unknown): void {
  for (const cut of ["", text.slice(1), text.slice(0, -1), text.slice(0, 200), `${text}\n`]) {
    expect(codeOf(() => decode(cut))).toMatch(/^RECOVERY_FILE_(?:DAMAGED|KIND)$/);
  }
  expect(codeOf(() => decode(text.replaceAll("\n", "\r\n")))).toBe("none");
}
