/** `own`, `node` and `release`: what the daemon is told, what people are told, and how it ends. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Fault } from "../../src/fault.ts";
import { OperationsInMemory, partner } from "../admin/operations-in-memory.ts";
import { OWN_PEER_ID } from "../admin/own-operations-in-memory.ts";
import { type Said, said } from "./in-process.ts";
import { type Room, openRoom } from "./spire-mesh.ts";

const OTHER_PEER_ID = "12D3KooWJ9NqTqVQsyBJpqb8Bk2pvXCJwgJZN4wr8q3MwTCFqkZP";
const FINGERPRINT = "ab".repeat(32);
const GROUPED = "3333 ".repeat(16).trim();

const operations = new OperationsInMemory(partner("bravo.test"));
let room: Room;
beforeAll(async () => {
  room = await openRoom(operations);
});
afterAll(async () => await room.close());
beforeEach(() => {
  operations.orders.length = 0;
  operations.ownFailure = undefined;
});

const run = async (...args: readonly string[]): Promise<Said> =>
  await said(room.socketPath, ...args);

describe("own", () => {
  test.each<[readonly string[], object, RegExp]>([
    [["own", "confirm-restore"], { kind: "confirm-restore" }, /is published/],
    [
      ["own", "new-lineage", "-reason", "a disk was lost, and no keys were committed"],
      { kind: "new-lineage", reason: "a disk was lost, and no keys were committed" },
      new RegExp(`bundle pin alpha\\.test -fingerprint "${GROUPED}"`),
    ],
    [
      ["own", "adopt", "-fingerprint", "AB ".repeat(32), "-peer", "/dns4/b/tcp/1", "-peer", "x"],
      { kind: "adopt", fingerprint: FINGERPRINT, peers: ["/dns4/b/tcp/1", "x"] },
      /when it arrives\. Next: /,
    ],
  ])("%j tells the daemon, and people what comes of it", async (args, order, says) => {
    const { exitCode, stdout, stderr } = await run(...args);
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(says);
    expect(operations.orders).toEqual([order]);
  });

  test("resume ends recovering, once, and only when the marks are accepted", async () => {
    operations.recovering = true;
    expect(await run("own", "resume")).toMatchObject({ exitCode: 64 });
    expect(await run("own", "resume", "-acceptMarks")).toMatchObject({ exitCode: 0 });
    expect(operations.orders).toEqual([{ kind: "resume" }]);
    const again = await run("own", "resume", "-accept-marks");
    expect(again).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/^NOT_FOUND: /) });
  });

  test.each([
    ["none", []],
    ["an empty one", ["-reason", ""]],
    ["one of spaces", ["-reason", "  "]],
    ["one with a line end", ["-reason", "two\nlines"]],
    ["one with a terminal's escape", ["-reason", "\u001b[2J"]],
    ["one that turns text round", ["-reason", "\u202e"]],
    ["one of 257 bytes", ["-reason", `${"é".repeat(128)}x`]],
  ])("new-lineage takes no reason such as %s", async (_, reason) => {
    const { exitCode, stderr } = await run("own", "new-lineage", ...reason);
    expect(exitCode).toBe(64);
    expect(stderr).toMatch(/^USAGE: .*reason/);
    expect(operations.orders).toEqual([]);
  });

  test("new-lineage takes a reason of 256 bytes", async () => {
    const reason = "é".repeat(128);
    expect(await run("own", "new-lineage", "-reason", reason)).toMatchObject({ exitCode: 0 });
    expect(operations.orders).toEqual([{ kind: "new-lineage", reason }]);
  });

  test("what the daemon says no to is one line, with its code and what to do", async () => {
    operations.ownFailure = new Fault("NOT_FOUND", "there is nothing to confirm");
    const { exitCode, stdout, stderr } = await run("own", "confirm-restore", "-output", "json");
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^NOT_FOUND: there is nothing to confirm\. Next: .+\n$/);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "NOT_FOUND" } });
  });
});

describe("node", () => {
  test("list shows each node: which is this one, the lowest, connected, and on what it stands", async () => {
    operations.nodeIds.add(OTHER_PEER_ID);
    const { stdout } = await run("node", "list");
    expect(stdout).toMatch(new RegExp(`${OWN_PEER_ID} +this one, lowest +yes +the same`));
    expect(stdout).toMatch(new RegExp(`${OTHER_PEER_ID} .* no +not known +never`));
    const { stdout: json } = await run("node", "list", "-output", "json");
    expect(JSON.parse(json)).toMatchObject([{ is_self: true }, { holds_ours: false }]);
    operations.nodeIds.delete(OTHER_PEER_ID);
  });

  test("add names a node by its peer id and its key's fingerprint; again changes nothing", async () => {
    const add = ["node", "add", OTHER_PEER_ID, "-fingerprint", "AB-".repeat(32)];
    expect((await run(...add)).stdout).toMatch(/from this record on.*own adopt/);
    expect((await run(...add)).stdout).toContain("nothing changed");
    const order = { kind: "add-node", peer_id: OTHER_PEER_ID, fingerprint: FINGERPRINT };
    expect(operations.orders).toEqual([order, order]);
  });

  test("remove, and remove -force", async () => {
    const removed = await run("node", "remove", OTHER_PEER_ID, "-force");
    expect(removed.stdout).toContain("no more");
    expect(await run("node", "remove", OTHER_PEER_ID)).toMatchObject({ exitCode: 1 });
    expect(operations.orders).toMatchObject([{ force: true }, { force: false }]);
  });

  test.each([
    [["add", OTHER_PEER_ID], "fingerprint"],
    [["add", "a node", "-fingerprint", FINGERPRINT], "peer_id"],
    [["add", OTHER_PEER_ID, "-fingerprint", "ab"], "status"],
    [["remove", ""], "peer_id"],
  ])("%j is wrong usage, and says where", async (args, says) => {
    const { exitCode, stderr } = await run("node", ...args);
    expect(exitCode).toBe(64);
    expect(stderr).toContain(says);
  });
});

describe("release", () => {
  test("names the trust domain, the record that was looked at, and why", async () => {
    const id = "2".repeat(64);
    const released = await run("release", "bravo.test", id, "-reason", "their restore");
    expect(released).toMatchObject({ exitCode: 0, stderr: "" });
    expect(operations.orders).toEqual([{ kind: "release", reason: "their restore" }]);
  });

  test("is wrong usage without a reason, and NOT_FOUND for another record", async () => {
    expect(await run("release", "bravo.test", FINGERPRINT)).toMatchObject({ exitCode: 64 });
    const other = await run("release", "bravo.test", FINGERPRINT, "-reason", "r");
    expect(other).toMatchObject({ exitCode: 1 });
  });
});

describe("bundle history and bundle diff", () => {
  test("history lists versions, who signed and when", async () => {
    const { exitCode, stdout } = await run("bundle", "history", "bravo.test");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^VERSION .*\n0\.0\.2 .*\n0\.0\.3 /);
    expect(stdout).toContain(OWN_PEER_ID);
    expect(await run("bundle", "history", "none.test")).toMatchObject({ exitCode: 1 });
  });

  test("diff says what came, went and was tainted", async () => {
    const { stdout } = await run("bundle", "diff", "bravo.test");
    for (const line of [
      `+ X.509 authority ${"a".repeat(64)}`,
      "! X.509 authority b is tainted",
      "- JWT authority key-1",
      `+ node ${OWN_PEER_ID}`,
      "! other recovery keys",
    ]) {
      expect(stdout.split("\n")).toContain(line);
    }
  });

  test("diff takes record ids as people type them", async () => {
    const args = ["-from", "CD ".repeat(32), "-to", FINGERPRINT, "-output", "json"];
    const { stdout } = await run("bundle", "diff", "bravo.test", ...args);
    expect(JSON.parse(stdout)).toMatchObject({
      from: { record_id: "cd".repeat(32) },
      to: { record_id: FINGERPRINT },
    });
  });
});
