/**
 * The gate's law: whatever passes parses in Go's crypto/x509, and means the same there. SPIRE's
 * agents stop all their updates for one certificate that does not.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
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
import { mutatedDer } from "../arbitraries/mutated-der.ts";
import { ACCEPTED } from "./accepted.ts";

const HAS_GO = spawnSync("go", ["version"]).status === 0;
const LIMBO = fileURLToPath(
  new URL("../../../shared/vectors/x509-limbo/limbo-part.json", import.meta.url),
);
/** A cold build compiles Go's standard library. */
const BUILD_MS_MAX = 180_000;
const MUTATIONS = 12_000;

let directory: string;
let program: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "spire-mesh-go-"));
  program = join(directory, "parse");
  if (!HAS_GO) return;
  const cwd = fileURLToPath(new URL("go", import.meta.url));
  const build = spawnSync("go", ["build", "-o", program, "."], { cwd, encoding: "utf8" });
  expect(build.stderr).toBe("");
}, BUILD_MS_MAX);

afterAll(() => rmSync(directory, { recursive: true }));

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

/** Asks Go about those that we accept. Returns how many that are. */
function expectGoAgrees(ders: readonly Uint8Array[]): number {
  const accepted = ders.flatMap((der) => {
    const facts = x509Proofs.readCertificate(der);
    return "malformed" in facts ? [] : [{ der, facts }];
  });
  const answers = askGo(
    "cert",
    accepted.map(({ der }) => der),
  );
  expect(answers).toHaveLength(accepted.length);
  for (const [index, { der, facts }] of accepted.entries()) {
    const { unhandled, ...answer } = answers[index] ?? {};
    expect(answer, Buffer.from(der).toString("base64")).toEqual(inGoWords(facts));
    // Go hands on what it does not judge: constraints on directory names, none of ours besides.
    if (unhandled !== 0) expect(facts.nameConstraints?.othersCritical).toBe(true);
  }
  return accepted.length;
}

describe.skipIf(!HAS_GO)("Go parses, with the same meaning,", () => {
  test("every certificate that the gate must take", () => {
    const ders = Object.values(ACCEPTED);
    expect(expectGoAgrees(ders)).toBe(ders.length);
  });

  test("every damaged certificate that the gate takes", () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const damaged = fc.sample(mutatedDer(fc.constantFrom(...Object.values(ACCEPTED))), {
      seed,
      numRuns: MUTATIONS,
    });
    // Enough get through for the law to mean something.
    expect(expectGoAgrees(damaged), `seed ${seed}`).toBeGreaterThan(MUTATIONS / 50);
  });

  test("every damaged key that the gate takes", () => {
    const kinds = ["ec-p256", "ec-p384", "ec-p521", "rsa-2048", "ed25519"] as const;
    const keys = kinds.map((kind) => spkiOf(makeKeyPair(kind).publicKey));
    const damaged = fc.sample(mutatedDer(fc.constantFrom(...keys)), MUTATIONS / 4);
    const accepted = [...keys, ...damaged].flatMap((spki) => {
      const facts = x509Proofs.readKey(spki);
      return "malformed" in facts ? [] : [{ spki, facts }];
    });
    expect(accepted.length).toBeGreaterThan(keys.length);
    const answers = askGo(
      "key",
      accepted.map(({ spki }) => spki),
    );
    for (const [index, { facts }] of accepted.entries()) {
      expect(answers[index]).toMatchObject(keyInGoWords(facts));
      expect(answers[index]).not.toHaveProperty("error");
    }
  });

  test("every public root certificate that the gate takes, which is most of them", () => {
    const ders = rootCertificates.map(derOf);
    expect(expectGoAgrees(ders)).toBeGreaterThan(ders.length * 0.9);
  });

  test.skipIf(!existsSync(LIMBO))("every certificate of x509-limbo that the gate takes", () => {
    const { testcases } = JSON.parse(readFileSync(LIMBO, "utf8")) as {
      testcases: readonly {
        readonly trusted_certs: readonly string[];
        readonly untrusted_intermediates: readonly string[];
        readonly peer_certificate: string;
      }[];
    };
    const pems = new Set<string>();
    for (const one of testcases) {
      for (const pem of one.trusted_certs) pems.add(pem);
      for (const pem of one.untrusted_intermediates) pems.add(pem);
      pems.add(one.peer_certificate);
    }
    expect(expectGoAgrees([...pems].map(derOf))).toBeGreaterThan(pems.size * 0.8);
  });
});

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replaceAll(/-----[^-]+-----/g, ""), "base64");
}
