/**
 * The admin socket attacked by whoever may open it: each limit of limits.ts provoked, and an honest
 * call answered meanwhile.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { Socket, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { callAdmin } from "../../src/admin-contract/client.ts";
import { ErrorReply } from "../../src/admin-contract/error-reply.ts";
import { WATCH_PATH } from "../../src/admin-contract/routes.ts";
import { AdminServer } from "../../src/admin/admin-server.ts";
import { Connections } from "../../src/admin/connections.ts";
import { ADMIN_LIMITS, type AdminLimits } from "../../src/admin/limits.ts";
import { Fault } from "../../src/fault.ts";
import { OperationsInMemory, partner } from "./operations-in-memory.ts";

/** For what takes milliseconds, on a machine that is busy with much else. */
const SOON_MS = 20_000;
const MIB = 1024 ** 2;

let directory: string;
let socketPath: string;
let operations: OperationsInMemory;
let defects: unknown[];
let server: AdminServer | undefined;
const sockets: Socket[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spire-mesh-admin-"));
  socketPath = join(directory, "admin.sock");
  operations = new OperationsInMemory(partner("bravo.test"), partner("charlie.test"));
  defects = [];
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server?.stop();
  server = undefined;
  await rm(directory, { recursive: true });
});

async function start(limits: Partial<AdminLimits> = {}): Promise<void> {
  const ports = { operations, onDefect: (error: unknown) => void defects.push(error) };
  server = new AdminServer({ socketPath, limits }, ports);
  await server.start();
}

/** A caller that sends what it likes. */
function caller(bytes = ""): Socket {
  const socket = connect({ path: socketPath });
  socket.on("error", () => undefined); // It is cut off on purpose.
  socket.write(bytes);
  sockets.push(socket);
  return socket;
}

/** Many at once, none faster than Node accepts them: one in a turn of its event loop (libuv). */
async function crowd(count: number, bytes = ""): Promise<Socket[]> {
  const callers: Socket[] = [];
  while (callers.length < count) {
    const next = caller(bytes);
    await once(next, "connect");
    await new Promise(setImmediate);
    callers.push(next);
  }
  return callers;
}

/** All that a caller is told until its connection is closed, however it is closed. */
async function heard(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => socket.once("close", resolve));
  return Buffer.concat(chunks).toString("latin1");
}

async function said(bytes: string): Promise<string> {
  return await heard(caller(bytes));
}

/** Every error is the API's own, whatever was sent. */
function codeIn(answer: string): string {
  return ErrorReply.parse(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4))).error.code;
}

async function expectHonestCall(): Promise<void> {
  const startMs = performance.now();
  expect((await callAdmin(socketPath, "status", {})).state).toBe("ready");
  expect(performance.now() - startMs).toBeLessThan(SOON_MS / 4);
}

/** Timers that keep the process alive. */
function activeTimers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
}

function post(path: string, body: string, headers = ""): string {
  const length = headers.includes("-encoding") ? "" : `content-length: ${body.length}\r\n`;
  const json = headers.includes("content-type") ? "" : "content-type: application/json\r\n";
  return `POST ${path} HTTP/1.1\r\nhost: localhost\r\n${json}${length}${headers}\r\n${body}`;
}

describe("a thousand connections at once", () => {
  test("that say nothing keep nobody out, and go when their time is over", async () => {
    await start({ requestDeadlineMs: 2_000 });
    const idle = await crowd(1_000);
    for (let call = 0; call < 20; call += 1) await expectHonestCall();
    for (const socket of idle) socket.resume();
    await vi.waitFor(() => expect(idle.every((socket) => socket.closed)).toBe(true), SOON_MS);
  });

  test("that come while others call let each call end", async () => {
    await start();
    const crowding = crowd(1_000);
    for (let call = 0; call < 20; call += 1) await expectHonestCall();
    await crowding;
  });

  test("that never end their bodies hold no more than the limit says", async () => {
    await start();
    const head = "POST /v1/import HTTP/1.1\r\nhost: x\r\ncontent-type: application/json";
    const request = `${head}\r\ncontent-length: 260000\r\n\r\n${"x".repeat(200 * 1024)}`;
    const slow = await crowd(1_000, request);
    await expectHonestCall();
    for (const socket of slow) socket.resume();
    await vi.waitFor(() => {
      expect(slow.filter((socket) => !socket.closed).length).toBeLessThanOrEqual(
        ADMIN_LIMITS.connectionsMax,
      );
    }, SOON_MS);
    await expectHonestCall();
  });
});

describe("a caller who is slow", () => {
  test.each([
    ["with its first byte", ""],
    ["in the request line", "GET /v1/sta"],
    ["in its headers", "GET /v1/status HTTP/1.1\r\nhost: local"],
    ["in its body", post("/v1/forget", '{"trust', "x: 1\r\n").replace("length: 7", "length: 70")],
    ["in a chunk", post("/v1/forget", "ff\r\nabc", "transfer-encoding: chunked\r\n")],
  ])(
    "%s is closed when its time is over, also when it sends a byte now and then",
    async (_, start0) => {
      await start({ requestDeadlineMs: 400 });
      const socket = caller(start0);
      const drip = setInterval(() => socket.write(start0 === "" ? "" : "a"), 50);
      try {
        const answer = await heard(socket);
        if (answer !== "") expect([answer.slice(9, 12), codeIn(answer)]).toEqual(["408", "USAGE"]);
      } finally {
        clearInterval(drip);
      }
      await expectHonestCall();
    },
  );

  test("to read its answer is closed, and what it did not read is bounded meanwhile", async () => {
    const document = "x".repeat(4 * MIB);
    operations.bundle = () => document;
    await start({ unreadBytesMax: 16 * MIB, replyDeadlineMs: 2_000 });
    const request =
      "GET /v1/bundles/show?trust_domain=bravo.test&format=pem HTTP/1.1\r\nhost: x\r\n\r\n";
    const deaf = Array.from({ length: 32 }, () => caller(request).pause());
    await vi.waitFor(async () => {
      await expect(callAdmin(socketPath, "status", {})).rejects.toMatchObject({ code: "BUSY" });
    }, SOON_MS);
    await vi.waitFor(expectHonestCall, SOON_MS); // They are closed, and room is made.
    for (const socket of deaf) socket.resume();
    await vi.waitFor(() => expect(deaf.every((socket) => socket.closed)).toBe(true), SOON_MS);
  });

  test("to read its answer does not hold the process, nor does one who is gone by then", async () => {
    operations.bundle = () => "x".repeat(4 * MIB);
    await start();
    const before = activeTimers();
    const show =
      "GET /v1/bundles/show?trust_domain=bravo.test&format=pem HTTP/1.1\r\nhost: x\r\n\r\n";
    const deaf = caller(show);
    await once(deaf, "data");
    deaf.pause();
    expect(activeTimers()).toBeLessThanOrEqual(before);

    const held = Promise.withResolvers<void>();
    operations.delay = held.promise;
    const impatient = caller(post("/v1/export", "{}"));
    await vi.waitFor(() => expect(operations.changesUnderWay).toBe(1), SOON_MS);
    impatient.destroy();
    await expectHonestCall();
    held.resolve();
    await vi.waitFor(() => expect(operations.changesUnderWay).toBe(0), SOON_MS);
    await expectHonestCall();
    expect(activeTimers()).toBeLessThanOrEqual(before);
  });

  test("to be answered, and gone, is not waited for", () => {
    vi.useFakeTimers();
    const connections = new Connections(ADMIN_LIMITS);
    const gone = new Socket().destroy();
    connections.beginAnswer(gone);
    connections.endAnswer(gone);
    const timers = vi.getTimerCount();
    vi.useRealTimers();
    expect([timers, gone.listenerCount("close")]).toEqual([0, 0]);
  });

  test("to follow events is dropped, and others are answered meanwhile", async () => {
    await start({ lastWordsMs: 200 });
    const deaf = Array.from({ length: ADMIN_LIMITS.watchersMax }, () =>
      caller(`GET ${WATCH_PATH} HTTP/1.1\r\nhost: localhost\r\n\r\n`).pause(),
    );
    await vi.waitFor(() => expect(operations.watcherCount).toBe(deaf.length), SOON_MS);
    const event = {
      t: "2026-01-31T12:00:00.000Z",
      event: "record-refused",
      trust_domain: null,
      message: "x".repeat(10_000),
    } as const;
    const before = process.memoryUsage().arrayBuffers;
    for (let told = 0; told < 500; told += 1) operations.tell(event);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * MIB);
    expect(operations.watcherCount).toBe(0);
    await expectHonestCall();
    for (const socket of deaf) socket.resume();
    await vi.waitFor(() => expect(deaf.every((socket) => socket.closed)).toBe(true), SOON_MS);
  });
});

describe("a caller who asks for much", () => {
  test("that comes often and says nothing ends no stream of events", async () => {
    await start();
    const watcher = caller(`GET ${WATCH_PATH} HTTP/1.1\r\nhost: localhost\r\n\r\n`).resume();
    await vi.waitFor(() => expect(operations.watcherCount).toBe(1), SOON_MS);
    await crowd(ADMIN_LIMITS.connectionsMax + 1);
    await expectHonestCall();
    expect(watcher.closed).toBe(false);
  });

  test.each([
    ["a read", "GET /v1/status HTTP/1.1\r\nhost: a\r\n\r\n", 1],
    [
      "a change",
      "POST /v1/forget HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
      8,
    ],
    ["what names no host", "GET /v1/status HTTP/1.1\r\n\r\n", 29],
  ])(
    "has one request a connection, as %s; what it piped behind is not parsed",
    async (_, one, most) => {
      await start();
      let parsed = 0;
      const onParsed = () => (parsed += 1);
      subscribe("http.server.request.start", onParsed);
      onTestFinished(() => void unsubscribe("http.server.request.start", onParsed));
      const answer = await said(one.repeat(500));
      expect(answer.match(/^HTTP\/1\.1 \d+/gm)).toHaveLength(1);
      expect(parsed).toBeLessThanOrEqual(most);
      await expectHonestCall();
    },
  );

  test("has sixteen changes under way; the next is BUSY, and reads go on", async () => {
    await start();
    const held = Promise.withResolvers<void>();
    operations.delay = held.promise;
    const changes = Array.from({ length: ADMIN_LIMITS.changesMax }, async () => {
      return await callAdmin(socketPath, "export", {});
    });
    await vi.waitFor(() => expect(operations.changesUnderWay).toBe(changes.length), SOON_MS);
    await expect(callAdmin(socketPath, "export", {})).rejects.toMatchObject({ code: "BUSY" });
    await expectHonestCall();
    held.resolve();
    await Promise.all(changes);
    expect((await callAdmin(socketPath, "export", {})).trust_domain).toBe("alpha.test");
  });
});

const NESTED = "[".repeat(100_000);

describe("what is no request of the API", () => {
  test.each<[string, string, string]>([
    ["bytes of another protocol", "\u0016\u0003\u0001\u0002\u0000\r\n\r\n", "400"],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"],
    ["a header without an end", `GET /v1/status HTTP/1.1\r\nx: ${"y".repeat(20_000)}`, "431"],
    ["a URL without an end", `GET /v1/bundles?trust_domain=${"y".repeat(20_000)}`, "431"],
    ["ten thousand headers", `GET / HTTP/1.1\r\n${"a: b\r\n".repeat(10_000)}\r\n`, "431"],
    ["two lengths", post("/v1/forget", "{}", "content-length: 3\r\n"), "400"],
    [
      "a length and chunks",
      `POST /v1/forget HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}`,
      "400",
    ],
    [
      "a chunk without a size",
      post("/v1/forget", "zz\r\n{}\r\n", "transfer-encoding: chunked\r\n"),
      "400",
    ],
    [
      "a chunk longer than it says",
      post("/v1/forget", "1\r\n{}xx\r\n0\r\n\r\n", "transfer-encoding: chunked\r\n"),
      "400",
    ],
    [
      "a chunk with a novel beside it",
      post("/v1/forget", `2;${"x".repeat(70_000)}`, "transfer-encoding: chunked\r\n"),
      "4",
    ],
    ["another encoding", post("/v1/forget", "{}", "transfer-encoding: gzip\r\n"), "400"],
    ["no host", "GET /v1/status HTTP/1.1\r\n\r\n", "400"],
    ["a path that is no path", "GET /%zz HTTP/1.1\r\nhost: x\r\n\r\n", "400"],
    ["a header with a line break", "GET / HTTP/1.1\r\nhost: x\r\na: b\n c\u0000\r\n\r\n", "400"],
  ])("%s is refused as the API refuses", async (_, bytes, status) => {
    await start();
    const answer = await said(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status}`));
    const body = answer.slice(answer.indexOf("\r\n\r\n") + 4);
    if (body.startsWith("{")) expect(codeIn(answer)).toBe("USAGE");
    expect(operations.partners.size).toBe(2);
    expect(defects).toEqual([]);
    await expectHonestCall();
  });

  test.each<[string, string]>([
    ["a body above the limit", post("/v1/import", `{"file":"${"x".repeat(300 * 1024)}"}`)],
    [
      "a body that says so",
      post("/v1/import", "", "x: 1\r\n").replace("length: 0", "length: 9999999"),
    ],
    [
      "a body above it in chunks",
      post(
        "/v1/import",
        `50000\r\n${"x".repeat(0x50000)}\r\n0\r\n\r\n`,
        "transfer-encoding: chunked\r\n",
      ),
    ],
    ["a deep array", post("/v1/forget", NESTED + "]".repeat(NESTED.length))],
    ["a deep array without an end", post("/v1/forget", NESTED)],
    [
      "a deep member",
      post("/v1/forget", `{"trust_domain":${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}}`),
    ],
    [
      "a poisoned prototype",
      post("/v1/forget", '{"trust_domain":"bravo.test","__proto__":{"a":1}}'),
    ],
    [
      "a poisoned prototype in escapes",
      post("/v1/forget", '{"trust_domain":"bravo.test","\\u005f_proto__":{"a":1}}'),
    ],
    [
      "a poisoned constructor",
      post("/v1/forget", '{"trust_domain":"bravo.test","constructor":{"prototype":{"a":1}}}'),
    ],
    [
      "a poisoned query",
      "GET /v1/bundles?__proto__[a]=1&constructor=2 HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
    ["a name twice", "GET /v1/bundles?trust_domain=a&trust_domain=b HTTP/1.1\r\nhost: x\r\n\r\n"],
    [
      "text for JSON",
      post("/v1/forget", '{"trust_domain":"bravo.test"}', "content-type: text/plain\r\n"),
    ],
    [
      "a form",
      post(
        "/v1/forget",
        "trust_domain=bravo.test",
        "content-type: application/x-www-form-urlencoded\r\n",
      ),
    ],
    [
      "a file of a form",
      post("/v1/forget", "--x--", "content-type: multipart/form-data; boundary=x\r\n"),
    ],
    ["a type that is none", post("/v1/forget", "{}", "content-type: ;;;\r\n")],
    ["no type at all", "POST /v1/forget HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"],
    ["a compressed body", post("/v1/forget", "\u001f\u008b", "content-encoding: gzip\r\n")],
    ["an array for a name", post("/v1/forget", '{"trust_domain":["bravo.test"]}')],
    ["a name with a line break", post("/v1/forget", '{"trust_domain":"bravo.test\\n"}')],
    ["numbers out of range", post("/v1/forget", '{"trust_domain":1e999}')],
  ])("%s is USAGE and changes nothing", async (_, bytes) => {
    await start();
    const answer = await said(bytes);
    expect([answer.slice(0, 12), codeIn(answer)]).toEqual(["HTTP/1.1 400", "USAGE"]);
    expect(operations.partners.size).toBe(2);
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(defects).toEqual([]);
    await expectHonestCall();
  });

  test.each([
    "GET /v1/../v1/status",
    "GET /v1/bundles/../../etc/passwd",
    "GET /v1/bundles/%2e%2e%2fstatus",
    "GET /v1/bundles/..%5c..%5cnode.key",
    "GET //v1/status",
    "GET /v1/status/",
    "GET /V1/STATUS",
    "GET /v1/status;x",
    "GET /v1/bundles/bravo.test\u0000",
    "HEAD /v1/status",
    `HEAD ${WATCH_PATH}`,
    `POST ${WATCH_PATH}`,
    "PUT /v1/forget",
    "DELETE /v1/forget",
    "OPTIONS /v1/forget",
    "TRACE /v1/status",
    "GET http://other.example/v1/forget",
    "QUERY /v1/forget",
  ])("%s does nothing", async (line) => {
    await start();
    const answer = await said(`${line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d/);
    expect(operations.watcherCount).toBe(0);
    expect(operations.partners.size).toBe(2);
    expect(defects).toEqual([]);
    await expectHonestCall();
  });

  test("CONNECT and upgrades to something else are not taken", async () => {
    await start();
    expect(await said("CONNECT localhost:1 HTTP/1.1\r\nhost: x\r\n\r\n")).toBe("");
    const upgrade = "connection: upgrade\r\nupgrade: h2c";
    const answer = await said(`GET /v1/status HTTP/1.1\r\nhost: x\r\n${upgrade}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 200/);
    await expectHonestCall();
  });

  test("HTTP/1.0 is answered and closed", async () => {
    await start();
    const answer = await said("GET /v1/status HTTP/1.0\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 200/);
    expect(answer).toMatch(/connection: close/i);
  });

  test("any bytes at all end in an answer of the API or a closed connection", async () => {
    await start({ requestDeadlineMs: 500 });
    const fragment = fc.constantFrom(
      "GET ",
      "POST ",
      "/v1/forget",
      "/v1/status",
      " HTTP/1.1",
      " HTTP/9.9",
      "\r\n",
      "\n",
      "\r\n\r\n",
      "host: x",
      "content-length: 5",
      "content-length: -1",
      "transfer-encoding: chunked",
      "5\r\nhello",
      "0\r\n\r\n",
      "content-type: application/json",
      '{"trust_domain":"bravo.test"',
      "expect: 100-continue",
      "connection: keep-alive",
      ": ",
      "\u0000",
    );
    const bytes = fc
      .array(fc.oneof(fragment, fragment, fc.string({ unit: "binary-ascii" })))
      .map((parts) => parts.join(""));
    await fc.assert(
      fc.asyncProperty(bytes, async (sent) => {
        const socket = caller();
        socket.end(sent);
        const answer = await heard(socket);
        expect(answer === "" || answer.startsWith("HTTP/1.1 ")).toBe(true);
      }),
      { numRuns: 150 },
    );
    expect(operations.partners.size).toBe(2);
    expect(defects).toEqual([]);
    await expectHonestCall();
  });
});

describe("what peers and files named", () => {
  test("comes as escapes, so that curl on a terminal shows no more than words", async () => {
    const hostile = "\u001b[2J\u202e\u2066\u200b\u2028\u009b\u007f";
    operations.failure = new Fault("DATA_INVALID", hostile);
    await start();
    const answer = await said("GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n");
    expect(answer.slice(answer.indexOf("{"))).toMatch(/^[\x20-\x7e]*$/);
    await expect(callAdmin(socketPath, "status", {})).rejects.toMatchObject({ message: hostile });
    operations.failure = undefined;

    const watcher = caller(`GET ${WATCH_PATH} HTTP/1.1\r\nhost: x\r\n\r\n`);
    await vi.waitFor(() => expect(operations.watcherCount).toBe(1), SOON_MS);
    const line = once(watcher, "data").then(async () => await once(watcher, "data"));
    await new Promise(setImmediate);
    const t = "2026-01-31T12:00:00.000Z";
    operations.tell({ t, event: "record-refused", trust_domain: null, message: hostile });
    expect(String((await line)[0]).replaceAll("\r\n", "")).toMatch(/^[\x20-\x7e\n]*$/);
  });
});

describe("the socket's place", () => {
  test("is refused where others could put a socket of theirs", async () => {
    await mkdir(join(directory, "open"));
    await chmod(join(directory, "open"), 0o777);
    socketPath = join(directory, "open", "admin.sock");
    await expect(start()).rejects.toMatchObject({ code: "NOT_ALLOWED" });
    server = undefined;
  });

  test("is refused where a link lies, dangling or not", async () => {
    await symlink(join(directory, "other.sock"), socketPath);
    await expect(start()).rejects.toMatchObject({ code: "CANNOT_CREATE" });
    server = undefined;
  });
});
