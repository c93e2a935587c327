import { createHash, createPrivateKey, generateKeyPairSync } from "node:crypto";
import { statfsSync } from "node:fs";
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { type NodeKey, openNodeKey } from "../../src/keys/node-key.ts";
import { openPublisher } from "../../src/keys/publisher.ts";
import type { SvidCachePolicy } from "../../src/keys/svid-files.ts";
import type { Keyring } from "../../src/ports/keyring.ts";
import { type KeyringUnderTest, Publishing } from "../compliance/keyring.ts";
import { IMPOSTORS } from "../private-files/impostors.ts";
import { secretOf } from "../secrets/forms.ts";
import { RotatingSpire } from "./rotating-spire.ts";

const TRUST_DOMAIN = "alpha.test" as TrustDomain;
const START_S = 1_790_000_000;
const TMPFS = "/dev/shm";
const PRIVATE_KEY = /^-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n/;

/** What may become of a file of ours, in words. */
const SPOILT: readonly (readonly [string, (file: string) => Promise<void>])[] = [
  ["is empty", async (file) => await truncate(file)],
  ["is cut off", async (file) => await truncate(file, 400)],
  ["has lost its chain", async (file) => await truncate(file, 250)],
  ["is something else", async (file) => await writeFile(file, "\0".repeat(1_000))],
  ["is too large", async (file) => await writeFile(file, "-".repeat(70_000))],
  ["can be read by others", async (file) => await chmod(file, 0o644)],
  ["has a key that is not the chain's", async (file) => await swapKey(file)],
  ["has a key whose scalar is damaged", async (file) => await damageScalar(file)],
  ["is a link", async (file) => await replaceByLink(file)],
];

let dataDir: string;
let runtimeDir: string;
let nodeKey: NodeKey;
let warnings: string[];
/** The wall clock. */
let nowS: number;
/** A clock that nobody sets. */
let uptimeS: number;
let spire: RotatingSpire;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "spire-mesh-data-"));
  runtimeDir = await mkdtemp(join(isTmpfs(TMPFS) ? TMPFS : tmpdir(), "spire-mesh-run-"));
  nodeKey = await openNodeKey(dataDir);
  warnings = [];
  nowS = START_S;
  uptimeS = 0;
  spire = new RotatingSpire(TRUST_DOMAIN, () => nowS);
});

afterEach(async () => {
  await Promise.all([dataDir, runtimeDir].map((path) => rm(path, { recursive: true })));
});

/** Starts the daemon's keyring as after a restart: only files are left. */
async function start(
  policy: SvidCachePolicy,
  trustDomain: TrustDomain = TRUST_DOMAIN,
): Promise<Keyring> {
  return await openPublisher(
    { trustDomain, nodeKey, svidCache: { policy, runtimeDir, dataDir } },
    {
      mint: spire.mint,
      warn: (message) => warnings.push(message),
      uptimeMs: () => uptimeS * 1_000,
    },
  );
}

function beside(keyring: Keyring): KeyringUnderTest {
  return { keyring, nodePublicKey: nodeKey.publicKey, spire, nowMs: () => nowS * 1_000 };
}

/** Publishes once, then turns SPIRE over so that only a kept SVID can speak for what was published. */
async function publishThenRotate(policy: SvidCachePolicy): Promise<Publishing> {
  const publishing = new Publishing(beside(await start(policy)));
  await publishing.publish();
  spire.prepare();
  spire.activate();
  spire.taintOld();
  spire.revokeOld();
  return publishing;
}

async function signAfterRestart(policy: SvidCachePolicy, before: Publishing) {
  const after = new Publishing(beside(await start(policy)));
  after.held = before.held;
  return await after.sign();
}

async function filesOf(parent: string): Promise<readonly string[]> {
  const directory = join(parent, "svids");
  return (await readdir(directory)).map((name) => join(directory, name));
}

/** Files and whatever else has the name of a kept SVID. */
async function keysIn(parent: string): Promise<readonly string[]> {
  return (await filesOf(parent)).filter((name) => name.endsWith(".pem"));
}

describe("kept SVIDs", () => {
  test("in memory do not outlive the daemon, and nothing is written", async () => {
    const before = await publishThenRotate("memory");
    expect(await signAfterRestart("memory", before)).toEqual({ kind: "no-old-chain" });
    expect(await readdir(runtimeDir)).toEqual([]);
    expect(await readdir(dataDir)).toEqual(["node.key"]);
  });

  test.runIf(isTmpfs(TMPFS))(
    "on tmpfs carry continuity over a restart of daemon and SPIRE",
    async () => {
      const before = await publishThenRotate("runtime_dir");
      expect(await signAfterRestart("runtime_dir", before)).toMatchObject({ kind: "signed" });
      expect(await readdir(dataDir)).toEqual(["node.key"]);
      expect(warnings).toEqual([]);
    },
  );

  test("on disk do so where the operator chose it", async () => {
    const before = await publishThenRotate("disk");
    expect(await signAfterRestart("disk", before)).toMatchObject({ kind: "signed" });
    expect(warnings).toEqual([]);
  });

  test.skipIf(isTmpfs(tmpdir()))(
    "stay in memory when runtime_dir is no tmpfs, and it says so",
    async () => {
      await rm(runtimeDir, { recursive: true });
      runtimeDir = await mkdtemp(join(tmpdir(), "spire-mesh-run-"));
      const before = await publishThenRotate("runtime_dir");
      expect(await signAfterRestart("runtime_dir", before)).toEqual({ kind: "no-old-chain" });
      expect(await readdir(runtimeDir)).toEqual([]);
      expect(warnings).toEqual([
        expect.stringContaining("not on tmpfs"),
        expect.stringContaining("not on tmpfs"),
      ]);
    },
  );

  test("are files of mode 600 in a directory of mode 700", async () => {
    const publishing = await publishThenRotate("disk");
    await publishing.publish();
    const files = await filesOf(dataDir);
    expect(files).toHaveLength(spire.minted);
    expect((await stat(join(dataDir, "svids"))).mode & 0o7777).toBe(0o700);
    for (const file of files) {
      expect((await stat(file)).mode & 0o7777).toBe(0o600);
      expect(await readFile(file, "utf8")).toMatch(/^-----BEGIN PRIVATE KEY-----[^]*CERTIFICATE/);
    }
  });

  test("are removed when they have lived their hour while the daemon runs, if SPIRE is away too", async () => {
    const publishing = await publishThenRotate("disk");
    const old = await filesOf(dataDir);
    await publishing.publish();
    const keyring = await start("disk");
    uptimeS += 3_661;
    nowS += 3_661;
    await keyring.mintAhead(nowS * 1_000);
    const left = await filesOf(dataDir);
    expect(left).toHaveLength(1);
    expect(old).not.toContain(left[0]);
    uptimeS += 3_661;
    spire.failure = new Error("away");
    await expect(keyring.mintAhead(nowS * 1_000)).rejects.toBe(spire.failure);
    expect(await filesOf(dataDir)).toEqual([]);
    expect(warnings).toEqual([]);
  });

  test.each([3_661, -86_400])(
    "carry continuity through a wall clock that is %d s wrong for a while, and a restart in it",
    async (aheadS) => {
      const before = await publishThenRotate("disk");
      nowS += aheadS;
      expect(await signAfterRestart("disk", before)).toEqual({ kind: "no-old-chain" });
      const keyring = await start("disk");
      await keyring.mintAhead(nowS * 1_000); // SPIRE's clock, too, is wrong by as much.
      nowS -= aheadS;
      expect(await signAfterRestart("disk", before)).toMatchObject({ kind: "signed" });
      expect(warnings).toEqual([]);
    },
  );

  test.each(SPOILT)("are not used when a file %s; it is told and left", async (_, spoil) => {
    const before = await publishThenRotate("disk");
    const files = await filesOf(dataDir);
    for (const file of files) await spoil(file);
    expect(await signAfterRestart("disk", before)).toEqual({ kind: "no-old-chain" });
    expect(warnings).toEqual(files.map(() => expect.stringContaining("is not used")));
    expect(await filesOf(dataDir)).toEqual(expect.arrayContaining([...files]));
  });

  test.each(IMPOSTORS)(
    "are not used where a file is $is, and nothing waits for it",
    async ({ make }) => {
      const before = await publishThenRotate("disk");
      const files = await filesOf(dataDir);
      for (const file of files) await make(file);
      expect(await signAfterRestart("disk", before)).toEqual({ kind: "no-old-chain" });
      expect(warnings).toEqual(files.map(() => expect.stringContaining("is not used")));
    },
  );

  test.each<readonly [string, (svids: string) => Promise<void>]>([
    ["is a link", async (svids) => await symlink(runtimeDir, svids)],
    [
      "is open to others",
      async (svids) => {
        await mkdir(svids);
        await chmod(svids, 0o777);
      },
    ],
  ])("stay in memory when their directory %s, and it says so", async (_, make) => {
    await make(join(dataDir, "svids"));
    await new Publishing(beside(await start("disk"))).publish();
    expect(warnings).toEqual([expect.stringContaining("stay in memory")]);
    expect(await readdir(runtimeDir)).toEqual([]);
    expect(await filesOf(dataDir)).toEqual([]);
  });

  test("that a crash left half written are removed at the next start", async () => {
    const before = await publishThenRotate("disk");
    const [file = ""] = await filesOf(dataDir);
    await writeFile(`${file}.new`, "-----BEGIN PRIVATE KEY-----", { mode: 0o600 });
    expect(await signAfterRestart("disk", before)).toMatchObject({ kind: "signed" });
    expect((await filesOf(dataDir)).filter((name) => name.endsWith(".new"))).toEqual([]);
  });

  test.each<readonly [SvidCachePolicy, SvidCachePolicy]>([
    ["disk", "memory"],
    ["disk", "runtime_dir"],
    ...(isTmpfs(TMPFS) ? ([["runtime_dir", "disk"]] as const) : []),
  ])("of the policy %s are removed when the operator goes over to %s", async (before, after) => {
    await publishThenRotate(before);
    const parent = before === "disk" ? dataDir : runtimeDir;
    const [file = ""] = await filesOf(parent);
    await writeFile(`${file}.new`, "-----BEGIN PRIVATE KEY-----", { mode: 0o600 });
    const foreign = join(parent, "svids", "README");
    await writeFile(foreign, "hello");
    await start(after);
    expect(await filesOf(parent)).toEqual([foreign]);
  });

  test.each(SPOILT)("of another policy are removed also when a file %s", async (_, spoil) => {
    await publishThenRotate("disk");
    const files = await filesOf(dataDir);
    for (const file of files) await spoil(file);
    await start("memory");
    expect(await keysIn(dataDir)).toEqual([]);
    expect(warnings).toEqual([]);
  });

  test("of another policy are removed however many there are, whosever trust domain they name", async () => {
    await publishThenRotate("disk");
    const [file = ""] = await filesOf(dataDir);
    const hashes = Array.from({ length: 100 }, (_, index) => index.toString(16).padStart(32, "0"));
    for (const each of hashes) await copyFile(file, file.replace(/-[0-9a-f]{32}/, `-${each}`));
    await start("memory", "bravo.test" as TrustDomain);
    expect(await filesOf(dataDir)).toEqual([]);
    expect(warnings).toEqual([]);
  });

  test.each(IMPOSTORS)(
    "of another policy are removed where a file is $is, and nothing that it leads to",
    async ({ is, make }) => {
      await publishThenRotate("disk");
      const files = await filesOf(dataDir);
      for (const file of files) await make(file);
      const beside = (await filesOf(dataDir)).filter((name) => !files.includes(name));
      await start("memory");
      // A directory is none of ours: it is told.
      const left = is === "a directory" ? files : [];
      expect(await keysIn(dataDir)).toEqual(left);
      expect(warnings).toEqual(left.map((path) => expect.stringContaining(path)));
      expect(await filesOf(dataDir)).toEqual(expect.arrayContaining(beside));
    },
  );

  test("of another policy are let alone behind a link", async () => {
    await publishThenRotate("disk");
    const files = await filesOf(dataDir);
    await rename(join(dataDir, "svids"), join(dataDir, "elsewhere"));
    await symlink("elsewhere", join(dataDir, "svids"));
    await start("memory");
    expect(await filesOf(dataDir)).toEqual(files);
    expect(warnings).toEqual([]);
  });

  test("of another trust domain are not used, whatever their name says", async () => {
    await publishThenRotate("disk");
    const [ours = ""] = await filesOf(dataDir);
    const bravo = "bravo.test" as TrustDomain;
    const theirs = join(dataDir, "svids", nameFor(bravo, ours));
    await rename(ours, theirs);
    await start("disk", bravo);
    expect(warnings).toEqual([expect.stringMatching(`${basename(theirs)} is not used`)]);
  });

  test.runIf(isTmpfs(TMPFS)).each<SvidCachePolicy>(["memory", "runtime_dir", "disk"])(
    "of another trust domain's daemon in a shared runtime_dir are let alone under the policy %s",
    async (policy) => {
      const before = await publishThenRotate("runtime_dir");
      const [file = ""] = await filesOf(runtimeDir);
      await writeFile(`${file}.new`, "-----BEGIN PRIVATE KEY-----", { mode: 0o600 });
      const files = await filesOf(runtimeDir);
      const ofBravo = await mkdtemp(join(tmpdir(), "spire-mesh-data-"));
      try {
        const svidCache = { policy, runtimeDir, dataDir: ofBravo };
        await openPublisher(
          { trustDomain: "bravo.test" as TrustDomain, nodeKey, svidCache },
          { mint: spire.mint, warn: (message) => warnings.push(message) },
        );
      } finally {
        await rm(ofBravo, { recursive: true });
      }
      expect(await filesOf(runtimeDir)).toEqual(files);
      expect(await signAfterRestart("runtime_dir", before)).toMatchObject({ kind: "signed" });
      expect(warnings).toEqual([]);
    },
  );

  test.each(["__proto__", "a".repeat(255)])(
    "of a trust domain with the name %s are files like others",
    async (name) => {
      const trustDomain = name as TrustDomain;
      spire = new RotatingSpire(trustDomain, () => nowS);
      const keyring = await start("disk", trustDomain);
      await keyring.mintAhead(nowS * 1_000);
      expect(await keysIn(dataDir)).toHaveLength(1);
      await start("memory", trustDomain);
      expect(await keysIn(dataDir)).toEqual([]);
      expect(warnings).toEqual([]);
    },
  );

  test("are passed over when a file is not one of theirs", async () => {
    const before = await publishThenRotate("disk");
    await writeFile(join(dataDir, "svids", "README"), "hello");
    expect(await signAfterRestart("disk", before)).toMatchObject({ kind: "signed" });
    expect(warnings).toEqual([]);
  });

  test("stay in memory when their directory cannot be made, and it says so", async () => {
    await writeFile(join(dataDir, "svids"), "a file");
    const publishing = new Publishing(beside(await start("disk")));
    await publishing.publish();
    expect(warnings).toEqual([expect.stringContaining("stay in memory")]);
  });

  test("are still good in memory when they cannot be written, and it says so", async () => {
    const keyring = await start("disk");
    await rm(join(dataDir, "svids"), { recursive: true });
    await new Publishing(beside(keyring)).publish();
    expect(warnings.length).toBeGreaterThan(0);
  });
});

/** The file's name, as a daemon of this trust domain would name it. */
function nameFor(trustDomain: TrustDomain, file: string): string {
  const hash = createHash("sha256").update(trustDomain).digest("hex").slice(0, 32);
  return basename(file).replace(/^[0-9a-f]{32}-/, `${hash}-`);
}

/** Puts another key before the chain. */
async function swapKey(file: string): Promise<void> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const foreign = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  await writeFile(file, (await readFile(file, "utf8")).replace(PRIVATE_KEY, foreign));
}

/** Changes the secret of the key, and not the public point that stands beside it. */
async function damageScalar(file: string): Promise<void> {
  const text = await readFile(file, "utf8");
  const key = createPrivateKey(text);
  const der = key.export({ type: "pkcs8", format: "der" });
  const scalar = secretOf(key);
  const at = der.indexOf(scalar) + scalar.length - 1;
  der[at] = (der[at] ?? 0) ^ 1;
  const body = der.toString("base64").replaceAll(/.{64}/g, "$&\n");
  const damaged = `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`;
  await writeFile(file, text.replace(PRIVATE_KEY, damaged));
}

async function replaceByLink(file: string): Promise<void> {
  await rename(file, `${file}.moved`);
  await symlink(`${file}.moved`, file);
}

function isTmpfs(path: string): boolean {
  try {
    return statfsSync(path).type === 0x01_02_19_94;
  } catch {
    return false;
  }
}
