import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type SpireApi, spireApi } from "../../../src/spire-api/client.ts";
import { Code, DeleteMode } from "../../../src/spire-api/services.ts";
import { makeRequest } from "./csr.ts";
import {
  type EmbeddedSpire,
  type SpireOptions,
  type SpireProcess,
  startEmbeddedSpire,
} from "./process.ts";
import { SERVERS, type ServerKind } from "./servers.ts";

const MAIN = fileURLToPath(new URL("../../../peers/embedded-spire/main.ts", import.meta.url));
const END_WITH_LAUNCHER = new URL("../../../bin/end-with-launcher.js", import.meta.url).href;
const MODE_BITS = 0o777;

const directories: string[] = [];
const running: { stop(): Promise<void> }[] = [];
const apis: SpireApi[] = [];

afterEach(async () => {
  for (const api of apis.splice(0)) api.close();
  await Promise.all(running.splice(0).map(async (server) => await server.stop()));
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
});

function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "spire-"));
  directories.push(directory);
  return directory;
}

async function start(options: Partial<SpireOptions> = {}): Promise<EmbeddedSpire> {
  const directory = options.directory ?? makeDirectory();
  const server = await startEmbeddedSpire({ trustDomain: "alpha.test", directory, ...options });
  running.push(server);
  return server;
}

function connect({ socketPath }: SpireProcess): SpireApi {
  const api = spireApi({ socketPath });
  apis.push(api);
  return api;
}

describe("the process", () => {
  test("opens its socket to its group alone, in a directory that others cannot enter", async () => {
    const { socketPath } = await start();
    expect(statSync(socketPath).mode & MODE_BITS).toBe(0o770);
    expect(statSync(join(socketPath, "..")).mode & MODE_BITS).toBe(0o750);
  });

  test("ends with 0 at SIGTERM, and takes its socket away", async () => {
    const server = await start();
    connect(server); // Somebody connected does not hold it up.
    server.kill("SIGTERM");
    expect(await server.exited).toBe(0);
    expect(statSync(server.socketPath, { throwIfNoEntry: false })).toBeUndefined();
    expect(server.log()).toContain('level=info msg="Server stopped gracefully"');
  });

  test.each(["at its start", "while it serves"])(
    "ends when its launcher is gone, %s",
    async (when) => {
      const directory = makeDirectory();
      const launcher = join(directory, "launcher.mjs");
      const args = ["run", "-trustDomain", "a.test", "-dataDir", directory];
      const options = [...args, "-socketPath", join(directory, "api.sock")];
      writeFileSync(
        launcher,
        `import { spawn } from "node:child_process";
       const args = ["--import", ${JSON.stringify(END_WITH_LAUNCHER)}, ...process.argv.slice(2)];
       const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "ignore", "ipc"] });
       process.stdout.write(child.pid + "\\n");
       child.on("message", (notice) => process.stdout.write(notice + "\\n"));`,
      );
      const child = spawn(process.execPath, [launcher, MAIN, ...options], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const pid = Number((await lines.next()).value);
      if (when === "while it serves") expect((await lines.next()).value).toBe("ready");
      child.kill("SIGKILL");
      await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow("ESRCH"), 10_000);
    },
  );

  test("takes the place of a socket that kill -9 left behind", async () => {
    const directory = makeDirectory();
    const first = await start({ directory });
    first.kill("SIGKILL");
    expect(await first.exited).toBe("SIGKILL");
    expect(statSync(first.socketPath).isSocket()).toBe(true);
    const second = await start({ directory });
    await expect(connect(second).bundle.getBundle({})).resolves.toBeDefined();
  });

  test("keeps every acknowledged write through kill -9", { timeout: 60_000 }, async () => {
    const directory = makeDirectory();
    const acknowledged: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const server = await start({ directory });
      const api = connect(server);
      const rows = await api.bundle.listFederatedBundles({});
      const held = new Set(rows.bundles.map(({ sequenceNumber }) => Number(sequenceNumber)));
      expect(acknowledged.filter((number) => !held.has(number))).toEqual([]);

      const killed = vi.waitUntil(() => acknowledged.length >= (round + 1) * 40, 10_000);
      const writing = (async () => {
        for (let number = round * 1_000; ; number += 1) {
          const bundle = [{ trustDomain: `row-${number}`, sequenceNumber: BigInt(number) }];
          const { results } = await api.bundle.batchSetFederatedBundle({ bundle });
          if (results[0]?.status?.code === 0) acknowledged.push(number);
        }
      })();
      const stopped = expect(writing).rejects.toThrow();
      await killed;
      server.kill("SIGKILL");
      await server.exited;
      await stopped;
    }
  });

  test("says in one line what is missing, and ends with 1", async () => {
    const child = spawn(process.execPath, [MAIN, "run", "-trustDomain", "a.test"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const [[text], [code]] = await Promise.all([once(child.stderr, "data"), once(child, "exit")]);
    expect(String(text)).toBe("Error: data_dir must be configured\n");
    expect(code).toBe(1);
  });
});

describe.each(SERVERS)("a restart of $name", ({ start: startServer }: ServerKind) => {
  async function restart(keyManager: "memory" | "disk") {
    const options = { trustDomain: "alpha.test", directory: makeDirectory(), keyManager };
    const first = await startServer(options);
    const before = await connect(first).bundle.getBundle({});
    first.kill("SIGKILL");
    await first.exited;
    const second = await startServer(options);
    running.push(second);
    const api = connect(second);
    return { api, before, after: await api.bundle.getBundle({}) };
  }

  test("with keys in memory adds a CA and a JWT key that sign at once", async () => {
    const { api, before, after } = await restart("memory");
    expect(after.sequenceNumber).toBe(before.sequenceNumber + 2n);
    expect(after.x509Authorities).toHaveLength(2);
    expect(after.jwtAuthorities).toHaveLength(2);
    expect(after.x509Authorities[0]?.asn1).toEqual(before.x509Authorities[0]?.asn1);
    const { active, prepared, old } = await api.localAuthority.getJWTAuthorityState({});
    expect(active?.authorityId).toBe(after.jwtAuthorities[1]?.keyId);
    expect([prepared, old]).toEqual([undefined, undefined]);
  });

  test("with keys on disk changes nothing", async () => {
    const { api, before, after } = await restart("disk");
    expect(after).toEqual(before);
    const { active } = await api.localAuthority.getJWTAuthorityState({});
    expect(active?.authorityId).toBe(before.jwtAuthorities[0]?.keyId);
  });
});

describe("faults that a test switches on", () => {
  const bundle = [{ trustDomain: "bravo.test" }, { trustDomain: "charlie.test" }];

  test("fail items inside an OK reply, and then no more", async () => {
    const server = await start();
    const api = connect(server);
    const codes = async () =>
      (await api.bundle.batchSetFederatedBundle({ bundle })).results.map(
        ({ status }) => status?.code,
      );
    await server.setFaults({ failItems: 1 });
    expect(await codes()).toEqual([Code.Internal, 0]);
    expect(await codes()).toEqual([0, 0]);
    await server.setFaults({ failItems: 1 });
    const mode = DeleteMode.RESTRICT;
    const { results } = await api.bundle.batchDeleteFederatedBundle({ trustDomains: ["x"], mode });
    expect(results[0]?.status?.code).toBe(Code.Internal);
  });

  test("fail whole calls, or lose the replies of calls that were carried out", async () => {
    const server = await start();
    const api = connect(server);
    await server.setFaults({ failCalls: 1 });
    await expect(api.bundle.getBundle({})).rejects.toMatchObject({ code: Code.Internal });
    await server.setFaults({ loseReplies: 1 });
    await expect(api.bundle.batchSetFederatedBundle({ bundle })).rejects.toMatchObject({
      code: Code.Unavailable,
    });
    expect((await api.bundle.listFederatedBundles({})).bundles).toHaveLength(2);
  });

  test("make every answer slow until they are switched off", async () => {
    const server = await start();
    const hasty = spireApi({ socketPath: server.socketPath, deadlineMs: 200 });
    apis.push(hasty);
    const api = connect(server);
    await server.setFaults({ delayMs: 2_000 });
    await expect(hasty.bundle.getBundle({})).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    await server.setFaults({});
    await expect(api.bundle.getBundle({})).resolves.toBeDefined();
  });
});

test("a server whose CA lives for a minute mints no SVID beyond its end", async () => {
  const api = connect(await start({ caTtl: "1m" }));
  const csr = await makeRequest(["spiffe://alpha.test/web"]);
  const { svid } = await api.svid.mintX509SVID({ csr, ttl: 3_600 });
  const { active } = await api.localAuthority.getX509AuthorityState({});
  expect(svid?.expiresAt).toBe(active?.expiresAt);
});
