/** Recovery keys by the commands: made once, kept for years, and used on a laptop without a network. */
import { spawn } from "node:child_process";
import { readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { runCommandLine } from "../../src/cli/command-line.ts";
import { encodeExportFile } from "../../src/core/record/export-file.ts";
import { encodeState } from "../../src/core/record/state.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { fromHex, toUtf8 } from "../../src/core/std/bytes.ts";
import { type CommitmentFile, decodeCommitment } from "../../src/keys/recovery-commitment.ts";
import { encodeKeyForm } from "../../src/keys/recovery-form.ts";
import { decodeRequest, encodeRequest } from "../../src/keys/recovery-request.ts";
import { combine, decodeSignature } from "../../src/keys/recovery-signature.ts";
import { makePublisher } from "../arbitraries/record.ts";
import { CHEAP, PASSPHRASE, commitmentOf, keyAt, stateOf } from "../keys/recovery-material.ts";
import { makeTemporaryDirectory } from "../store/temporary-directory.ts";
import { MAIN, spireMesh } from "./spire-mesh.ts";

const alpha = makePublisher("alpha.test");
const bravo = makePublisher("bravo.test");
const ATTEMPT = "another passphrase for key 2";

let directory: string;
let remove: () => Promise<void>;
let commitment: CommitmentFile;

const at = (...names: readonly string[]): string => join(directory, ...names);

async function put(name: string, content: string | Uint8Array, mode = 0o600): Promise<string> {
  await writeFile(at(name), content, { mode });
  return at(name);
}

/** The words of a command; the temporary directory's name has no space. */
function words(line: string, ...more: readonly string[]): readonly string[] {
  return [...line.split(" "), ...more];
}

/** A request of alpha.test's new daemon, to be signed by 2 of the 3 keys. */
function requestText(change: Partial<Parameters<typeof stateOf>[0]> = {}): string {
  const { lineage } = alpha.genesis;
  const recovery = commitmentOf(1, [keyAt(0)]);
  const payload = encodeState(stateOf({ lineage, recovery, ...change }));
  return encodeRequest({ payload, held: { epoch: 0, rev: 0, commitment: commitment.commitment } });
}

/** Keys 1 and 3 are PASSPHRASE's, key 2 is ATTEMPT's. */
beforeAll(async () => {
  ({ path: directory, remove } = await makeTemporaryDirectory());
  const record = encodeExportFile({ envelope: alpha.genesis.envelope, addresses: [] });
  await put("alpha.record", record);
  await put("pass", `${PASSPHRASE}\n`);
  await put("wrong", `${ATTEMPT}\n`);
  await put("passes", `${PASSPHRASE}\n${ATTEMPT}\n${PASSPHRASE}\n`);
  const { exitCode, stdout, stderr } = await spireMesh(
    words(
      `recovery create -record ${at("alpha.record")} -keys 3 -threshold 2 -out ${at("keys")}`,
      ...words(`-passphraseFile ${at("passes")} -printKeys -output json`),
    ),
  );
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  commitment = decodeCommitment(await readFile(at("keys", "commitment.txt"), "utf8"), "it");
  const hashes = commitment.commitment.keyHashes.map((each) => Buffer.from(each).toString("hex"));
  expect(JSON.parse(stdout)).toEqual({
    trust_domain: "alpha.test",
    lineage: alpha.genesis.idHex,
    threshold: 2,
    keys: [1, 2, 3].map((number) => ({
      number,
      key_hash: hashes[number - 1],
      file: at("keys", `key-${number}-of-3.txt`),
      clear_file: at("keys", `key-${number}-of-3-in-clear.txt`),
    })),
    commitment_file: at("keys", "commitment.txt"),
  });
  await put("request", requestText());
});

afterAll(async () => await remove());
afterEach(() => vi.restoreAllMocks());

/** What a command ends with, in this process. */
async function end(...args: readonly string[]): Promise<{ exitCode: number; stderr: string }> {
  let stderr = "";
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
  vi.spyOn(process.stderr, "write").mockImplementation((line) => {
    stderr += String(line);
    return true;
  });
  return { exitCode: await runCommandLine(["recovery", ...args]), stderr };
}

/** A command on a terminal, where each question is answered. Resolves with all that was shown. */
async function onTerminal(
  args: readonly string[],
  answers: readonly string[],
): Promise<{ exitCode: number | null; shown: string }> {
  const words = [process.execPath, MAIN, "recovery", ...args].map((word) => `'${word}'`).join(" ");
  const child = spawn("/usr/bin/script", ["-qec", words, "/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, TERM: "xterm" },
  });
  const left = [...answers];
  let shown = "";
  child.stdout.on("data", (chunk: Buffer) => {
    shown += chunk.toString();
    if (/(?:Passphrase for [^\n]*|The same again): $/.test(shown))
      child.stdin.write(left.shift() ?? "\x04");
  });
  await text(child.stdout);
  if (child.exitCode === null) await new Promise((resolve) => child.once("exit", resolve));
  return { exitCode: child.exitCode, shown };
}

/** Words of `recovery create` and `recovery sign`; what comes last of an option counts. */
const create = (out: string, ...more: readonly string[]): readonly string[] =>
  words(
    `create -record ${at("alpha.record")} -keys 3 -threshold 2 -out ${at(out)}`,
    ...words(`-passphraseFile ${at("pass")}`, ...more),
  );

const key = (number: number): string => at("keys", `key-${number}-of-3.txt`);

/** A request for the one key that opens at no cost. */
const quick = async (): Promise<readonly string[]> => {
  const payload = encodeState(stateOf());
  const held = { epoch: 0, rev: 0, commitment: commitmentOf(1, [keyAt(0)]) };
  const request = await put("quick", encodeRequest({ payload, held }));
  return ["sign", request, "-key", await cheap({})];
};

const sign = (keyFile: string, out: string, ...more: readonly string[]): readonly string[] =>
  words(
    `sign ${at("request")} -key ${keyFile} -out ${at(out)} -passphraseFile ${at("pass")}`,
    ...more,
  );

const cheap = async (change: {
  trustDomain?: TrustDomain;
  keyHash?: Uint8Array;
}): Promise<string> => {
  const label = {
    trustDomain: change.trustDomain ?? alpha.trustDomain,
    lineage: alpha.genesis.id,
    number: 1,
    count: 1,
    threshold: 1,
    keyHash: change.keyHash ?? keyAt(0).keyHash,
    madeOn: "2026-01-31",
  };
  const block = await keyAt(0).encrypted(PASSPHRASE, CHEAP);
  return await put("cheap", encodeKeyForm({ label, block }));
};

const flipped = async (path: string): Promise<string> =>
  (await readFile(path, "utf8")).replace("alpha.test", "alpha.tesu");

const known = (): Uint8Array => commitment.commitment.keyHashes[0] ?? fromHex("");

describe("recovery create", () => {
  test("makes files of this user alone, with all that was said and no more", async () => {
    const names = (await readdir(at("keys"))).toSorted();
    expect(names).toEqual([
      "commitment.txt",
      ...[1, 2, 3].flatMap((n) => [`key-${n}-of-3-in-clear.txt`, `key-${n}-of-3.txt`]),
    ]);
    for (const name of names) expect((await stat(at("keys", name))).mode & 0o7777).toBe(0o600);
    expect((await stat(at("keys"))).mode & 0o7777).toBe(0o700);
    expect(commitment).toMatchObject({ trustDomain: "alpha.test", lineage: alpha.genesis.id });
    expect(commitment.commitment.threshold).toBe(2);
  });

  test("asks on a terminal, twice for each key, and shows nothing that is typed", async () => {
    const good = "a passphrase of mine";
    const { exitCode, shown } = await onTerminal(
      [
        "create",
        "-record",
        at("alpha.record"),
        "-keys",
        "1",
        "-threshold",
        "1",
        "-out",
        at("typed"),
      ],
      ["too short\r", `${good}\r`, "another one\r", `${good}x\x7f\r`, `${good}\r`],
    );
    expect(exitCode).toBe(0);
    expect(shown).toContain("Not taken: it has 9 characters");
    expect(shown).toContain("Not taken: it was not typed the same twice");
    expect(shown).toContain("Recovery keys of alpha.test: 1, of which 1 sign together");
    for (const typed of ["too short", "of mine", "another one"]) expect(shown).not.toContain(typed);
    const arguments_ = ["-key", at("typed", "key-1-of-1.txt"), "-out", at("typed.sig")];
    const pass = await put("typed.pass", good);
    const signed = await end("sign", at("request"), ...arguments_, "-passphraseFile", pass);
    expect(signed.stderr).toMatch(/^RECOVERY_KEY_UNKNOWN: /m); // Of another set; but it was opened.
  });

  test.each<[string, () => readonly string[] | Promise<readonly string[]>, number, RegExp]>([
    [
      "a threshold above the number",
      () => create("new", "-threshold", "4"),
      64,
      /^USAGE: A threshold of 4 cannot be reached with 3 keys/,
    ],
    ["no keys", () => create("new", "-keys", "0"), 64, /^USAGE: .* 1 to 5/],
    ["six keys", () => create("new", "-keys", "6"), 64, /^USAGE: .* 1 to 5/],
    ["a threshold of 0", () => create("new", "-threshold", "0"), 64, /^USAGE: .* 1 to 5/],
    ["no number", () => create("new", "-keys", "three"), 64, /^USAGE: .* 1 to 5/],
    [
      "no record",
      () => ["create", "-keys", "1", "-threshold", "1", "-out", at("new")],
      64,
      /^USAGE: .*--record/,
    ],
    [
      "a record that is none",
      () => create("new", "-record", at("request")),
      65,
      /^RECOVERY_FILE_KIND: .*request is not an export/,
    ],
    [
      "a directory with files",
      () => create("keys"),
      73,
      /^CANNOT_CREATE: .*keys cannot be written: .* not empty/,
    ],
    ["a file for a directory", () => create("pass"), 73, /^CANNOT_CREATE: /],
    [
      "no terminal",
      () => create("new").slice(0, -2),
      64,
      /^USAGE: A passphrase is needed\. Next: Run it on a terminal/,
    ],
    [
      "no passphrase file",
      () => create("new", "-passphraseFile", at("none")),
      65,
      /^DATA_INVALID: .*none is not there/,
    ],
    [
      "a passphrase file of others",
      async () => create("new", "-passphraseFile", await put("open", PASSPHRASE, 0o644)),
      77,
      /^KEY_EXPOSED: .*mode 644/,
    ],
    [
      "an empty passphrase",
      async () => create("new", "-passphraseFile", await put("empty", "\n")),
      65,
      /^PASSPHRASE_UNFIT: .*0 characters/,
    ],
    [
      "a short passphrase",
      async () => create("new", "-passphraseFile", await put("short", "tiny\n")),
      65,
      /^PASSPHRASE_UNFIT: .*line 1: it has 4 characters/,
    ],
    [
      "passphrases for two keys of three",
      async () => create("new", "-passphraseFile", await put("two", `${PASSPHRASE}\n${ATTEMPT}\n`)),
      65,
      /^PASSPHRASE_UNFIT: .*2 lines/,
    ],
  ])("refuses %s, and leaves nothing", async (_, args, exitCode, stderr) => {
    const before = await readdir(at("keys"));
    expect(await end(...(await args()))).toEqual({
      exitCode,
      stderr: expect.stringMatching(stderr),
    });
    expect(await readdir(directory)).not.toContain("new");
    expect(await readdir(at("keys"))).toEqual(before);
  });
});

describe("recovery sign", () => {
  test("by 2 of 3 holders, each elsewhere, gives what a record carries", async () => {
    const first = await spireMesh(["recovery", ...sign(key(1), "1.sig"), "-output", "json"]);
    expect(first.exitCode, first.stderr).toBe(0);
    const words = (await readFile(at("request"), "utf8")).split("\n-----BEGIN")[0]?.split("\n");
    const shown = words?.slice(2).join("\n").trimEnd() ?? "nothing";
    expect(first.stderr).toContain(shown);
    expect(first.stderr).toMatch(/key-1-of-3\.txt is key 1 of 3 of alpha\.test, made on 2\d{3}-/);
    // The second one is typed from paper: the block of the form in clear, and its digits.
    const form = await readFile(at("keys", "key-3-of-3-in-clear.txt"), "utf8");
    const [typed = ""] = /-----BEGIN[^]*(?=\n\nCheck)/.exec(form) ?? [];
    const second = await end(
      "sign",
      at("request"),
      "-key",
      await put("paper", typed),
      "-out",
      at("3.sig"),
    );
    expect(second.exitCode, second.stderr).toBe(0);

    const request = decodeRequest(await readFile(at("request"), "utf8"), "request");
    const [one, three] = await Promise.all(
      ["1.sig", "3.sig"].map(async (name) =>
        decodeSignature(await readFile(at(name), "utf8"), name),
      ),
    );
    expect((await stat(at("1.sig"))).mode & 0o7777).toBe(0o600);
    const files = one === undefined || three === undefined ? [] : [three, one];
    expect(combine(request, files)).toHaveLength(2);
    const [hash = new Uint8Array()] = commitment.commitment.keyHashes;
    expect(JSON.parse(first.stdout)).toEqual({
      trust_domain: "alpha.test",
      epoch: 1,
      record_id: Buffer.from(request.recordId).toString("hex"),
      key_hash: Buffer.from(hash).toString("hex"),
      file: at("1.sig"),
    });
  });

  test("asks on a terminal, again when the passphrase is wrong, and shows nothing of it", async () => {
    const answers = ["a wrong one of mine\r", `${PASSPHRASE}\r`];
    const args = [...(await quick()), "-out", at("asked.sig")];
    const { exitCode, shown } = await onTerminal(args, answers);
    expect(exitCode).toBe(0);
    expect(shown).toContain("does not open with this passphrase");
    expect(shown).toContain("This is a RECOVERY.");
    for (const typed of ["wrong one", PASSPHRASE]) expect(shown).not.toContain(typed);
  });

  test("given up at its question leaves nothing", async () => {
    const args = ["sign", at("request"), "-key", key(2), "-out", at("none.sig")];
    const ended = await Promise.all(
      ["\x03", "\x04"].map(async (each) => await onTerminal(args, [each])),
    );
    for (const { exitCode, shown } of ended) {
      expect(exitCode).toBe(64);
      expect(shown).toContain("USAGE: No passphrase was typed.");
    }
    expect(await readdir(directory)).not.toContain("none.sig");
  });

  test("takes a passphrase from stdin, without a disk", async () => {
    const args = [...(await quick()), "-out", at("streamed.sig"), "-passphraseFile", "-"];
    const { exitCode } = await spireMesh(["recovery", ...args], {}, toUtf8(PASSPHRASE));
    expect(exitCode).toBe(0);
    const file = await readFile(at("streamed.sig"), "utf8");
    expect(decodeSignature(file, "it").publicKey).toEqual(keyAt(0).publicKey);
  });

  test.each<[string, () => readonly string[] | Promise<readonly string[]>, number, RegExp]>([
    [
      "a wrong passphrase",
      async () => [...(await quick()), "-out", at("new"), "-passphraseFile", at("wrong")],
      77,
      /^PASSPHRASE_WRONG: .*cheap does not open with this passphrase\. Next: Type it again/m,
    ],
    [
      "several passphrases",
      () => sign(key(1), "new", "-passphraseFile", at("passes")),
      65,
      /^PASSPHRASE_UNFIT: .*3 lines/m,
    ],
    [
      "a key of another trust domain",
      async () => sign(await cheap({ trustDomain: bravo.trustDomain }), "new"),
      65,
      /^RECOVERY_OTHER_TRUST_DOMAIN: .*is of bravo\.test, the request of alpha\.test/m,
    ],
    [
      "a key that is not committed",
      async () => sign(await cheap({}), "new"),
      65,
      /^RECOVERY_KEY_UNKNOWN: /m,
    ],
    [
      "a key whose form names another",
      async () => sign(await cheap({ keyHash: known() }), "new"),
      65,
      /^RECOVERY_FILE_DAMAGED: .*another key/m,
    ],
    [
      "a damaged key",
      async () => sign(await put("bad", await flipped(key(1))), "new"),
      65,
      /^RECOVERY_FILE_DAMAGED: .*its words were changed/m,
    ],
    [
      "a damaged request",
      async () => sign(key(1), "new").with(1, await put("bad", await flipped(at("request")))),
      65,
      /^RECOVERY_FILE_DAMAGED: .*its words/m,
    ],
    [
      "a request for a key",
      () => sign(at("request"), "new"),
      65,
      /^RECOVERY_FILE_KIND: .*is a recovery request, not a recovery key/m,
    ],
    [
      "a commitment for a key",
      () => sign(at("keys", "commitment.txt"), "new"),
      65,
      /^RECOVERY_FILE_KIND: .*is a recovery commitment, not a recovery key/m,
    ],
    ["an export for a key", () => sign(at("alpha.record"), "new"), 65, /^RECOVERY_FILE_KIND: /m],
    [
      "a key for a request",
      () => sign(key(1), "new").with(1, key(2)),
      65,
      /^RECOVERY_FILE_KIND: .*is an encrypted private key, not a recovery request/m,
    ],
    [
      "a directory for a key",
      () => sign(directory, "new"),
      65,
      /^RECOVERY_FILE_KIND: .*is not a file/m,
    ],
    [
      "a key that is not there",
      () => sign(at("none"), "new"),
      65,
      /^DATA_INVALID: .*no such file/m,
    ],
    [
      "a signature that is there",
      () => sign(key(1), "pass"),
      73,
      /^CANNOT_CREATE: .*there already/m,
    ],
    [
      "a place that is not there",
      () => sign(key(1), "no/such/place"),
      73,
      /^CANNOT_CREATE: .*no such file/m,
    ],
    ["no terminal", () => sign(key(1), "new").slice(0, -2), 64, /^USAGE: A passphrase is needed/m],
    [
      "a request that skips an epoch",
      async () =>
        sign(key(1), "new").with(
          1,
          await put("skips", requestText({ version: { epoch: 2, rev: 0, sequence: 1n } })),
        ),
      65,
      /^RECOVERY_OTHER_EPOCH: .*from epoch 0, rev 0 to epoch 2, rev 0/m,
    ],
    [
      "a request of another trust domain",
      async () =>
        sign(key(1), "new").with(
          1,
          await put("bravo", requestText({ trustDomain: bravo.trustDomain })),
        ),
      65,
      /^RECOVERY_OTHER_TRUST_DOMAIN: .*is of alpha\.test, the request of bravo\.test/m,
    ],
    [
      "a request that would keep the key",
      async () =>
        sign(key(1), "new").with(
          1,
          await put("keeps", requestText({ recovery: commitment.commitment })),
        ),
      65,
      /^RECOVERY_KEY_KEPT: /m,
    ],
  ])("refuses %s, and leaves nothing", async (_, args, exitCode, stderr) => {
    expect(await end(...(await args()))).toEqual({
      exitCode,
      stderr: expect.stringMatching(stderr),
    });
    expect(await readdir(directory)).not.toContain("new");
    expect(await readFile(at("pass"), "utf8")).toBe(`${PASSPHRASE}\n`);
  });

  test("refuses a clear key that is typed wrong by its place, and one without digits as unknown", async () => {
    const form = await readFile(at("keys", "key-1-of-3-in-clear.txt"), "utf8");
    const [typed = ""] = /-----BEGIN[^]*(?=\n\nCheck)/.exec(form) ?? [];
    const wrong = typed.replace(/(?<=KEY-----\n.{40})./, (letter) => (letter === "A" ? "B" : "A"));
    const found = await end(...sign(await put("paper", wrong), "new"));
    expect(found.stderr).toMatch(
      /^RECOVERY_FILE_DAMAGED: .*line 1 of the block, from character 33 to 48/m,
    );
    const bare = wrong.replace(/(?<=-----END.*\n)[^]*/, "");
    const unknown = await end(...sign(await put("paper", bare), "new"));
    expect(unknown.stderr).toMatch(/^RECOVERY_KEY_UNKNOWN: .*typed wrong/m);
  });
});
