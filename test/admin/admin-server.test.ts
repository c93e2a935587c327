/** The admin API over a real Unix socket, asked by our client and by hand. */
import { once } from "node:events";
import {
  chmod,
  lstat,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  unlink,
  writeFile,
} from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { type Socket, connect, createServer } from "node:net";
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { callAdmin, watchAdmin } from "../../src/admin-contract/client.ts";
import { ErrorReply } from "../../src/admin-contract/error-reply.ts";
import { ROUTES, WATCH_PATH } from "../../src/admin-contract/routes.ts";
import { Status } from "../../src/admin-contract/status.ts";
import type { WatchEvent } from "../../src/admin-contract/watch-event.ts";
import { AdminServer } from "../../src/admin/admin-server.ts";
import type { MeshEvent } from "../../src/admin/operations.ts";
import { Fault } from "../../src/fault.ts";
import { OperationsInMemory, partner, recordFile } from "./operations-in-memory.ts";

const EVENT: MeshEvent = {
  t: "2026-01-31T12:00:00.000Z",
  event: "record-accepted",
  trust_domain: "bravo.test",
};

let directory: string;
let socketPath: string;
let operations: OperationsInMemory;
let defects: unknown[];
const servers: AdminServer[] = [];
const sockets: Socket[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spire-mesh-admin-"));
  socketPath = join(directory, "run", "admin.sock");
  operations = new OperationsInMemory(partner("bravo.test"), partner("charlie.test"));
  defects = [];
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await server.stop();
  await rm(directory, { recursive: true });
});

function newServer(path = socketPath): AdminServer {
  const ports = { operations, onDefect: (error: unknown) => defects.push(error) };
  return new AdminServer({ socketPath: path }, ports);
}

async function startServer(path = socketPath): Promise<AdminServer> {
  const server = newServer(path);
  await server.start();
  servers.push(server);
  return server;
}

interface Answer {
  readonly status: number | undefined;
  readonly body: unknown;
}

/** A request as any HTTP client would send it. */
async function ask(
  method: string,
  path: string,
  body?: string | Uint8Array,
  contentType = "application/json",
): Promise<Answer> {
  const headers = body === undefined ? {} : { "content-type": contentType };
  const outgoing = httpRequest({ socketPath, method, path, headers, agent: false });
  outgoing.on("error", () => undefined); // An answer may come before the whole body is written.
  outgoing.end(body);
  const [response] = await once(outgoing, "response");
  const answer: unknown = JSON.parse(await text(response));
  return { status: response.statusCode, body: answer };
}

async function collect(stream: AsyncIterable<WatchEvent>): Promise<WatchEvent[]> {
  const events: WatchEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "none";
  } catch (error) {
    if (error instanceof Fault) return error.code;
    throw error;
  }
}

/** A socket whose process was killed. */
async function orphanSocket(path: string): Promise<void> {
  const listen = `require("node:net").createServer().listen(process.argv[1], () => console.log(1))`;
  const orphan = spawn(process.execPath, ["-e", listen, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(orphan.stdout, "data");
  orphan.kill("SIGKILL");
  await once(orphan, "exit");
}

describe("the socket", () => {
  test("is its owner's alone, in a directory that is too, whatever the umask", async () => {
    const before = process.umask(0);
    try {
      await startServer();
      expect(process.umask()).toBe(0);
    } finally {
      process.umask(before);
    }
    expect(((await stat(socketPath)).mode & 0o777).toString(8)).toBe("600");
    expect(((await stat(join(directory, "run"))).mode & 0o777).toString(8)).toBe("700");
  });

  test("never has another mode than 0600, seen by a process that looks all the time", async () => {
    const look = `
      const { statSync } = require("node:fs");
      process.stdout.write("looking\\n");
      for (let looks = 0; looks < 5e6; looks += 1) {
        const found = statSync(process.argv[1], { throwIfNoEntry: false });
        if (found !== undefined) { process.stdout.write((found.mode & 0o777).toString(8)); break; }
      }`;
    await startServer(join(directory, "run", "other.sock")); // So that the directory is there.
    const watcher = spawn(process.execPath, ["-e", look, socketPath], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(watcher.stdout, "data");
    const seen = text(watcher.stdout);
    const before = process.umask(0);
    try {
      await startServer();
    } finally {
      process.umask(before);
    }
    expect(await seen).toBe("600");
  });

  test("is gone after a stop", async () => {
    await startServer();
    await servers.pop()?.stop();
    expect(await codeOf(callAdmin(socketPath, "status", {}))).toBe("DAEMON_UNREACHABLE");
    await expect(lstat(socketPath)).rejects.toThrow("ENOENT");
  });

  test.each([
    ["a file", async () => await writeFile(socketPath, "precious")],
    ["another daemon's socket", async () => void (await startServer())],
  ])("is let alone at a stop when it is %s by now", async (_what, replace) => {
    const first = await startServer();
    await unlink(socketPath);
    await replace();
    const { ino } = await lstat(socketPath);
    await first.stop();
    expect((await lstat(socketPath)).ino).toBe(ino);
  });

  test("leaves no other name behind, while it listens or after a stop", async () => {
    await startServer();
    expect(await readdir(dirname(socketPath))).toEqual(["admin.sock"]);
    await servers.pop()?.stop();
    expect(await readdir(dirname(socketPath))).toEqual([]);
  });

  test("goes to one of two daemons that start at once", async () => {
    const both = [newServer(), newServer()];
    const codes = await Promise.all(both.map(async (server) => await codeOf(server.start())));
    servers.push(...both);
    expect(codes.toSorted()).toEqual(["ALREADY_RUNNING", "none"]);
    await both[codes.indexOf("ALREADY_RUNNING")]?.stop();
    expect((await callAdmin(socketPath, "status", {})).state).toBe("ready");
  });

  test("of a killed daemon is replaced", async () => {
    await orphanSocket(join(directory, "admin.sock"));
    expect((await lstat(join(directory, "admin.sock"))).isSocket()).toBe(true);
    await startServer(join(directory, "admin.sock"));
    expect((await callAdmin(join(directory, "admin.sock"), "status", {})).state).toBe("ready");
  });

  test("of a daemon that was killed while it started leaves nothing behind", async () => {
    await orphanSocket(join(directory, "admin.sock.new"));
    await startServer(join(directory, "admin.sock"));
    expect(await readdir(directory)).toEqual(["admin.sock"]);
    expect((await callAdmin(join(directory, "admin.sock"), "status", {})).state).toBe("ready");
  });

  test("of a live daemon is left alone", async () => {
    await startServer();
    expect(await codeOf(newServer().start())).toBe("ALREADY_RUNNING");
    expect((await callAdmin(socketPath, "status", {})).state).toBe("ready");
  });

  test("of a program that answers nothing is left alone", async () => {
    const path = join(directory, "busy.sock");
    const mute = createServer().listen({ path, backlog: 1 });
    await once(mute, "listening");
    try {
      expect(await codeOf(newServer(path).start())).toBe("ALREADY_RUNNING");
    } finally {
      mute.close();
    }
  });

  test.each([
    ["a file", async (path: string) => await writeFile(path, "precious")],
    [
      "a read-only file",
      async (path: string) => {
        await writeFile(path, "precious");
        await chmod(path, 0o400);
      },
    ],
  ])("does not replace %s", async (_what, make) => {
    const path = join(directory, "precious");
    await make(path);
    expect(await codeOf(newServer(path).start())).toBe("CANNOT_CREATE");
    expect(await readFile(path, "utf8")).toBe("precious");
  });

  test("is refused where its path is too long to be bound whole", async () => {
    const path = join(directory, "x".repeat(108));
    expect(await codeOf(newServer(path).start())).toBe("CANNOT_CREATE");
  });

  test("is refused where its directory cannot be made", async () => {
    await writeFile(join(directory, "file"), "");
    const path = join(directory, "file", "admin.sock");
    expect(await codeOf(newServer(path).start())).toBe("CANNOT_CREATE");
  });
});

describe("a call", () => {
  test("brings what the daemon knows, in the shape of the contract", async () => {
    await startServer();
    const { status, body } = await ask("GET", "/v1/status");
    expect(status).toBe(200);
    expect(Status.parse(body)).toEqual(body);
    expect(body).toEqual(operations.status());
    expect(await callAdmin(socketPath, "status", {})).toEqual(body);
  });

  test("of every read answers", async () => {
    await startServer();
    expect((await callAdmin(socketPath, "healthcheck", {})).ready).toBe(true);
    expect(await callAdmin(socketPath, "bundles", {})).toHaveLength(2);
    expect(await callAdmin(socketPath, "bundles", { trust_domain: "bravo.test" })).toHaveLength(1);
    expect(await callAdmin(socketPath, "peers", {})).toHaveLength(2);
    const request = { trust_domain: "bravo.test", format: "spiffe" } as const;
    expect((await callAdmin(socketPath, "bundleDocument", request)).document).toContain("keys");
  });

  test("takes trust domains whose names mean something to a path or an object", async () => {
    await startServer();
    for (const name of [".", "..", "__proto__", "constructor", "show"]) {
      operations.partners.set(name, partner(name));
      const [bundle] = await callAdmin(socketPath, "bundles", { trust_domain: name });
      expect(bundle?.trust_domain).toBe(name);
      await callAdmin(socketPath, "forget", { trust_domain: name });
      expect(operations.partners.has(name)).toBe(false);
    }
  });

  test("changes what the next call shows", async () => {
    await startServer();
    const { content, recordId } = recordFile("delta.test", 2n ** 64n - 1n);
    const order = { file: "delta", content: Buffer.from(content).toString("base64") };
    const approved = { ...order, fingerprint: recordId };
    expect((await callAdmin(socketPath, "import", order)).outcome).toBe("refused");
    expect((await callAdmin(socketPath, "import", approved)).outcome).toBe("accepted");
    expect((await callAdmin(socketPath, "import", approved)).outcome).toBe("unchanged");
    const status = await callAdmin(socketPath, "status", {});
    expect(status.trust_domains.at(-1)).toMatchObject({
      trust_domain: "delta.test",
      sequence_number: "18446744073709551615",
    });
    const forgotten = await callAdmin(socketPath, "forget", { trust_domain: "delta.test" });
    expect(forgotten).toEqual({ trust_domain: "delta.test", row: "deleted" });
    expect(await codeOf(callAdmin(socketPath, "forget", { trust_domain: "delta.test" }))).toBe(
      "NOT_FOUND",
    );
  });

  test("carries the largest export file", async () => {
    await startServer();
    const content = Buffer.alloc(160 * 1024, 1).toString("base64");
    expect(await codeOf(callAdmin(socketPath, "import", { file: "large", content }))).toBe(
      "DATA_INVALID",
    );
  });

  test("without a body is enough where nothing is asked", async () => {
    await startServer();
    expect((await ask("POST", "/v1/export")).status).toBe(200);
  });

  test("of another HTTP method or path changes nothing", async () => {
    await startServer();
    for (const [method, path] of [
      ["GET", "/v1/export"],
      ["GET", "/v1/import"],
      ["GET", "/v1/forget?trust_domain=bravo.test"],
      ["POST", "/v1/status"],
      ["GET", "/"],
      ["GET", "/v1/status/../forget"],
    ] as const) {
      const { status, body } = await ask(method, path);
      expect([method, path, status, ErrorReply.parse(body).error.code]).toEqual([
        method,
        path,
        400,
        "NOT_BUILT",
      ]);
    }
    expect(operations.partners.size).toBe(2);
  });

  test.each([
    ["not JSON", "{", "application/json"],
    ["another media type", "trust_domain=bravo.test", "application/x-www-form-urlencoded"],
    ["an unknown member", '{"trust_domain":"bravo.test","force":true}', "application/json"],
    ["a member missing", "{}", "application/json"],
    ["a name in capitals", '{"trust_domain":"Bravo.test"}', "application/json"],
    ["a SPIFFE ID for a name", '{"trust_domain":"spiffe://bravo.test"}', "application/json"],
    ["a poisoned object", '{"__proto__":{},"trust_domain":"bravo.test"}', "application/json"],
    ["an array", '["bravo.test"]', "application/json"],
    ["too long a body", `"${"x".repeat(256 * 1024)}"`, "application/json"],
  ])("with %s is refused and changes nothing", async (_what, body, contentType) => {
    await startServer();
    const answer = await ask("POST", "/v1/forget", body, contentType);
    expect(ErrorReply.parse(answer.body).error.code).toBe("USAGE");
    expect(answer.status).toBe(400);
    expect(operations.partners.size).toBe(2);
    expect(defects).toEqual([]);
  });

  test("says the daemon's fault with the same code, words and advice", async () => {
    await startServer();
    operations.failure = new Fault("STORE_FULL", "The disk is full.", { advice: "Free it." });
    expect(await ask("GET", "/v1/status")).toEqual({
      status: 500,
      body: { error: { code: "STORE_FULL", message: "The disk is full.", next: "Free it." } },
    });
    await expect(callAdmin(socketPath, "status", {})).rejects.toMatchObject({
      code: "STORE_FULL",
      message: "The disk is full.",
      advice: "Free it.",
      exitCode: 74,
    });
    expect(defects).toEqual([]);
  });

  test("tells a defect to the daemon and not to the caller", async () => {
    await startServer();
    operations.failure = new TypeError("secret of the inside");
    const { status, body } = await ask("GET", "/v1/status");
    expect(status).toBe(500);
    expect(ErrorReply.parse(body).error.code).toBe("DAEMON_FAILED");
    expect(JSON.stringify(body)).not.toContain("secret");
    expect(defects).toEqual([operations.failure]);
  });

  test("whose answer would break the contract is a defect", async () => {
    await startServer();
    operations.partners.set("x", partner("x", { sequence_number: "1e3" }));
    expect(await codeOf(callAdmin(socketPath, "status", {}))).toBe("DAEMON_FAILED");
    expect(defects).toHaveLength(1);
  });
});

describe("a stop", () => {
  test("lets a change that is under way end", async () => {
    await startServer();
    const slow = Promise.withResolvers<void>();
    operations.delay = slow.promise;
    const exported = callAdmin(socketPath, "export", {});
    await vi.waitFor(() => expect(operations.changesUnderWay).toBe(1));
    const stopped = servers.pop()?.stop();
    slow.resolve();
    expect((await exported).trust_domain).toBe("alpha.test");
    await stopped;
  });

  test("answers who connected before it in the API's own words", async () => {
    await startServer();
    const slow = Promise.withResolvers<void>();
    operations.delay = slow.promise;
    const exported = callAdmin(socketPath, "export", {}); // The server closes when this has ended.
    await vi.waitFor(() => expect(operations.changesUnderWay).toBe(1));
    const early = connect({ path: socketPath });
    sockets.push(early);
    await once(early, "connect");
    await callAdmin(socketPath, "status", {}); // Both were accepted by now.
    const stopped = servers.pop()?.stop();
    const answer = text(early);
    await vi.waitFor(async () => await expect(lstat(socketPath)).rejects.toThrow());
    await new Promise((resolve) => setTimeout(resolve, 20)); // It does nothing else before it closes.
    early.write("GET /v1/status HTTP/1.1\r\nhost: a\r\n\r\n");
    expect(await answer).toMatch(/^HTTP\/1\.1 200 /);
    slow.resolve();
    await exported;
    await stopped;
  });

  test("does not wait for ever", async () => {
    await startServer();
    operations.delay = new Promise(() => undefined);
    const exported = codeOf(callAdmin(socketPath, "export", {}));
    const streaming = await watchAdmin(socketPath, new AbortController().signal);
    await servers.pop()?.stop();
    expect(await exported).toBe("DAEMON_UNREACHABLE");
    expect(await codeOf(collect(streaming))).toBe("DAEMON_UNREACHABLE");
    expect(operations.watcherCount).toBe(0);
  });
});

describe("watch", () => {
  test("tells each event from the call on, until the watcher goes", async () => {
    await startServer();
    operations.tell(EVENT);
    const ending = new AbortController();
    const seen: string[] = [];
    const stream = await watchAdmin(socketPath, ending.signal);
    for (const event of ["peer-connected", "peer-lost"] as const)
      operations.tell({ ...EVENT, event });
    for await (const { event } of stream) {
      seen.push(event);
      if (seen.length === 2) ending.abort();
    }
    expect(seen).toEqual(["peer-connected", "peer-lost"]);
    await vi.waitFor(() => expect(operations.watcherCount).toBe(0));
  });

  test("takes sixteen watchers, and the next when one has gone", async () => {
    await startServer();
    const controllers = Array.from({ length: 16 }, () => new AbortController());
    for (const { signal } of controllers) {
      const stream = await watchAdmin(socketPath, signal);
      void collect(stream);
    }
    const one = new AbortController();
    expect(await codeOf(watchAdmin(socketPath, one.signal))).toBe("BUSY");
    controllers[0]?.abort();
    await vi.waitFor(() => expect(operations.watcherCount).toBe(15));
    await watchAdmin(socketPath, one.signal);
    expect(operations.watcherCount).toBe(16);
    for (const controller of [one, ...controllers]) controller.abort();
    await vi.waitFor(() => expect(operations.watcherCount).toBe(0));
  });

  test("drops a watcher that does not read, with words, and keeps the others", async () => {
    await startServer();
    const ending = new AbortController();
    const reader = await watchAdmin(socketPath, ending.signal);
    const read = collect(reader);
    const slow = connect({ path: socketPath });
    sockets.push(slow);
    slow.write(`GET ${WATCH_PATH} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    slow.pause();
    await vi.waitFor(() => expect(operations.watcherCount).toBe(2));
    const message = "x".repeat(10_000);
    let told = 0;
    while (operations.watcherCount === 2 && told < 1_000) {
      operations.tell({ ...EVENT, message });
      told += 1;
      await new Promise(setImmediate); // The reader reads meanwhile.
    }
    expect(told).toBeLessThan(200);
    slow.resume();
    const lastLine = (await text(slow))
      .trimEnd()
      .split("\n")
      .findLast((line) => line.startsWith("{"));
    expect(ErrorReply.parse(JSON.parse(lastLine ?? "")).error.code).toBe("BUSY");
    expect(operations.watcherCount).toBe(1);
    ending.abort();
    expect(await read).toHaveLength(told);
  });
});

test("every path is the command's words, and only changes are POST", () => {
  expect(Object.values(ROUTES).map(({ method, path }) => `${method} ${path}`)).toEqual([
    "GET /v1/status",
    "GET /v1/verify",
    "GET /v1/healthcheck",
    "GET /v1/bundles",
    "GET /v1/bundles/show",
    "GET /v1/peers",
    "POST /v1/export",
    "POST /v1/import",
    "POST /v1/forget",
    "POST /v1/bundles/pin",
    "GET /v1/export/all",
    "GET /v1/bundles/history",
    "GET /v1/bundles/diff",
    "POST /v1/release",
    "POST /v1/own/confirm-restore",
    "POST /v1/own/new-lineage",
    "POST /v1/own/adopt",
    "POST /v1/own/resume",
    "GET /v1/nodes",
    "POST /v1/nodes/add",
    "POST /v1/nodes/remove",
    "GET /v1/recovery/status",
    "POST /v1/recovery/commit",
    "POST /v1/recovery/request",
    "POST /v1/recover",
  ]);
});
