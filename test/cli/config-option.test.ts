/** Commands that read a configuration file. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ErrorReply } from "../../src/admin-contract/error-reply.ts";
import { OperationsInMemory } from "../admin/operations-in-memory.ts";
import { openRoom, spireMesh } from "./spire-mesh.ts";

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spire-mesh-config-"));
  path = join(directory, "alpha.yaml");
});

afterEach(async () => await rm(directory, { recursive: true }));

describe("validate", () => {
  test("says that a file is fine", async () => {
    await writeFile(path, "trust_domain: alpha.test\n");
    const ended = await spireMesh(["validate", "-config", path]);
    expect(ended).toEqual({ exitCode: 0, stdout: `${path} is fine.\n`, stderr: "" });
    const { stdout } = await spireMesh(["validate", "-config", path, "-output", "json"]);
    expect(JSON.parse(stdout)).toEqual({ file: path, valid: true });
  });

  test("lists every problem with its place", async () => {
    await writeFile(path, "trust_domain: Alpha\nsokcet: x\n");
    const { exitCode, stdout, stderr } = await spireMesh(["validate", "-config", path]);
    expect(exitCode).toBe(78);
    expect(stdout).toMatch(/alpha\.yaml:1:\d+ trust_domain.*\n.*alpha\.yaml:2:\d+ sokcet/);
    expect(stderr).toMatch(/^CONFIG_INVALID: .+\. Next: .+\.\n$/);
  });

  test("lists each problem once, whatever the file is called", async () => {
    const odd = join(directory, "al\npha.yaml");
    await writeFile(odd, "trust_domain: Alpha\nsokcet: x\n");
    for (const command of ["validate", "status"]) {
      const { stdout, stderr } = await spireMesh([command, "-config", odd]);
      const told = `${stdout}${stderr}`.split("\n").filter((line) => /\.yaml:\d/.test(line));
      expect(told).toEqual([
        expect.stringMatching(/al pha\.yaml:1:\d+ trust_domain/),
        expect.stringMatching(/al pha\.yaml:2:\d+ sokcet/),
      ]);
    }
    expect((await spireMesh(["status", "-config", odd])).stderr).toContain("there are 2 problems");
  });

  test("expands variables only when asked to", async () => {
    await writeFile(path, "trust_domain: $MESH_NAME\n");
    const environment = { MESH_NAME: "alpha.test" };
    const plain = await spireMesh(["validate", "-config", path], environment);
    const expanded = await spireMesh(["validate", "-config", path, "-expandEnv"], environment);
    expect([plain.exitCode, expanded.exitCode]).toEqual([78, 0]);
  });

  test("of a file that is not there says so as JSON too", async () => {
    const { exitCode, stdout } = await spireMesh(["validate", "-config", path, "-output", "json"]);
    expect(exitCode).toBe(78);
    expect(ErrorReply.parse(JSON.parse(stdout)).error.code).toBe("CONFIG_INVALID");
  });
});

describe("-config", () => {
  test("leads to the daemon that the file describes, past the environment", async () => {
    const room = await openRoom(new OperationsInMemory());
    await writeFile(path, `trust_domain: a.test\nadmin: { socket_path: ${room.socketPath} }\n`);
    try {
      const environment = { SPIRE_MESH_ADMIN_SOCKET: "/none.sock" };
      expect((await spireMesh(["status", "-config", path], environment)).exitCode).toBe(0);
    } finally {
      await room.close();
    }
  });

  test("with a bad file asks nobody", async () => {
    await writeFile(path, "trust_domain: alpha.test\npeers: 7\n");
    for (const command of ["status", "healthcheck", "run"]) {
      const { exitCode, stderr } = await spireMesh([command, "-config", path]);
      expect([command, exitCode]).toEqual([command, 78]);
      expect(stderr).toMatch(/^CONFIG_INVALID: .*alpha\.yaml:2:/);
    }
  });
});
