/** A real daemon whose disk stops answering, as far as strace can make it so: fdatasync(2) does not return. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { callAdmin } from "../../src/admin-contract/client.ts";
import { Site } from "../../peers/site.ts";
import { temporaryDirectory } from "../store/temporary-directory.ts";

/** A daemon stops within this time of SIGTERM. */
const IN_TIME = { timeout: 5_000, interval: 20 };
/** What is said of a child that a signal ended. */
const KILLED = -1;
/** Longer than anything here waits. */
const HANG_US = 120_000_000;
/** For what takes milliseconds, on a busy machine. */
const SOON = { timeout: 20_000, interval: 20 };
const HAS_STRACE = spawnSync("strace", ["-V"]).status === 0;

/** From now on no file of this process gets to the disk. Resolves when that is so. */
async function hangDiskOf(pid: number, trace: string): Promise<ChildProcess> {
  const injected = [
    "-e",
    "trace=fdatasync,fsync",
    "-e",
    `inject=fdatasync,fsync:delay_enter=${HANG_US}`,
  ];
  const args = ["-f", "-o", trace, ...injected, "-p", String(pid)];
  const strace = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
  onTestFinished(async () => {
    strace.kill("SIGKILL");
    if (strace.exitCode === null && strace.signalCode === null) await once(strace, "exit");
  });
  await once(strace.stderr, "data"); // "Process … attached": to all of its threads.
  return strace;
}

test.runIf(HAS_STRACE)(
  "a daemon whose disk hangs ends in time all the same, and says so (where strace is)",
  async () => {
    const directory = await temporaryDirectory();
    const site = await Site.make({ trustDomain: "alpha.test", directory });
    onTestFinished(async () => await site.stop());
    await site.startSpire();
    await site.startDaemon();
    await callAdmin(site.adminSocket, "export", {}); // From now on a rotation is published.
    const trace = join(directory, "trace");
    const strace = await hangDiskOf(site.daemon?.pid ?? 0, trace);
    await site.spireServer(["localauthority", "x509", "prepare"]);
    await vi.waitFor(async () => expect(await readFile(trace, "utf8")).toMatch(/sync\(/), SOON);

    const ended = site.stopDaemon("SIGTERM");
    const log = async () => await readFile(join(directory, "daemon.log"), "utf8");
    await vi.waitFor(async () => expect(await log()).toMatch(/Not stopped in time/), IN_TIME);
    strace.kill("SIGKILL"); // It holds on to a thread that was killed, as no disk does.
    expect((await ended)?.code).toBe(KILLED);
  },
);
