/** Real processes on one data directory: killed while they write, in each other's way, on a full disk. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cp, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { openRecordStore } from "../../src/store/level-record-store.ts";
import { domainNamed, pinNamed, stored } from "../compliance/record-store.ts";
import { type Child, startChild } from "./child-process.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const IS_LONG = process.env["SPIRE_MESH_LONG"] === "1";
const KILLS = IS_LONG ? 1_000 : 12;
const LOSING_KILLS = IS_LONG ? 300 : 6;
/** A child takes a second to start on a busy machine. */
const TIMEOUT_MS = KILLS * 5_000;
const HAS_STRACE = spawnSync("strace", ["-V"]).status === 0;
const ZERO = { epoch: 0, rev: 0, sequence: 0n };
const DOMAINS = 3n;

/** Reads acknowledged numbers up to `count` of them, or to the end; or those that are marked. */
async function acknowledged(
  child: Child,
  count: number,
  marked: bigint[] = [],
): Promise<readonly bigint[]> {
  const numbers: bigint[] = [];
  while (numbers.length < count) {
    const line = await child.line();
    if (line === undefined) break;
    if (/^\d+$/.test(line)) numbers.push(BigInt(line));
    if (line.startsWith("marked ")) marked.push(BigInt(line.slice(7)));
  }
  return numbers;
}

/** Damages of a store that lose something, by turns. */
const LOSSES: readonly ((store: string, older: string) => Promise<void>)[] = [
  async (store) => await rm(store, { recursive: true }),
  async (store) => await rm(join(store, "CURRENT")),
  async (store, older) => {
    await rm(store, { recursive: true });
    await cp(older, store, { recursive: true });
  },
];

describe("a store whose daemon is killed with SIGKILL while it writes", () => {
  test(
    `loses no acknowledged write in ${KILLS} kills, and holds each write whole`,
    async () => {
      const dataDir = await temporaryDirectory();
      let last = 0n;
      for (let kill = 0; kill < KILLS; kill += 1) {
        const child = startChild("endless-writer.ts", [dataDir, `${last + 1n}`]);
        // A different number each time, so that kills meet young and old logs, and both FORMAT states.
        const before = await acknowledged(child, 1 + ((kill * 7) % 40));
        await child.kill();
        const after = await acknowledged(child, Infinity); // Said before the kill, read after it.
        const heard = [...before, ...after].at(-1);
        expect(heard).toBeDefined();

        const store = await openRecordStore(dataDir);
        const { domains } = await store.load();
        const newest = domains.map(({ held }) => held.sequence).sort((a, b) => Number(b - a))[0];
        expect([heard, (heard ?? 0n) + 1n]).toContain(newest); // One more may be on disk, unsaid.
        last = newest ?? 0n;
        for (const { trustDomain, held } of domains) {
          expect(held.sequence).toBeGreaterThan(last - DOMAINS);
          const steps = await store.stepsAbove(trustDomain, ZERO, 64);
          const gaps = steps.filter(
            ({ sequence }, index) =>
              index > 0 && sequence - (steps[index - 1]?.sequence ?? 0n) !== DOMAINS,
          );
          expect(gaps).toEqual([]);
        }
        await store.close();
      }
      expect(last).toBeGreaterThan(BigInt(KILLS));
    },
    TIMEOUT_MS,
  );
});

describe("a store that is lost when its daemon is killed", () => {
  test(
    `is missed for each version that was said to be marked, in ${LOSING_KILLS} kills`,
    async () => {
      const dataDir = await temporaryDirectory();
      const older = join(await temporaryDirectory(), "store");
      await acknowledgedOnce(dataDir);
      await cp(join(dataDir, "store"), older, { recursive: true });
      let last = DOMAINS;
      for (let kill = 0; kill < LOSING_KILLS; kill += 1) {
        const child = startChild("endless-writer.ts", [dataDir, `${last + 1n}`]);
        const marked: bigint[] = [];
        await acknowledged(child, 4 + ((kill * 7) % 30), marked);
        await child.kill();
        const said = await acknowledged(child, Infinity, marked);
        await LOSSES[kill % LOSSES.length]?.(join(dataDir, "store"), older);

        const store = await openRecordStore(dataDir);
        const { domains, missing, quarantined } = await store.load();
        expect([domains, typeof quarantined]).toEqual([[], "string"]);
        const missed = new Map(missing.map(({ trustDomain, sequence }) => [trustDomain, sequence]));
        const newest = marked.at(-1) ?? last;
        for (let back = 0n; back < DOMAINS; back += 1n) {
          const name = `domain-${(newest - back) % DOMAINS}.test` as TrustDomain;
          expect(missed.get(name)).toBeGreaterThanOrEqual(newest - back);
        }
        for (const { trustDomain, sequence, pin } of missing) {
          expect(pin).toEqual(pinNamed(trustDomain));
          await store.accept(domainNamed(trustDomain, stored(sequence)), pin, true);
        }
        await store.close();
        await rm(join(dataDir, "quarantine"), { recursive: true, force: true });
        last = [...missed.values(), said.at(-1) ?? last].reduce((a, b) => (a > b ? a : b));
      }
    },
    TIMEOUT_MS,
  );
});

/** One record of each trust domain. */
async function acknowledgedOnce(dataDir: string): Promise<void> {
  const store = await openRecordStore(dataDir);
  for (let sequence = 1n; sequence <= DOMAINS; sequence += 1n) {
    const name = `domain-${sequence % DOMAINS}.test`;
    await store.accept(domainNamed(name, stored(sequence)), pinNamed(name), true);
  }
  await store.close();
}

describe("a data directory in use by another process", () => {
  test("is refused as ALREADY_RUNNING, and free again when that process is gone", async () => {
    const dataDir = await temporaryDirectory();
    const child = startChild("endless-writer.ts", [dataDir]);
    expect(await child.line()).toBe("open");
    await expect(openRecordStore(dataDir)).rejects.toMatchObject({ code: "ALREADY_RUNNING" });
    await child.kill();
    const store = await openRecordStore(dataDir);
    await store.close();
  });

  test.skipIf(process.platform !== "linux")(
    "is refused though somebody deleted its files, which loses nothing",
    async () => {
      const dataDir = await temporaryDirectory();
      const child = startChild("endless-writer.ts", [dataDir]);
      await acknowledged(child, 3);
      await rm(join(dataDir, "store", "LOCK"));
      await expect(openRecordStore(dataDir)).rejects.toMatchObject({
        code: "ALREADY_RUNNING",
        advice: expect.stringMatching(/`sudo ss -xlp`.* another user/),
      });
      const last = (await acknowledged(child, 20)).at(-1) ?? 0n;
      await child.kill();
      const store = await openRecordStore(dataDir); // At once: the kernel took the guard back.
      const { domains } = await store.load();
      expect(domains.some(({ held }) => held.sequence >= last)).toBe(true);
      await store.close();
    },
  );

  test.skipIf(process.platform !== "linux")(
    "hangs up on every user who calls the name of its lock",
    async () => {
      const dataDir = await temporaryDirectory();
      const store = await openRecordStore(dataDir);
      const { dev, ino } = await stat(dataDir, { bigint: true });
      const calls = Array.from({ length: 200 }, async () => {
        const socket = connect(`\0spire-mesh/${dev}:${ino}`);
        await once(socket.resume(), "close");
      });
      await Promise.all(calls);
      await store.close();
    },
  );

  test("is refused in the same process too", async () => {
    const dataDir = await temporaryDirectory();
    const store = await openRecordStore(dataDir);
    await expect(openRecordStore(dataDir)).rejects.toMatchObject({ code: "ALREADY_RUNNING" });
    await store.close();
  });
});

describe("a store whose marks find no room", () => {
  test.runIf(HAS_STRACE)(
    "says STORE_FULL, keeps what it acknowledged, and goes on when there is room (where strace is)",
    async () => {
      const dataDir = await temporaryDirectory();
      const child = startChild("endless-writer.ts", [dataDir]);
      await acknowledged(child, 3);
      // The marks alone are synced with it; LevelDB has fdatasync(2).
      const inject = ["-e", "trace=fsync", "-e", "inject=fsync:error=ENOSPC"];
      const strace = spawn("strace", ["-f", "-qq", ...inject, "-p", `${child.pid}`], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      const ended = once(strace, "exit");
      let line = await child.line();
      let last = 0n;
      for (; line !== undefined && line !== "STORE_FULL"; line = await child.line()) {
        if (/^\d+$/.test(line)) last = BigInt(line);
      }
      expect(line).toBe("STORE_FULL");
      strace.kill("SIGTERM");
      await ended;
      const marked: bigint[] = [];
      const [next] = await acknowledged(child, 20, marked);
      await child.kill();
      const said = await acknowledged(child, Infinity, marked);
      expect(next).toBe(last + 1n);
      expect(marked.length).toBeGreaterThan(0);

      const store = await openRecordStore(dataDir);
      const { domains, missing } = await store.load();
      const held = domains.map((each) => each.held.sequence);
      expect(held.some((each) => each >= (said.at(-1) ?? last))).toBe(true);
      expect(missing).toEqual([]);
      await store.close();
    },
  );
});

describe("a store that can grow no more", () => {
  test("says STORE_FULL, keeps what it acknowledged, and goes on when there is room", async () => {
    const dataDir = await temporaryDirectory();
    const child = startChild("endless-writer.ts", [dataDir], { fileBlocksMax: 200 });
    let line = await child.line();
    let last = 0n;
    for (; line !== undefined && line !== "STORE_FULL"; line = await child.line()) {
      if (/^\d+$/.test(line)) last = BigInt(line);
    }
    expect(line).toBe("STORE_FULL");
    expect(last).toBeGreaterThan(3n);
    execFileSync("prlimit", ["--pid", `${child.pid}`, "--fsize=unlimited:"]);
    const [next, ...more] = await acknowledged(child, 20);
    expect(next).toBeGreaterThan(last);
    await child.kill();

    const store = await openRecordStore(dataDir);
    const { domains } = await store.load();
    const held = domains.map((each) => each.held.sequence);
    for (const sequence of more.slice(-3)) {
      expect(held.some((each) => each >= sequence && (each - sequence) % DOMAINS === 0n)).toBe(
        true,
      );
    }
    const steps = await store.stepsAbove("domain-1.test" as TrustDomain, ZERO, 64);
    expect(steps.length).toBeGreaterThan(3);
    await store.close();
  });
});
