/** Each command as a real process: what it prints, and how it ends. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { BundleEntry } from "../../src/admin-contract/bundle.ts";
import { ErrorReply } from "../../src/admin-contract/error-reply.ts";
import { Peer } from "../../src/admin-contract/peer.ts";
import { encodeExportFile } from "../../src/core/record/export-file.ts";
import { toUtf8 } from "../../src/core/std/bytes.ts";
import { Status } from "../../src/admin-contract/status.ts";
import { WatchEvent } from "../../src/admin-contract/watch-event.ts";
import { Fault, type FaultCode } from "../../src/fault.ts";
import { OperationsInMemory, partner, recordFile } from "../admin/operations-in-memory.ts";
import {
  type Ended,
  MAIN,
  type Room,
  exitOf,
  openRoom,
  spireMesh,
  startSpireMesh,
} from "./spire-mesh.ts";

let operations: OperationsInMemory;
let room: Room;

beforeEach(async () => {
  operations = new OperationsInMemory(partner("bravo.test"), partner("charlie.test"));
  room = await openRoom(operations);
});

afterEach(async () => await room.close());

/** Runs a command against this test's daemon. */
async function run(...words: readonly (string | { readonly stdin: Uint8Array })[]): Promise<Ended> {
  const args = words.filter((word) => typeof word === "string");
  const given = words.find((word) => typeof word !== "string");
  return await spireMesh(args, { SPIRE_MESH_ADMIN_SOCKET: room.socketPath }, given?.stdin);
}

async function runJson(...args: readonly string[]): Promise<{ ended: Ended; json: unknown }> {
  const ended = await run(...args, "-output", "json");
  return { ended, json: JSON.parse(ended.stdout) };
}

async function fileOf(name: string, content: Uint8Array | string): Promise<string> {
  const path = join(room.directory, name);
  await writeFile(path, content);
  return path;
}

/** Runs a command with a pseudo-terminal for all three of its streams. */
function onTerminal(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const words = [process.execPath, MAIN, ...args].map((word) => `'${word}'`);
  return spawn("/usr/bin/script", ["-qec", words.join(" "), "/dev/null"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { TERM: "xterm", SPIRE_MESH_ADMIN_SOCKET: room.socketPath, ...environment },
  });
}

describe("status", () => {
  test("as JSON is the contract's object in one line", async () => {
    const { ended, json } = await runJson("status");
    expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
    expect(Status.parse(json)).toEqual(json);
    expect(json).toEqual(operations.status());
    expect(ended.stdout.split("\n")).toHaveLength(2);
  });

  test("for people names every partner and what to do next", async () => {
    operations.problems = ["SPIRE Server counts below what was published."];
    const { exitCode, stdout, stderr } = await run("status");
    expect([exitCode, stderr]).toEqual([0, ""]);
    for (const word of ["alpha.test", "degraded", "bravo.test", "charlie.test", "accepted"]) {
      expect(stdout).toContain(word);
    }
    expect(stdout).toContain("Next: spire-mesh own confirm-restore");
    expect(stdout).toMatch(/\n\s+([0-9a-f]{4} ){15}[0-9a-f]{4}\n/);
  });

  test("says when, where and why a partner's node was not reached", async () => {
    const address = "/ip4/10.0.0.1/tcp/7843/p2p/12D3KooWBravo";
    const last_dial_error = {
      at: "2026-01-31T12:00:00.000Z",
      peer_id: "12D3KooWBravo",
      addresses: [address],
      message: "connect ECONNREFUSED 10.0.0.1:7843",
    };
    operations.partners.set("bravo.test", partner("bravo.test", { last_dial_error }));
    const line = (await run("status")).stdout
      .split("\n")
      .find((each) => each.startsWith("bravo.test: "));
    expect(line).toContain(last_dial_error.at);
    expect(line).toContain(address);
    expect(line).toMatch(/: connect ECONNREFUSED 10\.0\.0\.1:7843\. Next: \S/);
    const { json } = await runJson("status");
    expect(Status.parse(json).trust_domains).toContainEqual(
      partner("bravo.test", { last_dial_error }),
    );
  });

  test("says whom to ask when a partner has not imported us yet", async () => {
    operations.partners.set("bravo.test", partner("bravo.test", { freshness: "never" }));
    const line = (await run("status")).stdout
      .split("\n")
      .find((each) => each.startsWith("bravo.test: "));
    expect(line).toMatch(/has answered yet\. Next: .*the export of alpha\.test/);
  });

  test.each([
    ["yes", undefined],
    ["another one", { known: true, record_id: "0".repeat(64), at: "2026-01-31T12:00:00.000Z" }],
    ["not known", { known: false, record_id: null, at: null }],
  ])("says whether a partner holds the record that is published: %s", async (said, theirs) => {
    operations.partners.set(
      "bravo.test",
      partner("bravo.test", theirs && { they_hold_ours: theirs }),
    );
    const row = (await run("status")).stdout
      .split("\n")
      .find((each) => each.startsWith("bravo.test "));
    expect(row).toMatch(new RegExp(`equal +${said}$`));
  });

  test("keeps what a partner says from steering the terminal", async () => {
    operations.problems = ["all\u001b[2Jgood\u202Edoog\u2066\u009b1m"];
    const pretty = await run("status");
    expect(pretty.stdout).toContain("all[2Jgooddoog1m");
    const { ended, json } = await runJson("status");
    expect(ended.stdout).not.toMatch(/[\p{Cc}\p{Cf}](?<!\n)/u);
    expect(Status.parse(json).findings[0]?.message).toBe(operations.problems[0]);
  });

  test("prints everything into a slow pipe, and stops quietly when the reader has enough", async () => {
    for (let index = 0; index < 3_000; index += 1) {
      operations.partners.set(`td-${index}.test`, partner(`td-${index}.test`));
    }
    const { json } = await runJson("status");
    expect(Status.parse(json).trust_domains).toHaveLength(3_002);
    const child = startSpireMesh(["status", "-socketPath", room.socketPath]);
    let stderr = "";
    child.stderr?.on("data", (chunk) => (stderr += String(chunk)));
    child.stdout?.once("data", () => child.stdout?.destroy());
    expect(await exitOf(child)).toBe(0);
    expect(stderr).toBe("");
  });

  test("is not coloured for a pipe", async () => {
    expect((await run("status")).stdout).not.toContain("\u001b");
  });
});

// Skipped: a pseudo-terminal needs script(1) of util-linux.
describe.skipIf(!existsSync("/usr/bin/script"))("on a terminal", () => {
  test("states are coloured, unless NO_COLOR is set", async () => {
    expect(await text(onTerminal(["status"]).stdout)).toContain("\u001b[32mready");
    expect(await text(onTerminal(["status"], { NO_COLOR: "1" }).stdout)).not.toContain("\u001b");
  });

  test("columns are as straight with colours as without", async () => {
    operations.partners.set("bravo.test", partner("bravo.test", { trust: "held" }));
    const coloured = stripVTControlCharacters(await text(onTerminal(["status"]).stdout));
    expect(coloured.replaceAll("\r", "")).toBe((await run("status")).stdout);
  });

  test("a command that takes long says that it is still at it", async () => {
    const slow = Promise.withResolvers<void>();
    operations.delay = slow.promise;
    const child = onTerminal(["export", "-o", join(room.directory, "alpha.export")]);
    let output = "";
    child.stdout.on("data", (chunk) => (output += String(chunk)));
    await vi.waitFor(() => expect(output).toMatch(/Still exporting, \d s so far/), 10_000);
    slow.resolve();
    expect(await exitOf(child)).toBe(0);
    expect(output).toContain("Next: send it to a partner");
  });
});

describe("healthcheck", () => {
  test.each([
    { problems: [], args: [], exitCode: 0, code: undefined },
    { problems: ["No SPIRE Server."], args: [], exitCode: 1, code: "NOT_READY" },
    { problems: ["No SPIRE Server."], args: ["-verbose"], exitCode: 1, code: "NOT_READY" },
    { problems: ["No SPIRE Server."], args: ["-shallow"], exitCode: 0, code: undefined },
  ])("ends with $exitCode for $problems and $args", async ({ problems, args, exitCode, code }) => {
    operations.problems = problems;
    const ended = await run("healthcheck", ...args);
    expect(ended.exitCode).toBe(exitCode);
    if (code === undefined) expect(ended.stderr).toBe("");
    else expect(ended.stderr).toMatch(new RegExp(`^${code}: No SPIRE Server\\. Next: `, "m"));
  });

  test("tells the first problem with its own next step", async () => {
    operations.problems = ["SPIRE is away. Next: start it."];
    const { stderr } = await run("healthcheck");
    expect(stderr).toBe("NOT_READY: SPIRE is away. Next: start it.\n");
  });

  test("ends with 1 when there is no daemon at all", async () => {
    const { exitCode, stderr } = await spireMesh(["healthcheck", "-socketPath", "/none.sock"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("DAEMON_UNREACHABLE: ");
  });
});

describe("verify", () => {
  test.each([
    { changes: {}, expected: 2, exitCode: 0 },
    { changes: {}, expected: 3, exitCode: 1 },
    { changes: {}, expected: 1, exitCode: 1 },
    { changes: { trust: "held" }, expected: 2, exitCode: 1 },
    { changes: { freshness: "stale" }, expected: 2, exitCode: 1 },
    { changes: { spire_row: "different" }, expected: 2, exitCode: 1 },
    { changes: { spire_row: "different" }, expected: 1, exitCode: 0 },
  ] as const)("of $expected ends with $exitCode for $changes", async (row) => {
    operations.partners.set("bravo.test", partner("bravo.test", row.changes));
    const { ended, json } = await runJson("verify", "-expect", String(row.expected));
    expect(ended.exitCode).toBe(row.exitCode);
    const isGood = Object.keys(row.changes).length === 0;
    expect(json).toMatchObject({
      expected: row.expected,
      verified: isGood ? 2 : 1,
      not_verified: isGood ? [] : [{ trust_domain: "bravo.test", ...row.changes }],
    });
  });

  test.each([
    { spireState: "away", expected: 2 },
    { spireState: "away", expected: 0 },
    { spireState: "unknown", expected: 2 },
  ] as const)("of $expected ends with 1 while SPIRE is $spireState", async (row) => {
    operations.spireState = row.spireState;
    const { ended, json } = await runJson("verify", "-expect", String(row.expected));
    expect(ended.exitCode).toBe(1);
    expect(json).toMatchObject({
      expected: row.expected,
      verified: 0,
      spire_state: row.spireState,
      not_verified: [{ trust_domain: "bravo.test" }, { trust_domain: "charlie.test" }],
    });
    expect(ended.stderr).toMatch(/^NOT_VERIFIED: SPIRE Server is (?:away|unknown)/);
  });

  test("lists what is not so", async () => {
    operations.partners.set("bravo.test", partner("bravo.test", { spire_row: "missing" }));
    const { stdout, stderr } = await run("verify", "--expect", "2");
    expect(stdout).toMatch(/bravo\.test +accepted +fresh +missing/);
    expect(stdout).not.toContain("charlie.test");
    expect(stderr).toMatch(/^NOT_VERIFIED: .* Next: spire-mesh status\.\n$/);
  });
});

describe("export", () => {
  test("writes the file, and the fingerprint in groups on stderr", async () => {
    const path = join(room.directory, "alpha.export");
    const { ended, json } = await runJson("export", "-o", path);
    const { content, recordId } = recordFile("alpha.test", 7n);
    expect(ended.exitCode).toBe(0);
    expect(Uint8Array.from(await readFile(path))).toEqual(content);
    expect(json).toEqual({
      trust_domain: "alpha.test",
      record_id: recordId,
      lineage: recordId,
      file: path,
    });
    const grouped = /(?:[0-9a-f]{4} ){15}[0-9a-f]{4}/.exec(ended.stderr)?.[0] ?? "";
    expect(grouped.replaceAll(" ", "")).toBe(recordId);
    const { stdout } = await run("export", "-o", path);
    expect(stdout).toContain(`spire-mesh import FILE -fingerprint "${grouped}"`);
  });

  test("replaces an earlier export whole", async () => {
    const path = await fileOf("alpha.export", recordFile("alpha.test", 3n).content);
    expect((await run("export", "-o", path)).exitCode).toBe(0);
    expect(Uint8Array.from(await readFile(path))).toEqual(recordFile("alpha.test", 7n).content);
  });

  test.each<[string, Uint8Array | string]>([
    ["a key", "-----BEGIN PRIVATE KEY-----\n"],
    ["an empty file", ""],
    ["a file larger than any export", "x".repeat(200_000)],
    ["an export that was cut off", recordFile("alpha.test", 3n).content.subarray(0, -1)],
    ["an export file without a record", encodeExportFile({ envelope: toUtf8("x"), addresses: [] })],
    ["another trust domain's export", recordFile("bravo.test", 3n).content],
  ])("never takes the place of %s", async (_, content) => {
    const path = await fileOf("precious", content);
    const { ended, json } = await runJson("export", "-o", path);
    expect(ended.exitCode).toBe(73);
    expect(ErrorReply.parse(json).error).toMatchObject({
      code: "CANNOT_CREATE",
      next: expect.stringContaining("Name a new file"),
    });
    expect(await readFile(path)).toEqual(Buffer.from(content));
    expect(ended.stderr).not.toContain("Fingerprint");
  });

  test("goes nowhere into the daemon's own directories, by whatever name", async () => {
    const data = join(room.directory, "data");
    await mkdir(join(data, "store"), { recursive: true });
    await symlink(data, join(room.directory, "link"));
    operations.privateDirectories = [join(room.directory, "gone"), data];
    for (const name of ["data/new", "data/store/new", "link/store/new", "data/../data/new"]) {
      const { exitCode, stderr } = await run("export", "-o", join(room.directory, name));
      expect([name, exitCode]).toEqual([name, 73]);
      expect(stderr).toContain("Name a new file");
    }
    expect(await readdir(data, { recursive: true })).toEqual(["store"]);
    expect((await run("export", "-o", join(room.directory, "data.export"))).exitCode).toBe(0);
  });

  test("does not write through a link, which somebody may have put there", async () => {
    const victim = await fileOf("victim", "precious");
    const link = join(room.directory, "link");
    await symlink(victim, link);
    expect((await run("export", "-o", link)).exitCode).toBe(73);
    expect(await readFile(victim, "utf8")).toBe("precious");
  });

  test.each([
    [0o000, 0o644],
    [0o022, 0o644],
    [0o077, 0o600],
  ])("under umask %o has mode %o, and nothing is left beside it", async (umask, mode) => {
    const path = join(room.directory, "alpha.export");
    const before = process.umask(umask); // The command inherits it.
    try {
      expect((await run("export", "-o", path)).exitCode).toBe(0);
    } finally {
      process.umask(before);
    }
    expect((await stat(path)).mode & 0o7777).toBe(mode);
    expect((await readdir(room.directory)).filter((name) => name.startsWith("alpha"))).toEqual([
      "alpha.export",
    ]);
  });

  test.each([[[]], [["-o", "-"]]])("with %j goes to a pipe", async (args) => {
    const { exitCode, stdout, stderr } = await run("export", ...args);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("alpha.test");
    expect(stderr).toContain("Fingerprint");
  });

  test("as JSON without a file tells about the record and writes nothing", async () => {
    const { json } = await runJson("export");
    expect(json).toMatchObject({ trust_domain: "alpha.test", file: null });
  });

  test("does not mix the record with JSON on stdout", async () => {
    const { ended, json } = await runJson("export", "-o", "-");
    expect(ended.exitCode).toBe(64);
    expect(ErrorReply.parse(json).error.code).toBe("USAGE");
  });

  test.each([".", "/nowhere/alpha.export"])("cannot write %s", async (path) => {
    const { exitCode, stderr } = await run("export", "-o", path);
    expect(exitCode).toBe(73);
    expect(stderr).toContain("CANNOT_CREATE: ");
  });

  test("into a directory that is not there tells how to make it", async () => {
    const { stderr } = await run("export", "-o", "/nowhere/alpha.export");
    expect(stderr).toMatch(/no such file or directory\. Next: `mkdir -p \/nowhere`/);
  });

  test("does not put a file in the place of a pipe or device", async () => {
    const path = join(room.directory, "pipe");
    execFileSync("mkfifo", [path]);
    expect((await run("export", "-o", path)).exitCode).toBe(73);
    expect((await stat(path)).isFIFO()).toBe(true);
  });
});

describe("import", () => {
  test("approves the record that the fingerprint names, however it is typed", async () => {
    const { content, recordId } = recordFile("delta.test", 4n);
    const path = await fileOf("delta.export", content);
    const typed = recordId.toUpperCase().replace(/.{4}/g, "$& - ");
    const { ended, json } = await runJson("import", path, "-fingerprint", typed);
    expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
    expect(json).toEqual([
      {
        file: path,
        trust_domain: "delta.test",
        record_id: recordId,
        outcome: "accepted",
        code: null,
        signed_at: "2026-09-21T14:13:20.000Z",
      },
    ]);
    expect((await run("verify", "-expect", "3")).exitCode).toBe(0);
    expect((await run("import", path)).stdout).toContain("nothing changed");
    const replacing = await run("import", path, "-replace");
    expect(replacing.stdout).toMatch(/its row in SPIRE Server is written again.* Next: /);
    expect(replacing.stdout).not.toContain("nothing changed");
  });

  test.each([
    ["taken", (recordId: string) => recordId, 0],
    ["refused", () => "0".repeat(64), 65],
  ])("says of a record that is %s when it was signed, and how long ago", async (_, typed, code) => {
    const { content, recordId } = recordFile("delta.test", 4n);
    const path = await fileOf("delta.export", content);
    const { exitCode, stdout } = await run("import", path, "-fingerprint", typed(recordId));
    expect(exitCode).toBe(code);
    const grouped = recordId.replace(/.{4}(?=.)/g, "$& ");
    const signed = /signed 2026-09-21T14:13:20\.000Z \((?:[\d,]+ \w+ ago|in [\d,]+ \w+)\)/;
    expect(stdout).toContain(grouped);
    expect(stdout).toMatch(signed);
  });

  test("of - reads what export -o - wrote", async () => {
    const { content, recordId } = recordFile("delta.test", 4n);
    const ended = await run({ stdin: content }, "import", "-", "-fingerprint", recordId);
    expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
    expect(ended.stdout).toMatch(/^-: delta\.test is accepted/);
  });

  test.each<[string, Uint8Array, readonly string[], number, RegExp]>([
    ["nothing", new Uint8Array(), ["-"], 65, /^DATA_INVALID: stdin is empty\. /],
    ["no end of it", new Uint8Array(10_000_000), ["-"], 65, /stdin is larger than 160 KiB/],
    ["it twice", new Uint8Array(), ["-", "-"], 64, /^USAGE: .* once\. Next: /],
  ])("of - refuses %s", async (_, stdin, files, exitCode, says) => {
    const ended = await run({ stdin }, "import", ...files);
    expect(ended.exitCode).toBe(exitCode);
    expect(ended.stderr).toMatch(says);
  });

  test("shows a record's id in the groups that people compare", async () => {
    operations.refusal = ({ record_id }) => `the file's record is ${record_id}`;
    const { content, recordId } = recordFile("delta.test", 4n);
    const path = await fileOf("delta.export", content);
    const { exitCode, stderr } = await run("import", path, "-fingerprint", "0".repeat(64));
    expect(exitCode).toBe(65);
    expect(stderr).toContain(recordId.replace(/.{4}(?=.)/g, "$& "));
    expect(stderr).not.toContain(recordId);
  });

  test("takes several files of approved domains, and says which was refused", async () => {
    const files = [
      await fileOf("b", recordFile("bravo.test", 9n).content),
      await fileOf("s", recordFile("stranger.test", 1n).content),
      await fileOf("c", recordFile("charlie.test", 9n).content),
    ];
    const { ended, json } = await runJson("import", ...files);
    expect(ended.exitCode).toBe(65);
    expect(json).toMatchObject([
      { outcome: "accepted" },
      { outcome: "refused", code: "NOT_APPROVED" },
      { outcome: "accepted" },
    ]);
    expect(ended.stderr).toMatch(/^RECORD_REFUSED: \S+: .*stranger\.test.* Next: .*\n$/);
  });

  test.each([
    { what: "is empty", content: "", says: "is empty" },
    { what: "is huge", content: new Uint8Array(10_000_000), says: "is larger than 160 KiB" },
    {
      what: "is cut off",
      content: recordFile("delta.test", 4n).content.subarray(0, -1),
      says: "ends too early",
    },
    { what: "is text", content: "-----BEGIN CERTIFICATE-----", says: "is not an export file" },
  ])("of a file that $what is bad input data", async ({ content, says }) => {
    const path = await fileOf("bad.export", content);
    const { ended, json } = await runJson("import", path);
    expect(ended.exitCode).toBe(65);
    expect(ErrorReply.parse(json).error.code).toBe("DATA_INVALID");
    expect(ended.stderr).toContain(`${path} ${says}`);
  });

  test.each(["pipe", "folder", "socket", "device"])("of a %s is refused at once", async (what) => {
    const path = what === "device" ? "/dev/zero" : join(room.directory, what);
    if (what === "pipe") execFileSync("mkfifo", [path]);
    if (what === "folder") await mkdir(path);
    const { ended, json } = await runJson("import", what === "socket" ? room.socketPath : path);
    expect(ended.exitCode).toBe(65);
    expect(ErrorReply.parse(json).error).toMatchObject({
      code: "DATA_INVALID",
      message: expect.stringContaining("is not a file"),
    });
  });

  test("takes the others when one of its files cannot be read", async () => {
    const good = await fileOf("b", recordFile("bravo.test", 9n).content);
    const missing = join(room.directory, "missing");
    const { exitCode, stderr } = await run("import", missing, good);
    expect(exitCode).toBe(65);
    expect(stderr).toMatch(/^DATA_INVALID: \S+missing cannot be read: .* Next: .*\n$/);
    expect(operations.partners.get("bravo.test")?.sequence_number).toBe("9");
  });

  test("takes a row over only when told to", async () => {
    const { content, recordId } = recordFile("taken.test", 1n);
    const path = await fileOf("taken", content);
    const refused = await run("import", path, "-fingerprint", recordId);
    expect(refused.exitCode).toBe(77);
    expect(refused.stderr).toContain("ROW_NOT_OURS: ");
    const taken = await run("import", path, "-fingerprint", recordId, "-replace");
    expect(taken.exitCode).toBe(0);
  });
});

describe("forget, bundle and peer", () => {
  test.each([
    ["Bravo.Test", /^USAGE: trust_domain: write it in lower case\. /],
    ["spiffe://bravo.test", /^USAGE: trust_domain: write the trust domain's name alone, such as /],
    ["", /^USAGE: trust_domain: write the trust domain's name alone, such as /],
  ])("of the trust domain %j says what to write", async (name, says) => {
    const { exitCode, stderr } = await run("forget", name);
    expect(exitCode).toBe(64);
    expect(stderr).toMatch(says);
    expect(operations.partners.has("bravo.test")).toBe(true);
  });

  test("forget undoes an import, once", async () => {
    expect((await run("forget", "bravo.test")).exitCode).toBe(0);
    const { ended, json } = await runJson("forget", "bravo.test");
    expect(ended.exitCode).toBe(1);
    expect(ErrorReply.parse(json).error.code).toBe("NOT_FOUND");
  });

  test("forget says that an unmanaged row stays, and how to delete it", async () => {
    operations.partners.set("elsewhere.test", partner("elsewhere.test"));
    const { stdout } = await run("forget", "elsewhere.test");
    expect(stdout).toContain("is unmanaged and stays");
    expect(stdout).toContain("`spire-server bundle delete -id spiffe://elsewhere.test`");
    expect((await run("forget", "bravo.test")).stdout).toContain(
      "its row in SPIRE Server is deleted",
    );
  });

  test("bundle list and show print what is in effect", async () => {
    const list = await runJson("bundle", "list");
    expect(z.array(BundleEntry).parse(list.json)).toHaveLength(2);
    const shown = await runJson("bundle", "show", "bravo.test");
    expect(shown.json).toEqual(operations.bundles(undefined).slice(0, 1));
    expect((await run("bundle", "list")).stdout).toMatch(/bravo\.test +0\.0\.3 +1 +1/);
    expect((await run("bundle", "show", "bravo.test")).stdout).toContain("tainted");
    expect((await run("bundle", "show", "nobody.test")).exitCode).toBe(1);
  });

  test.each([
    ["spiffe", '{\n  "keys": []\n}\n'],
    ["pem", "-----BEGIN CERTIFICATE-----\n"],
  ])("bundle show -format %s prints that document alone", async (format, document) => {
    const ended = await run("bundle", "show", "bravo.test", "-format", format);
    expect(ended).toEqual({ exitCode: 0, stdout: document, stderr: "" });
  });

  test("bundle pin takes a fingerprint and says when the record is still to come", async () => {
    const held = "2".repeat(64);
    const same = await runJson("bundle", "pin", "bravo.test", "-fingerprint", held);
    expect(same.json).toEqual({
      trust_domain: "bravo.test",
      record_id: held,
      outcome: "unchanged",
    });
    const other = await run("bundle", "pin", "bravo.test", "-fingerprint", "3".repeat(64));
    expect(other.stdout).toContain("when it arrives");
  });

  test("peer list prints who is connected", async () => {
    const { json } = await runJson("peer", "list");
    expect(z.array(Peer).parse(json)).toHaveLength(2);
    expect((await run("peer", "list")).stdout).toMatch(/12D3KooWPeer0 +bravo\.test +outbound/);
  });
});

describe("watch", () => {
  const event = {
    t: "2026-01-31T12:00:00.000Z",
    event: "record-accepted",
    trust_domain: "bravo.test",
    record_id: "a".repeat(64),
  } as const;

  test("prints one event a line until Ctrl-C, and ends with 0", async () => {
    const child = startSpireMesh(["watch", "-output", "json", "-socketPath", room.socketPath]);
    let stdout = "";
    child.stdout?.on("data", (chunk) => (stdout += String(chunk)));
    await vi.waitFor(() => expect(operations.watcherCount).toBe(1), 10_000);
    operations.tell(event);
    operations.tell({ ...event, event: "finding-raised", message: "two\nlines" });
    await vi.waitFor(() => expect(stdout.match(/\n/g)).toHaveLength(2), 10_000);
    child.kill("SIGINT");
    expect(await exitOf(child)).toBe(0);
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => WatchEvent.parse(JSON.parse(line)));
    expect(events[0]).toEqual(event);
    expect(events[1]?.message).toBe("two\nlines");
    await vi.waitFor(() => expect(operations.watcherCount).toBe(0), 10_000);
  });

  test("ends with 69 when the daemon goes", async () => {
    const child = startSpireMesh(["watch", "-socketPath", room.socketPath]);
    await vi.waitFor(() => expect(operations.watcherCount).toBe(1), 10_000);
    await room.close();
    expect(await exitOf(child)).toBe(69);
  });
});

describe("a fault of the daemon", () => {
  test.each<[FaultCode, number]>([
    ["NOT_FOUND", 1],
    ["USAGE", 64],
    ["RECORD_REFUSED", 65],
    ["SPIRE_UNREACHABLE", 69],
    ["NOT_READY", 69],
    ["CANNOT_CREATE", 73],
    ["STORE_DAMAGED", 74],
    ["ROW_IN_USE", 77],
    ["CONFIG_INVALID", 78],
  ])("%s ends the command with %d, one line and the same as JSON", async (code, exitCode) => {
    operations.failure = new Fault(code, "So it is.", { advice: "Do this." });
    const { ended, json } = await runJson("status");
    expect(ended.exitCode).toBe(exitCode);
    expect(ended.stderr).toBe(`${code}: So it is. Next: Do this.\n`);
    expect(json).toEqual({ error: { code, message: "So it is.", next: "Do this." } });
  });
});
