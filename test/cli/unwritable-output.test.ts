/** Commands whose output goes where nothing more can be written, as on a full disk. */
import { spawn } from "node:child_process";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { OperationsInMemory, partner, recordFile } from "../admin/operations-in-memory.ts";
import { type Ended, MAIN, type Room, exitOf, openRoom, textOf } from "./spire-mesh.ts";

/** Every write there ends with ENOSPC. */
const FULL = "/dev/full";

let operations: OperationsInMemory;
let room: Room;

beforeAll(async () => {
  operations = new OperationsInMemory();
  room = await openRoom(operations);
  await writeFile(join(room.directory, "bravo.export"), recordFile("bravo.test", 9n).content);
  await writeFile(join(room.directory, "alpha.yaml"), "trust_domain: alpha.test\n");
  await writeFile(join(room.directory, "bad.yaml"), "trust_domain: Alpha\n");
});

beforeEach(() => {
  for (const name of ["bravo.test", "charlie.test"]) operations.partners.set(name, partner(name));
});

afterAll(async () => await room.close());

/** Runs a command of which these descriptors are full. */
async function runFull(full: readonly number[], ...args: readonly string[]): Promise<Ended> {
  const file = await open(FULL, "w");
  try {
    const child = spawn(process.execPath, [MAIN, ...args.map(inRoom)], {
      stdio: ["ignore", ...[1, 2].map((fd) => (full.includes(fd) ? file.fd : ("pipe" as const)))],
      env: { ...process.env, SPIRE_MESH_ADMIN_SOCKET: room.socketPath },
    });
    const [stdout, stderr] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
    return { exitCode: await exitOf(child), stdout, stderr };
  } finally {
    await file.close();
  }
}

function inRoom(word: string): string {
  return /\.(?:export|yaml)$/.test(word) ? join(room.directory, word) : word;
}

describe("stdout that cannot be written", () => {
  test.each([
    [["status"]],
    [["status", "-output", "json"]],
    [["status", "-output", "json", "-socketPath", "/none.sock"]],
    [["healthcheck"]],
    [["verify", "-expect", "2"]],
    [["export"]],
    [["export", "-output", "json"]],
    [["import", "bravo.export"]],
    [["forget", "bravo.test"]],
    [["bundle", "list"]],
    [["bundle", "show", "bravo.test"]],
    [["bundle", "show", "bravo.test", "-format", "pem"]],
    [["bundle", "pin", "bravo.test", "-fingerprint", "2".repeat(64)]],
    [["peer", "list"]],
    [["validate", "-config", "alpha.yaml"]],
    [["validate", "-config", "bad.yaml"]],
    [["--version"]],
    [["--help"]],
  ])("is no defect: %j", async (args) => {
    const { exitCode, stderr } = await runFull([1], ...args);
    expect(exitCode).toBe(73);
    expect(stderr).toMatch(
      /^CANNOT_CREATE: stdout cannot be written: no space left on device\. Next: .*\.$/m,
    );
    expect(stderr).not.toContain("INTERNAL");
  });

  test("is told by the exit code where stderr cannot be written either", async () => {
    expect((await runFull([1, 2], "status")).exitCode).toBe(73);
    expect((await runFull([1, 2], "export")).exitCode).toBe(73);
  });

  test("ends watch with the first event", async () => {
    const ended = runFull([1], "watch");
    await vi.waitFor(() => expect(operations.watcherCount).toBe(1), 10_000);
    const t = "2026-01-31T12:00:00.000Z";
    operations.tell({ t, event: "record-accepted", trust_domain: "bravo.test" });
    expect((await ended).exitCode).toBe(73);
  });

  test("that nobody reads makes no failure a success", async () => {
    const child = spawn(process.execPath, [MAIN, "validate", "-config", inRoom("bad.yaml")], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    child.stdout.destroy();
    expect(await exitOf(child)).toBe(78);
  });

  test("is another matter than stderr: what a command did is its exit code", async () => {
    expect((await runFull([2], "status")).exitCode).toBe(0);
    expect((await runFull([2], "nosuch")).exitCode).toBe(64);
    expect((await runFull([2], "status", "-socketPath", "/none.sock")).exitCode).toBe(69);
  });
});
