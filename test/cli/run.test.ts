/** `run` as a real daemon on loopback, without a SPIRE Server to talk to. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Status } from "../../src/admin-contract/status.ts";
import { recordFile } from "../admin/operations-in-memory.ts";
import { exitOf, spireMesh, startSpireMesh, textOf } from "./spire-mesh.ts";

const LAUNCHER = fileURLToPath(new URL("../../bin/spire-mesh.js", import.meta.url));
/** A daemon stops within this time of SIGTERM. */
const STOP_MS = 5_000;

let directory: string;
let config: string;
let daemon: ChildProcess | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spire-mesh-run-"));
  config = join(directory, "alpha.yaml");
  await writeFile(
    config,
    [
      "trust_domain: alpha.test",
      "data_dir: data",
      "runtime_dir: run",
      'listen: ["/ip4/127.0.0.1/tcp/0"]',
      "spire: { socket_path: none.sock }",
    ].join("\n"),
  );
});

afterEach(async () => {
  if (daemon?.exitCode === null && daemon.signalCode === null) {
    daemon.kill("SIGTERM");
    await exitOf(daemon);
  }
  await rm(directory, { recursive: true });
});

async function answers(): Promise<void> {
  await vi.waitFor(
    async () => {
      expect((await spireMesh(["healthcheck", "-shallow", "-config", config])).exitCode).toBe(0);
    },
    { timeout: 60_000, interval: 200 },
  );
}

/** Whether the process does anything else at the signal than to end (proc(5), SigCgt). */
function catchesSighup(pid = 0): boolean {
  const [, caught = ""] =
    /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return (Number.parseInt(caught.slice(-1), 16) & 1) === 1;
}

describe("run", () => {
  test("answers, says that it is not ready, and stops in time with 0", async () => {
    daemon = startSpireMesh(["run", "-config", config]);
    const [stdout, stderr] = [textOf(daemon.stdout), textOf(daemon.stderr)];
    await answers();
    expect((await spireMesh(["healthcheck", "-config", config])).exitCode).toBe(1);
    const status = await spireMesh(["status", "-config", config, "-output", "json"]);
    expect(Status.parse(JSON.parse(status.stdout)).trust_domain).toBe("alpha.test");
    const askedMs = performance.now();
    daemon.kill("SIGTERM");
    daemon.kill("SIGTERM"); // A group's signal comes twice: from the group and through the launcher.
    expect(await exitOf(daemon)).toBe(0);
    expect(performance.now() - askedMs).toBeLessThan(STOP_MS);
    expect(await stdout).toBe("");
    expect(await stderr).toContain("Daemon started");
    expect(await stderr).toContain("Stopped");
    expect(existsSync(join(directory, "run", "admin.sock"))).toBe(false);
  });

  test("is not ended by a reload that is asked for while it starts", async () => {
    await appendFile(config, `\n${"# long to read\n".repeat(20_000)}`);
    daemon = startSpireMesh(["run", "-config", config]);
    const { pid } = daemon;
    await vi.waitFor(() => expect(catchesSighup(pid)).toBe(true), { timeout: 60_000, interval: 1 });
    // It still reads its configuration, unless this machine let us wait that long.
    daemon.kill("SIGHUP");
    daemon.kill("SIGUSR2");
    await answers();
    daemon.kill("SIGTERM");
    expect(await exitOf(daemon)).toBe(0);
  });

  test("refuses an address that it could never dial, instead of passing over it", async () => {
    daemon = startSpireMesh(["run", "-config", config]);
    await answers();
    const file = join(directory, "bravo.export");
    await writeFile(file, recordFile("bravo.test", 1n).content);
    for (const address of ["nonsense", "/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/udp/1"]) {
      const ended = await spireMesh(["import", file, "-peer", address, "-config", config]);
      expect([address, ended.exitCode]).toEqual([address, 64]);
      expect(ended.stderr).toMatch(/^USAGE: -peer: .* Next: .*\/p2p\//);
    }
  });

  test("is one a data_dir, and says so", async () => {
    daemon = startSpireMesh(["run", "-config", config, "-logLevel", "error"]);
    const stderr = textOf(daemon.stderr);
    await answers();
    const second = await spireMesh(["run", "-config", config]);
    expect(second.exitCode).toBe(73);
    expect(second.stderr).toMatch(/^ALREADY_RUNNING: .* Next: /m);
    await appendFile(config, "\nlog_format: json");
    const third = await spireMesh(["run", "-config", config]);
    expect(third.exitCode).toBe(73);
    const lines = third.stderr.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown).at(-1)).toMatchObject({
      level: "error",
      code: "ALREADY_RUNNING",
      next: expect.any(String),
    });
    expect((await spireMesh(["healthcheck", "-shallow", "-config", config])).exitCode).toBe(0);
    daemon.kill("SIGINT");
    expect(await exitOf(daemon)).toBe(0);
    expect(await stderr).toBe(""); // Nothing went wrong, and nothing else was asked for.
  });

  test("stops in good order when its launcher is killed", async () => {
    const stdio = ["ignore", "pipe", "ignore"] as const;
    daemon = spawn(process.execPath, [LAUNCHER, "run", "-config", config], { stdio: [...stdio] });
    const ended = textOf(daemon.stdout); // The pipe closes when the last process that has it ends.
    await answers();
    const killedMs = performance.now();
    daemon.kill("SIGKILL");
    expect(await ended).toBe("");
    expect(performance.now() - killedMs).toBeLessThan(STOP_MS);
    expect(existsSync(join(directory, "run", "admin.sock"))).toBe(false); // A killed one leaves it.
  });
});
