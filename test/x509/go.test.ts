/**
 * The gate's law: whatever passes parses in Go's crypto/x509, and means the same there. SPIRE's
 * agents stop all their updates for one certificate that does not.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CertificateFacts, KeyFacts } from "../../src/core/record/proofs.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { makeKeyPair, spkiOf } from "../arbitraries/certificate.ts";
import { generatedCertificate } from "../arbitraries/generated-certificate.ts";
import { generatedKey } from "../arbitraries/generated-key.ts";
import { mutatedDer } from "../arbitraries/mutated-der.ts";
import { ACCEPTED } from "./accepted.ts";
import { CRAFTED } from "./crafted.ts";
import { certificatesOf, derOf, limboCases } from "./limbo.ts";

const HAS_GO = spawnSync("go", ["version"]).status === 0;
if (!HAS_GO) say("go is not on PATH: the gate is not compared with Go's crypto/x509");
/** A cold build compiles Go's standard library. */
const BUILD_MS_MAX = 180_000;
/** The long tests try ten times as many. */
const TIMES = process.env["SPIRE_MESH_LONG"] === "1" ? 10 : 1;
const COMPARE_MS_MAX = 90_000 * TIMES;
const DAMAGED = 12_000 * TIMES;
const GENERATED = 8_000 * TIMES;
const KEYS = 4_000 * TIMES;
/** How many are made, asked about and let go at once. */
const BATCH = 4_000;

let directory: string;
let program: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "spire-mesh-go-"));
  program = join(directory, "parse");
  if (!HAS_GO) return;
  copyFileSync(fileURLToPath(new URL("go/main.go", import.meta.url)), join(directory, "main.go"));
  // The version in go.mod decides how lenient Go is (GODEBUG): at 1.21 it takes negative serial
  // numbers. The toolchain's own is what it would be in a program of today.
  const [version = ""] = /\d+(\.\d+)+/.exec(go("env", "GOVERSION")) ?? [];
  writeFileSync(join(directory, "go.mod"), `module spire-mesh/test/x509\n\ngo ${version}\n`);
  go("build", "-o", program, ".");
}, BUILD_MS_MAX);

afterAll(() => rmSync(directory, { recursive: true }));

function go(...args: readonly string[]): string {
  const run = spawnSync("go", args, { cwd: directory, encoding: "utf8" });
  expect(run.stderr).toBe("");
  return run.stdout;
}

/** What the Go program prints for one certificate or key. */
interface GoAnswer {
  readonly error?: string;
  readonly [field: string]: unknown;
}

function askGo(kind: "cert" | "key", ders: readonly Uint8Array[]): readonly GoAnswer[] {
  const input = ders.map((der) => `${kind} ${Buffer.from(der).toString("base64")}\n`).join("");
  const run = spawnSync(program, { input, encoding: "utf8", maxBuffer: 2 ** 30 });
  expect(run.stderr).toBe("");
  return run.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

/** Our facts in the words of the Go program. */
function inGoWords(facts: CertificateFacts): GoAnswer {
  const { key, keyUsage, nameConstraints } = facts;
  return {
    notBeforeS: facts.notBeforeS,
    notAfterS: facts.notAfterS,
    ...keyInGoWords(key),
    isCa: facts.isCa,
    pathLength: facts.pathLength ?? -1,
    hasKeyUsage: keyUsage !== undefined,
    signs: keyUsage?.digitalSignature ?? false,
    signsCerts: keyUsage?.keyCertSign ?? false,
    uris: facts.uriSans.length,
    subjectKeyId: toHex(facts.subjectKeyId ?? Buffer.of()),
    authorityKeyId: toHex(facts.authorityKeyId ?? Buffer.of()),
    permitted: nameConstraints?.permittedUris ?? [],
    excluded: nameConstraints?.excludedUris ?? [],
    issuer: toHex(facts.issuer),
    subject: toHex(facts.subject),
    spki: toHex(key.spki),
  };
}

function keyInGoWords({ type, bits }: KeyFacts): {
  readonly keyType: string;
  readonly bits: number;
} {
  return { keyType: type, bits };
}

interface Tally {
  both: number;
  neither: number;
  /** What Go takes and the gate does not, by the gate's reason. */
  readonly goAlone: Map<string, number>;
}

/** Asks Go about each: whatever the gate takes, Go must, with the same meaning. */
function compare(kind: "cert" | "key", ders: readonly Uint8Array[], tally: Tally): void {
  const answers = askGo(kind, ders);
  expect(answers).toHaveLength(ders.length);
  for (const [index, der] of ders.entries()) {
    const answer = answers[index] ?? {};
    const read = kind === "cert" ? x509Proofs.readCertificate(der) : x509Proofs.readKey(der);
    if ("malformed" in read) {
      if (answer.error !== undefined) tally.neither += 1;
      else count(tally.goAlone, reasonOf(read.malformed));
      continue;
    }
    tally.both += 1;
    const base64 = Buffer.from(der).toString("base64");
    expect(answer, base64).not.toHaveProperty("error");
    if ("der" in read) expectSameMeaning(read, answer, base64);
    else expect(answer, base64).toMatchObject(keyInGoWords(read));
  }
}

function expectSameMeaning(facts: CertificateFacts, answer: GoAnswer, base64: string): void {
  const { unhandled, ...words } = answer;
  expect(words, base64).toEqual(inGoWords(facts));
  // Go hands on what it does not judge: constraints on directory names, none of ours besides.
  if (unhandled !== 0) expect(facts.nameConstraints?.othersCritical, base64).toBe(true);
}

/** Reasons are few once what stands in them is left out. */
function reasonOf(malformed: string): string {
  return malformed.replaceAll(/\b(0x)?[0-9a-f.]*\d[0-9a-f.]*\b/g, "…");
}

function count(reasons: Map<string, number>, reason: string): void {
  reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
}

function newTally(): Tally {
  return { both: 0, neither: 0, goAlone: new Map() };
}

/** Compares so many of them, and tells what came of it. The seed is in the name of a failure. */
function compareMany(
  what: string,
  kind: "cert" | "key",
  ders: fc.Arbitrary<Uint8Array>,
  total: number,
): Tally {
  const tally = newTally();
  const seed = Math.floor(Math.random() * 2 ** 31);
  for (let done = 0; done < total; done += BATCH) {
    const numRuns = Math.min(BATCH, total - done);
    compare(kind, fc.sample(ders, { seed: seed + done, numRuns }), tally);
  }
  say(tableOf(`${total} ${what} (seed ${seed})`, tally));
  return tally;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

const ROWS_MAX = 12;

function tableOf(title: string, { both, neither, goAlone }: Tally): string {
  const rows = [...goAlone].toSorted(([, left], [, right]) => right - left);
  const shown = rows.slice(0, ROWS_MAX);
  const rest = rows.slice(ROWS_MAX);
  const lines = [
    ...shown,
    ...(rest.length > 0 ? [[`${rest.length} more reasons`, sum(rest)] as const] : []),
  ].map(([reason, times]) => `${String(times).padStart(8)}  ${reason}`);
  return [
    `${title}: ${both} taken by both, ${neither} by neither, ${sum(rows)} by Go alone`,
    ...lines,
  ].join("\n");
}

function sum(rows: readonly (readonly [string, number])[]): number {
  return rows.reduce((total, [, times]) => total + times, 0);
}

/** None is there that Go takes and the gate does not know why. */
function expectAllTaken(ders: readonly Uint8Array[], share: number): void {
  const tally = newTally();
  compare("cert", ders, tally);
  expect(tally.both).toBeGreaterThanOrEqual(ders.length * share);
}

const good = fc.constantFrom(...Object.values(ACCEPTED));
const goodKeys = (["ec-p256", "ec-p384", "ec-p521", "rsa-2048", "ed25519"] as const).map((kind) =>
  spkiOf(makeKeyPair(kind).publicKey),
);

describe.skipIf(!HAS_GO)("Go parses, with the same meaning,", () => {
  test("every certificate that the gate must take", () => {
    expectAllTaken(Object.values(ACCEPTED), 1);
  });

  test("two of the eighteen crafted CAs: the gate takes none", () => {
    const answers = askGo(
      "cert",
      Object.values(CRAFTED).map(({ der }) => der),
    );
    const taken = Object.keys(CRAFTED).filter((_, index) => answers[index]?.error === undefined);
    expect(taken).toEqual(["cA FALSE written out", "a time without seconds"]);
    expect(taken).toEqual(Object.keys(CRAFTED).filter((what) => CRAFTED[what]?.goTakes));
  });

  test(
    "every damaged certificate that the gate takes",
    () => {
      const { both } = compareMany("damaged certificates", "cert", mutatedDer(good), DAMAGED);
      // Enough get through for the law to mean something.
      expect(both).toBeGreaterThan(DAMAGED / 50);
    },
    COMPARE_MS_MAX,
  );

  test(
    "every generated certificate that the gate takes",
    () => {
      const { both, neither, goAlone } = compareMany(
        "generated certificates",
        "cert",
        generatedCertificate,
        GENERATED,
      );
      // Many of each, so that neither side says yes or no to everything.
      expect(both).toBeGreaterThan(GENERATED / 4);
      expect(neither).toBeGreaterThan(GENERATED / 20);
      expect(goAlone.size).toBeGreaterThan(10);
    },
    COMPARE_MS_MAX,
  );

  test(
    "every damaged or generated key that the gate takes",
    () => {
      const keys = fc.oneof(mutatedDer(fc.constantFrom(...goodKeys)), generatedKey);
      const { both, neither } = compareMany("keys", "key", keys, KEYS);
      expect(both).toBeGreaterThan(KEYS / 10);
      expect(neither).toBeGreaterThan(KEYS / 10);
    },
    COMPARE_MS_MAX,
  );

  test("every public root certificate that the gate takes, which is most of them", () => {
    expectAllTaken(rootCertificates.map(derOf), 0.9);
  });

  test.skipIf(limboCases().length === 0)("every certificate of x509-limbo that it takes", () => {
    const pems = new Set(limboCases().flatMap(certificatesOf));
    expectAllTaken([...pems].map(derOf), 0.8);
  });
});
