import { execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openNodeKey } from "../../src/keys/node-key.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";

const IS_ROOT = process.geteuid?.() === 0;
const NOBODY = 65_534;

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spire-mesh-node-key-"));
  path = join(directory, "node.key");
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe("the node key", () => {
  test("is made once and is the same ever after", async () => {
    const made = await openNodeKey(directory);
    const again = await openNodeKey(directory);
    expect(again.publicKey).toEqual(made.publicKey);
    expect(again.seed).toEqual(made.seed);
    expect(await readdir(directory)).toEqual(["node.key"]);
  });

  test("differs from that of another directory", async () => {
    const other = join(directory, "other");
    await mkdir(other);
    const keys = [await openNodeKey(directory), await openNodeKey(other)];
    expect(keys[0]?.publicKey).not.toEqual(keys[1]?.publicKey);
  });

  test("is a file of mode 600 whatever the umask, in PEM that other tools read", async () => {
    const umask = process.umask(0);
    try {
      await openNodeKey(directory);
    } finally {
      process.umask(umask);
    }
    expect((await stat(path)).mode & 0o7777).toBe(0o600);
    expect(createPrivateKey(await readFile(path)).asymmetricKeyType).toBe("ed25519");
  });

  test("signs what its public key verifies", async () => {
    const key = await openNodeKey(directory);
    expect(key.publicKey).toHaveLength(32);
    fc.assert(
      fc.property(fc.uint8Array(), (message) => {
        expect(x509Proofs.verifiesNode(key.publicKey, message, key.sign(message))).toBe(true);
      }),
    );
  });

  test("has the seed that the public key comes from", async () => {
    const { seed, publicKey } = await openNodeKey(directory);
    const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
    const key = createPublicKey(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
    expect(key.export({ format: "jwk" }).x).toBe(Buffer.from(publicKey).toString("base64url"));
  });

  test.each([0o400, 0o640, 0o644, 0o660, 0o4600])(
    "is not read from a file of mode %o",
    async (mode) => {
      await openNodeKey(directory);
      await chmod(path, mode);
      await expect(openNodeKey(directory)).rejects.toMatchObject({ code: "KEY_EXPOSED" });
    },
  );

  test.runIf(IS_ROOT)("is not read from a file of another user", async () => {
    await openNodeKey(directory);
    await chown(path, NOBODY, NOBODY);
    await expect(openNodeKey(directory)).rejects.toMatchObject({ code: "KEY_EXPOSED" });
  });

  test("is not read through a link, from a directory or from a pipe", async () => {
    const elsewhere = join(directory, "elsewhere");
    await mkdir(elsewhere);
    await openNodeKey(elsewhere);
    await symlink(join(elsewhere, "node.key"), path);
    await expect(openNodeKey(directory)).rejects.toMatchObject({ code: "KEY_EXPOSED" });
    await rm(path);
    await mkdir(path);
    await expect(openNodeKey(directory)).rejects.toMatchObject({ code: "KEY_EXPOSED" });
    await rm(path, { recursive: true });
    execFileSync("mkfifo", ["-m", "600", path]);
    await expect(openNodeKey(directory)).rejects.toMatchObject({ code: "KEY_EXPOSED" });
  });

  test.each([
    ["nothing", ""],
    ["something else", "node key"],
    ["half a key", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQ\n-----END PRIVATE KEY-----\n"],
    ["a public key", pemOf("public")],
    ["a key of another kind", pemOf("private")],
  ])("is not guessed from a file with %s, which stays as it is", async (_, content) => {
    await writeFile(path, content, { mode: 0o600 });
    await expect(openNodeKey(directory)).rejects.toMatchObject({ code: "KEY_DAMAGED" });
    expect(await readFile(path, "utf8")).toBe(content);
  });

  test("is not made anew where the own record lists one", async () => {
    await expect(openNodeKey(directory, true)).rejects.toMatchObject({ code: "KEY_DAMAGED" });
    expect(await readdir(directory)).toEqual([]);
    const { publicKey } = await openNodeKey(directory);
    expect((await openNodeKey(directory, true)).publicKey).toEqual(publicKey);
  });

  test.each([
    ["KEY_DAMAGED", "gone", async () => await rm(path)],
    ["KEY_DAMAGED", "damaged", async () => await writeFile(path, "node key", { mode: 0o600 })],
    ["KEY_DAMAGED", "of another kind", async () => await writeFile(path, pemOf("private"))],
    ["KEY_DAMAGED", "too large", async () => await writeFile(path, "#".repeat(5_000))],
    ["KEY_EXPOSED", "open to others", async () => await chmod(path, 0o644)],
  ])(
    "is refused with %s when %s, and never advised to be moved away where the own record lists it",
    async (code, _, spoil) => {
      await openNodeKey(directory);
      await spoil();
      await expect(openNodeKey(directory, true)).rejects.toMatchObject({
        code,
        advice: expect.stringMatching(/^(?!.*away).*empty directory.*bundle pin/),
      });
    },
  );

  test("says so when it cannot be written", async () => {
    const missing = join(directory, "missing");
    await expect(openNodeKey(missing)).rejects.toMatchObject({ code: "CANNOT_CREATE" });
  });
});

function pemOf(half: "public" | "private"): string {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return half === "public"
    ? publicKey.export({ type: "spki", format: "pem" }).toString()
    : privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}
