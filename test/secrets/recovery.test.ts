/**
 * Recovery keys and their passphrases, from the first day to the worst one: they stand nowhere but on
 * the forms in clear that were asked for, and the passphrases nowhere at all.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { encodeExportFile } from "../../src/core/record/export-file.ts";
import { encodeState } from "../../src/core/record/state.ts";
import { decodeCommitment } from "../../src/keys/recovery-commitment.ts";
import { RecoveryKey } from "../../src/keys/recovery-key.ts";
import { encodeRequest } from "../../src/keys/recovery-request.ts";
import { makeKeySet } from "../../src/keys/recovery-set.ts";
import { makePublisher } from "../arbitraries/record.ts";
import { MAIN } from "../cli/spire-mesh.ts";
import { CHEAP, recoveryKey, stateOf } from "../keys/recovery-material.ts";
import { makeTemporaryDirectory } from "../store/temporary-directory.ts";
import { formIn, secretsOfPem } from "./forms.ts";

const PASSPHRASE = "only-its-holder-knows-this";
const WRONG = "what-somebody-else-may-guess";

let directory: string;
/** What came out, by what it came out of. */
const haystacks = new Map<string, Uint8Array>();
/** The keys themselves, by their forms in clear. */
const secrets = new Map<string, Buffer>();

/** Runs a command with its passphrase on stdin, and looks at the process while it waits for it. */
async function say(passphrase: string, ...args: readonly string[]): Promise<number | null> {
  const words = [MAIN, "recovery", ...args, "-passphraseFile", "-"];
  const child = spawn(process.execPath, words, { cwd: directory });
  const name = `${args[0]} #${child.pid}`;
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  }
  child.stdin.end(`${passphrase}\n`);
  await collectProcess(child, name);
  const [exitCode] = (await once(child, "close")) as [number | null];
  haystacks.set(name, Buffer.concat(chunks));
  return exitCode;
}

async function collectProcess({ pid }: ChildProcess, name: string): Promise<void> {
  for (const file of ["cmdline", "environ"]) {
    haystacks.set(`${name} ${file}`, await readFile(`/proc/${pid}/${file}`));
  }
}

const clear = "keys/key-1-of-1-in-clear.txt";
const inRoom = (name: string): string => join(directory, name);

function sign(request: string, key: string, out: string): readonly string[] {
  return ["sign", request, "-key", key, "-out", out];
}

beforeAll(async () => {
  const made = await makeTemporaryDirectory();
  directory = made.path;
  const alpha = makePublisher("alpha.test");
  const record = encodeExportFile({ envelope: alpha.genesis.envelope, addresses: [] });
  await writeFile(inRoom("record"), record);
  const create = "create -record record -keys 1 -threshold 1 -out keys -printKeys".split(" ");
  expect(await say(PASSPHRASE, ...create)).toBe(0);

  // A second one, which costs nothing to open.
  const { genesis, trustDomain } = alpha;
  const passphrases = [PASSPHRASE];
  const order = {
    trustDomain,
    lineage: genesis.id,
    threshold: 1,
    passphrases,
    madeOn: "2026-01-31",
  };
  const set = await makeKeySet(order, CHEAP);
  const [key] = set.keys;
  await writeFile(inRoom("key.txt"), key?.form ?? "");
  await writeFile(inRoom("other-in-clear.txt"), key?.formInClear() ?? "");
  const { commitment } = decodeCommitment(set.commitment, "it");
  const payload = encodeState(stateOf({ lineage: genesis.id }));
  const request = encodeRequest({ payload, held: { epoch: 0, rev: 0, commitment } });
  await writeFile(inRoom("request"), request);
  await writeFile(inRoom("cut"), (await readFile(inRoom(clear))).subarray(0, 900));
  const ends = await Promise.all([
    say(PASSPHRASE, ...sign("request", "key.txt", "1.sig"), "-output", "json"),
    say(WRONG, ...sign("request", "key.txt", "2.sig")),
    say(`${PASSPHRASE}\n${WRONG}`, ...sign("request", "key.txt", "3.sig")),
    say(PASSPHRASE, ...sign(clear, clear, "4.sig")),
    say(PASSPHRASE, ...sign("request", "cut", "5.sig")),
    say(PASSPHRASE, ...sign("request", clear, "6.sig")),
  ]);
  expect(ends).toEqual([0, 77, 65, 65, 65, 65]);

  const names = await readdir(directory, { recursive: true, withFileTypes: true });
  for (const entry of names.filter((each) => each.isFile())) {
    const content = await readFile(join(entry.parentPath, entry.name));
    if (entry.name.endsWith("-in-clear.txt")) {
      for (const secret of secretsOfPem(content.toString())) secrets.set(entry.name, secret);
    } else if (entry.name !== "cut") haystacks.set(entry.name, content);
  }
  return made.remove;
});

test("two keys, their files and seven commands were looked at", () => {
  expect(secrets.size).toBe(2);
  const names = [...haystacks.keys()].filter((name) => !/ (?:cmdline|environ)$/.test(name));
  expect(names.filter((name) => /#/.test(name))).toHaveLength(7);
  const files = ["1.sig", "commitment.txt", "key-1-of-1.txt", "key.txt", "record", "request"];
  expect(names.filter((name) => !/#/.test(name)).toSorted()).toEqual(files);
});

test("no key stands anywhere but on its form in clear", () => {
  for (const [name, secret] of secrets) {
    for (const [where, haystack] of haystacks) {
      expect(formIn(haystack, secret), `${name} in ${where}`).toBeUndefined();
    }
  }
});

test("no passphrase, right or wrong, stands anywhere", () => {
  for (const passphrase of [PASSPHRASE, WRONG]) {
    for (const [where, haystack] of haystacks) {
      expect(formIn(haystack, Buffer.from(passphrase)), where).toBeUndefined();
    }
  }
});

test("a key that is printed by mistake shows nothing", () => {
  const key = recoveryKey(0);
  const seed = new Uint8Array(32).fill(1);
  const shown = [key, { key }, [key], structuredClone(key)];
  const printed = shown.map(
    (each) => `${inspect(each, { depth: 9, showHidden: true })}${JSON.stringify(each)}`,
  );
  expect(formIn(Buffer.from(printed.join("\n")), seed)).toBeUndefined();
  expect(key).toBeInstanceOf(RecoveryKey);
});
