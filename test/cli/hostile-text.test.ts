/**
 * What peers, SPIRE, files and operators can name, on its way to a terminal: through every command,
 * in both forms of output, and through file names that the operator typed.
 */
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BundleEntry } from "../../src/admin-contract/bundle.ts";
import type { ImportOutcome } from "../../src/admin-contract/exchange.ts";
import type { Peer } from "../../src/admin-contract/peer.ts";
import type { Health, Status } from "../../src/admin-contract/status.ts";
import { Fault } from "../../src/fault.ts";
import { OperationsInMemory, partner } from "../admin/operations-in-memory.ts";
import { type Room, exitOf, openRoom, spireMesh, startSpireMesh, textOf } from "./spire-mesh.ts";

/** Screens, cursors, titles, links; text turned round, hidden, broken; half a character. */
const HOSTILE =
  "\u001b[2J\u001b]0;t\u0007\u009b1m\u0000\r\b\u007f\u202edoog\u2066\u2069\u200e\u061c\u200b\ufeff\u2028\u2029\u{e0041}half\ud800";
const FLOOD = "x".repeat(100_000);
const LINE_LENGTH_MAX = 20_000;
const UNPRINTABLE = /[^\P{C}\n]|[\p{Zl}\p{Zp}]/u;

/** A daemon in which every free text of the contract is hostile. */
class HostileOperations extends OperationsInMemory {
  override status(): Status {
    const status = super.status();
    const finding = {
      code: HOSTILE,
      severity: "critical",
      trust_domain: "bravo.test",
      message: HOSTILE + FLOOD,
      next: HOSTILE,
      since: status.started_at,
    } as const;
    const dialError = {
      at: status.started_at,
      peer_id: HOSTILE,
      addresses: [HOSTILE],
      message: HOSTILE + FLOOD,
    };
    return {
      ...status,
      version: HOSTILE,
      spire: { ...status.spire, state: "away", last_error: HOSTILE + FLOOD },
      node: { ...status.node, peer_id: HOSTILE, addresses: [HOSTILE, FLOOD] },
      trust_domains: [partner("bravo.test", { last_dial_error: dialError })],
      findings: [finding],
    };
  }

  override healthcheck(): Health {
    return { ready: false, state: "degraded", problems: [HOSTILE + FLOOD, HOSTILE] };
  }

  override bundles(): BundleEntry[] {
    const [bundle] = super.bundles(undefined);
    if (bundle === undefined) return [];
    const key = { key_id: HOSTILE, expires_at: null, tainted: true };
    return [{ ...bundle, jwt_authorities: [key, { ...key, key_id: FLOOD }] }];
  }

  override bundle(): string {
    return `first${HOSTILE}\nsecond\n`;
  }

  override peers(): Peer[] {
    const [peer] = super.peers();
    return peer === undefined ? [] : [{ ...peer, peer_id: HOSTILE, addresses: [HOSTILE + FLOOD] }];
  }

  override async import(): Promise<ImportOutcome> {
    return {
      file: HOSTILE,
      trust_domain: "bravo.test",
      record_id: "2".repeat(64),
      signed_at: "2026-01-31T12:00:00.000Z",
      outcome: "refused",
      code: HOSTILE,
      message: HOSTILE + FLOOD,
      next: HOSTILE,
    };
  }

  override async forget(): Promise<never> {
    throw new Fault("ROW_IN_USE", HOSTILE + FLOOD, { advice: HOSTILE });
  }
}

let operations: HostileOperations;
let room: Room;

beforeAll(async () => {
  operations = new HostileOperations(partner("bravo.test"));
  room = await openRoom(operations);
});

afterAll(async () => await room.close());

function expectCalm(output: string): void {
  expect(output).not.toMatch(UNPRINTABLE);
  expect(output.isWellFormed()).toBe(true);
}

describe("what a peer or a file named reaches the terminal without its tricks", () => {
  const commands = [
    ["status"],
    ["healthcheck", "-verbose"],
    ["peer", "list"],
    ["bundle", "show", "bravo.test"],
    ["forget", "bravo.test"],
    ["bundle", "list"],
  ];

  test.each(commands)("in %s %s", async (...words) => {
    const args = [...words, "-socketPath", room.socketPath];
    const [pretty, json] = await Promise.all([
      spireMesh(args),
      spireMesh([...args, "-output", "json"]),
    ]);
    for (const { stdout, stderr } of [pretty, json]) {
      expectCalm(stdout);
      expectCalm(stderr);
      expect(Math.max(...stderr.split("\n").map((line) => line.length))).toBeLessThan(
        LINE_LENGTH_MAX,
      );
    }
    expect(Math.max(...pretty.stdout.split("\n").map((line) => line.length))).toBeLessThan(
      LINE_LENGTH_MAX,
    );
    expect(() => JSON.parse(json.stdout) as unknown).not.toThrow();
  });

  test("in JSON it is all there, for programs", async () => {
    const { stdout } = await spireMesh([
      "status",
      "-output",
      "json",
      "-socketPath",
      room.socketPath,
    ]);
    const { node } = JSON.parse(stdout) as Status;
    expect(node.peer_id).toBe(HOSTILE);
  });

  test("in a document that was asked for by name", async () => {
    const args = ["bundle", "show", "bravo.test", "-format", "pem", "-socketPath", room.socketPath];
    const { stdout } = await spireMesh(args);
    expectCalm(stdout);
    expect(stdout.split("\n")).toHaveLength(3);
  });

  test("in an import, with a file of a hostile name", async () => {
    const directory = join(room.directory, "files");
    await mkdir(directory);
    const path = join(directory, HOSTILE.replaceAll(/[\0\ud800/]/g, ""));
    await writeFile(path, "a file");
    await Promise.all(
      ["json", "pretty"].map(async (output) => {
        const args = ["import", path, "-output", output, "-socketPath", room.socketPath];
        const { stdout, stderr, exitCode } = await spireMesh(args);
        expect(exitCode).toBe(65);
        expectCalm(stdout);
        expectCalm(stderr);
      }),
    );
  });

  test.each(["json", "pretty"])("in the events of watch as %s", async (output) => {
    const child = startSpireMesh(["watch", "-output", output, "-socketPath", room.socketPath]);
    const [stdout, stderr] = [textOf(child.stdout), textOf(child.stderr)];
    await expect.poll(() => operations.watcherCount, { timeout: 20_000 }).toBe(1);
    operations.tell({
      t: "2026-01-31T12:00:00.000Z",
      event: "record-refused",
      trust_domain: null,
      peer_id: HOSTILE,
      code: HOSTILE,
      message: HOSTILE + "x".repeat(10_000),
    });
    if (child.stdout !== null) await once(child.stdout, "data");
    child.kill("SIGINT");
    await exitOf(child);
    expectCalm(await stdout);
    expectCalm(await stderr);
    expect(await stdout).toContain("record-refused");
  });
});

describe("what an operator typed, or somebody for them,", () => {
  test("is one problem, however many lines its name has", async () => {
    const commands = [
      ["import", "/no\nsuch\nfile"],
      ["export", "-o", "/no\nsuch/file"],
      ["status", "-socketPath", "/no\nsuch.sock"],
      ["validate", "-config", "/no\nsuch.yaml"],
      ["status", "-config", "/no\nsuch.yaml"],
      ["status", "--no\nsuch"],
    ];
    for (const args of commands) {
      const { stderr } = await spireMesh([...args]);
      expect(stderr).not.toContain("problems");
      expect(stderr).toMatch(/^[A-Z_]+: .*\. Next: .*\.\n$/);
    }
  });

  const typed = HOSTILE.replaceAll(/[\0\ud800]/g, "");

  test("comes back without its tricks", async () => {
    const lines = [
      [typed],
      ["status", `--${typed}`],
      ["status", "-socketPath", `/${typed}`],
      ["validate", "-config", `/${typed}`],
      ["import", "x", "-fingerprint", typed],
      ["forget", typed],
    ];
    for (const { stdout, stderr, exitCode } of await Promise.all(
      lines.map(async (args) => await spireMesh(args)),
    )) {
      expect(exitCode).toBeGreaterThan(1);
      expectCalm(stdout);
      expectCalm(stderr);
    }
  });
});
