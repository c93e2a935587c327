/** How the command line is read: option spellings, the socket's place, wrong usage. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { array, assert, constantFrom, oneof, property, string } from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ErrorReply } from "../../src/admin-contract/error-reply.ts";
import { spellOptions } from "../../src/cli/option-spelling.ts";
import { OperationsInMemory, partner } from "../admin/operations-in-memory.ts";
import { type Room, openRoom, spireMesh } from "./spire-mesh.ts";

const LAUNCHER = fileURLToPath(new URL("../../bin/spire-mesh.js", import.meta.url));

let operations: OperationsInMemory;
let room: Room;

beforeAll(async () => {
  operations = new OperationsInMemory(partner("bravo.test"));
  room = await openRoom(operations);
});

afterAll(async () => await room.close());

describe("options", () => {
  test.each(["-socketPath", "--socketPath", "--socket-path", "-socket-path"])(
    "may be spelled %s X",
    async (option) => {
      const ended = await spireMesh(["status", option, room.socketPath]);
      expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
    },
  );

  test.each(["-socketPath", "--socketPath", "--socket-path"])(
    "may be spelled %s=X",
    async (option) => {
      expect((await spireMesh(["status", `${option}=${room.socketPath}`])).exitCode).toBe(0);
    },
  );

  test("may stand before and after operands, and end at --", async () => {
    const socket = ["-socketPath", room.socketPath];
    const show = await spireMesh(["bundle", "show", ...socket, "bravo.test", "-output", "json"]);
    expect(show.exitCode).toBe(0);
    const dashed = await spireMesh(["bundle", "show", ...socket, "--", "-socketPath"]);
    expect(dashed.exitCode).toBe(64);
    expect(dashed.stderr).toContain("write it in lower case"); // An operand, though no good one.
  });

  test.each([
    [["-h"], "Usage:"],
    [["--help"], "Usage:"],
    [["-help"], "Usage:"],
    [["status", "-h"], "--socket-path"],
    [["--version"], "0."],
    [["-version"], "0."],
  ])("%j answers on stdout", async (args, says) => {
    const { exitCode, stdout, stderr } = await spireMesh(args);
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(says);
  });
});

describe("spellOptions", () => {
  const program = new Command();
  program.command("a").option("--socket-path <p>").option("-o, --file <f>").option("--expand-env");

  test.each([
    [
      ["a", "-socketPath", "x"],
      ["a", "--socket-path", "x"],
    ],
    [
      ["a", "-socketPath=-expandEnv"],
      ["a", "--socket-path=-expandEnv"],
    ],
    [
      ["a", "-socketPath", "-expandEnv"],
      ["a", "--socket-path", "-expandEnv"],
    ],
    [
      ["a", "-expandEnv", "-o", "-socketPath"],
      ["a", "--expand-env", "-o", "-socketPath"],
    ],
    [
      ["a", "--", "-expandEnv"],
      ["a", "--", "-expandEnv"],
    ],
    [
      ["a", "-o", "--", "-expandEnv"],
      ["a", "-o", "--", "--expand-env"],
    ],
    [
      ["a", "-other", "-SocketPath", "-o"],
      ["a", "-other", "-SocketPath", "-o"],
    ],
  ])("turns %j into %j", (argv, spelled) => {
    expect(spellOptions(program, argv)).toEqual(spelled);
  });

  test("leaves alone what is no declared option, and its own result", () => {
    const words = array(
      oneof(
        constantFrom("-socketPath", "--socket-path", "-expandEnv", "--", "-o", "-file", "x"),
        string(),
      ),
    );
    assert(
      property(words, (argv) => {
        const spelled = spellOptions(program, argv);
        expect(spelled).toHaveLength(argv.length);
        expect(spellOptions(program, spelled)).toEqual(spelled);
        for (const [index, word] of argv.entries()) {
          if (!/^--?(socket|expand|file)/.test(word)) expect(spelled[index]).toBe(word);
        }
      }),
    );
  });
});

describe("wrong usage", () => {
  test.each([
    [[]],
    [["stat"]],
    [["status", "-nosuch"]],
    [["status", "-output", "yaml"]],
    [["status", "-socketPath"]],
    [["status", "-socketPath", ""]],
    [["status", "-socketPath="]],
    [["status", "-config", ""]],
    [["validate", "-config", ""]],
    [["export", "-o", ""]],
    [["import", ""]],
    [["import", "x", "-peer", ""]],
    [["status", "-socketPath", "a", "-config", "b"]],
    [["import", "x", "-fingerprint", "12 34"]],
    [["import", "x", "y", "-fingerprint", "a".repeat(64)]],
    [["forget", "Bravo.Test"]],
    [["bundle", "pin", "bravo.test"]],
    [["verify", "-expect", "two"]],
    [["run"]],
    [["trust", "list"]],
  ])("%j ends with 64 and one line", async (args) => {
    const ended = await spireMesh(args, { SPIRE_MESH_ADMIN_SOCKET: "/none.sock" });
    expect([ended.exitCode, ended.stdout]).toEqual([64, ""]);
    expect(ended.stderr.trimEnd().split("\n").at(-1)).toMatch(/^USAGE: .+\. Next: .+\.$/);
  });

  const groups = Array.from<string>({ length: 16 }).fill("1a2b");
  test.each([
    [["import", "x", "-fingerprint", ...groups]],
    [["import", "-fingerprint", ...groups, "x"]],
    [["bundle", "pin", "bravo.test", "-fingerprint", ...groups]],
  ])("%j, which the shell took apart, asks for quotes", async (args) => {
    const { exitCode, stderr } = await spireMesh(args);
    expect(exitCode).toBe(64);
    expect(stderr).toMatch(/^USAGE: .+\. Next: Put the whole fingerprint in quotes: .+\.$/m);
  });

  test("is said as JSON too, when JSON was asked for", async () => {
    const { exitCode, stdout } = await spireMesh(["stat", "-output", "json"]);
    expect(exitCode).toBe(64);
    expect(ErrorReply.parse(JSON.parse(stdout)).error.code).toBe("USAGE");
  });
});

describe("the daemon's socket", () => {
  test("is found by environment, and an option comes first", async () => {
    const environment = { SPIRE_MESH_ADMIN_SOCKET: room.socketPath };
    expect((await spireMesh(["status"], environment)).exitCode).toBe(0);
    const other = await spireMesh(["status", "-socketPath", "/none.sock"], environment);
    expect(other.exitCode).toBe(69);
    expect(other.stderr).toMatch(/^DAEMON_UNREACHABLE: .*\/none\.sock\. Next: /);
  });

  // Skipped: root may open every socket.
  test.skipIf(process.getuid?.() === 0)("of another user is not allowed", async () => {
    await chmod(room.socketPath, 0);
    try {
      expect((await spireMesh(["status", "-socketPath", room.socketPath])).exitCode).toBe(77);
    } finally {
      await chmod(room.socketPath, 0o600);
    }
  });
});

describe("through the launcher", () => {
  test("a command's answer and exit code are the same", async () => {
    const child = spawn(process.execPath, [LAUNCHER, "verify", "-expect", "7"], {
      stdio: "ignore",
      env: { ...process.env, SPIRE_MESH_ADMIN_SOCKET: room.socketPath },
    });
    const [exitCode] = await once(child, "exit");
    expect(exitCode).toBe(1);
  });

  test("a command ends when the launcher is killed", async () => {
    const child = spawn(process.execPath, [LAUNCHER, "watch"], {
      stdio: "ignore",
      env: { ...process.env, SPIRE_MESH_ADMIN_SOCKET: room.socketPath },
    });
    await vi.waitFor(() => expect(operations.watcherCount).toBe(1), 10_000);
    child.kill("SIGKILL");
    await vi.waitFor(() => expect(operations.watcherCount).toBe(0), 10_000);
  });
});
