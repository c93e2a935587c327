/**
 * A start that is killed at one of its system calls, by strace: each fsync, rename, mkdir and unlink of
 * it in turn, and those of the first batches. SPIRE_MESH_LONG=1 takes all, else a few.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { openRecordStore } from "../../src/store/level-record-store.ts";
import { ALPHA, OWN, fill } from "./filled-store.ts";
import { makeTemporaryDirectory, temporaryDirectory } from "./temporary-directory.ts";

const CALLS = "fsync,fdatasync,rename,mkdir,unlink";
/** A first start makes 40 of them before its third batch, and 20 more where it puts a store away. */
const CALLS_MAX = 70;
const EVERY = process.env["SPIRE_MESH_LONG"] === "1" ? 1 : 23;
const HAS_STRACE = spawnSync("strace", ["-V"]).status === 0;
const WRITER = fileURLToPath(new URL("endless-writer.ts", import.meta.url));
const kills = Array.from(
  { length: Math.floor(CALLS_MAX / EVERY) },
  (_, index) => 4 + index * EVERY,
);

/** Lets the writer run until its call of this number, and gives what it acknowledged. */
async function killedAt(call: number, dataDir: string): Promise<readonly bigint[]> {
  const inject = ["-e", `trace=${CALLS}`, "-e", `inject=${CALLS}:signal=SIGKILL:when=${call}`];
  const command = [process.execPath, WRITER, dataDir];
  const args = ["-f", "-qq", "-o", join(dataDir, "..", "trace"), ...inject, ...command];
  const strace = spawn("strace", args, { stdio: ["ignore", "pipe", "inherit"] });
  const [said] = await Promise.all([text(strace.stdout), once(strace, "exit")]);
  return said.split("\n").flatMap((line) => (/^\d+$/.test(line) ? [BigInt(line)] : []));
}

/** Below a directory of its own, in which the trace lies as well. */
async function dataDirectory(): Promise<string> {
  return join(await temporaryDirectory(), "data");
}

async function loaded(dataDir: string) {
  const store = await openRecordStore(dataDir);
  try {
    return await store.load();
  } finally {
    await store.close();
  }
}

describe.runIf(HAS_STRACE)("a start that is killed (where strace is)", () => {
  let template = "";

  beforeAll(async () => {
    const { path, remove } = await makeTemporaryDirectory();
    template = path;
    await fill(template);
    await writeFile(join(template, "node.key"), "", { mode: 0o600 });
    await rm(join(template, "store", "CURRENT"));
    return remove;
  });

  test.each(kills)("at call %i of a first start and its batches loses nothing", async (call) => {
    const dataDir = await dataDirectory();
    const said = await killedAt(call, dataDir);
    const { domains, missing, quarantined, marksLost } = await loaded(dataDir);
    const newest = domains.map(({ held }) => held.sequence).sort((a, b) => Number(b - a))[0] ?? 0n;
    const heard = said.at(-1) ?? 0n;
    expect([heard, heard + 1n]).toContain(newest);
    expect([missing, quarantined, marksLost]).toEqual([[], undefined, false]);
  });

  test.each(kills)("at call %i while it puts a store away has put it away", async (call) => {
    const dataDir = await dataDirectory();
    await cp(template, dataDir, { recursive: true });
    await killedAt(call, dataDir);
    const { domains, missing, marksLost } = await loaded(dataDir);
    expect(domains.find(({ trustDomain }) => trustDomain === OWN)?.held.sequence).toBe(2n);
    expect(missing).toMatchObject([{ trustDomain: ALPHA, sequence: 4n }]);
    expect(marksLost).toBe(false);
    expect(await readdir(join(dataDir, "quarantine"))).toHaveLength(1);
  });
});
