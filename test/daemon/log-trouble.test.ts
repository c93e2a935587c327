/** A real daemon goes on when its log does not. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, writeSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { callAdmin } from "../../src/admin-contract/client.ts";
import { Site } from "../../peers/site.ts";
import { MAIN, exitOf } from "../cli/spire-mesh.ts";
import { temporaryDirectory } from "../store/temporary-directory.ts";
import { unreadPipe } from "../telemetry/unread-pipe.ts";
import { type LoneDaemon, answers, isReady, newLoneDaemon } from "./lone-daemon.ts";

const LAUNCHER = fileURLToPath(new URL("../../bin/spire-mesh.js", import.meta.url));
/** A daemon stops within this time of SIGTERM. */
const STOP_MS = 5_000;
/** What a pipe of Linux holds. */
const PIPE_BYTES = 64 * 1024;
/** For what takes milliseconds, on a busy machine. */
const SOON = { timeout: 20_000, interval: 20 };

/** Starts it with this file descriptor as its stderr, which is closed here. */
function running(program: string, { config }: LoneDaemon, stderrFd: number): ChildProcess {
  const child = spawn(process.execPath, [program, "run", "-config", config], {
    stdio: ["ignore", "ignore", stderrFd],
  });
  closeSync(stderrFd);
  onTestFinished(async () => {
    child.kill("SIGTERM");
    await exitOf(child);
  });
  return child;
}

/** Each signal logs an error of some kilobytes; the daemon answers after each. */
async function logErrors(child: ChildProcess, daemon: LoneDaemon, count: number): Promise<void> {
  const unknown = Array.from({ length: 100 }, (_, index) => `${"x".repeat(40)}${index}: 1\n`);
  await writeFile(daemon.config, unknown.join(""));
  for (let sent = 0; sent < count; sent += 1) {
    child.kill("SIGHUP");
    await callAdmin(join(daemon.runtimeDir, "admin.sock"), "healthcheck", {});
  }
}

describe("a daemon whose log cannot be written", () => {
  test("becomes ready, answers, and stops with 0", async () => {
    const directory = await temporaryDirectory();
    const site = await Site.make({ trustDomain: "alpha.test", directory });
    await site.startSpire();
    try {
      const daemon = await newLoneDaemon(site.spireSocket);
      const child = running(LAUNCHER, daemon, openSync("/dev/full", "w"));
      await isReady(daemon);
      await logErrors(child, daemon, 10);
      child.kill("SIGTERM");
      expect(await exitOf(child)).toBe(0);
    } finally {
      await site.stop();
    }
  });
});

describe("a daemon whose log nobody reads", () => {
  test("answers all the same, and says what was lost to who reads again", async () => {
    const daemon = await newLoneDaemon();
    const { writeFd, read } = await unreadPipe();
    const child = running(MAIN, daemon, writeFd);
    await answers(daemon);
    await logErrors(child, daemon, 200);
    let log = "";
    read().on("data", (chunk: Buffer) => void (log += chunk.toString()));
    const count = (): string | undefined =>
      /msg="Log lines were lost" lines=(\d+)$/m.exec(log)?.[1];
    await vi.waitFor(() => expect(Number(count())).toBeGreaterThan(10), SOON);
    child.kill("SIGTERM");
    expect(await exitOf(child)).toBe(0);
    await vi.waitFor(() => expect(log.slice(-100)).toMatch(/msg=Stopped\n$/), SOON);
  });

  test("stops in time with 0", async () => {
    const daemon = await newLoneDaemon();
    const { writeFd } = await unreadPipe();
    const child = running(MAIN, daemon, writeFd);
    await answers(daemon);
    await logErrors(child, daemon, 40);
    const askedMs = performance.now();
    child.kill("SIGTERM");
    expect(await exitOf(child)).toBe(0);
    expect(performance.now() - askedMs).toBeLessThan(STOP_MS);
  });
});

describe("a daemon that cannot start", () => {
  test("ends with its exit code though nobody reads why", async () => {
    const { writeFd } = await unreadPipe();
    writeSync(writeFd, Buffer.alloc(PIPE_BYTES)); // Full.
    const child = running(MAIN, { ...(await newLoneDaemon()), config: "/nonexistent" }, writeFd);
    expect(await exitOf(child)).toBe(78);
  });

  test("ends with its exit code though who would read why has gone", async () => {
    const { writeFd, read } = await unreadPipe();
    const reader = read().destroy();
    await once(reader, "close");
    const child = running(MAIN, { ...(await newLoneDaemon()), config: "/nonexistent" }, writeFd);
    expect(await exitOf(child)).toBe(78);
  });
});
