/** The client against daemons of another version, broken ones, and none. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type Server, createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { createServer as createRawServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { callAdmin, watchAdmin } from "../../src/admin-contract/client.ts";
import { Fault } from "../../src/fault.ts";
import { OperationsInMemory, partner } from "../admin/operations-in-memory.ts";

const STATUS = new OperationsInMemory(partner("bravo.test")).status();
const EVENT = { t: "2026-01-31T12:00:00.000Z", event: "peer-lost", trust_domain: null };

let directory: string;
let socketPath: string;
let server: Server | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spire-mesh-client-"));
  socketPath = join(directory, "admin.sock");
});

afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  await rm(directory, { recursive: true });
});

/** A daemon that answers everything so. */
async function answer(statusCode: number, body: string): Promise<void> {
  server = createServer((_request, response) => response.writeHead(statusCode).end(body));
  server.listen(socketPath);
  await once(server, "listening");
}

/** With a member that this version does not know, nested so deep. */
function withDeep(value: object, levels: number): string {
  const deep = "[".repeat(levels) + "]".repeat(levels);
  return JSON.stringify(value).replace(/^\{/, `{"deep":${deep},`);
}

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const error: unknown = await promise.then(
    () => new Error("it did not fail"),
    (error: unknown) => error,
  );
  if (error instanceof Fault) return error;
  throw error;
}

async function watchAll(): Promise<unknown[]> {
  const events: unknown[] = [];
  for await (const event of await watchAdmin(socketPath, new AbortController().signal)) {
    events.push(event);
  }
  return events;
}

describe("a newer daemon", () => {
  test("may answer with members that this version does not know", async () => {
    const newer = { ...STATUS, weather: "fine", node: { ...STATUS.node, region: "north" } };
    await answer(200, JSON.stringify(newer));
    expect(await callAdmin(socketPath, "status", {})).toEqual(newer);
  });

  test("may tell events that this version does not know", async () => {
    const event = { ...EVENT, event: "lease-ended", lease: "x" };
    await answer(200, `${JSON.stringify(event)}\n`);
    const stream = await watchAdmin(socketPath, new AbortController().signal);
    const { value } = await stream[Symbol.asyncIterator]().next();
    expect(value).toEqual(event);
  });

  test("may fail with a code that this version does not know", async () => {
    const error = { code: "MOON_WRONG", message: "The moon is wrong.", next: "Wait." };
    await answer(503, JSON.stringify({ error }));
    const fault = await faultOf(callAdmin(socketPath, "status", {}));
    expect([fault.code, fault.message, fault.advice]).toEqual([
      "DAEMON_FAILED",
      "MOON_WRONG: The moon is wrong.",
      "Wait.",
    ]);
  });

  test("cannot name a code that every object has", async () => {
    await answer(503, JSON.stringify({ error: { code: "toString", message: "x", next: "y" } }));
    expect((await faultOf(callAdmin(socketPath, "status", {}))).code).toBe("DAEMON_FAILED");
  });
});

describe("an answer that is none", () => {
  test.each([
    [200, ""],
    [200, "<html>"],
    [200, "{}"],
    [200, JSON.stringify({ ...STATUS, state: "dreaming" })],
    [200, JSON.stringify({ ...STATUS, started_at: "yesterday" })],
    [500, "{}"],
    [404, "not found"],
  ])("%i %s is a fault of the daemon", async (statusCode, body) => {
    await answer(statusCode, body);
    expect((await faultOf(callAdmin(socketPath, "status", {}))).code).toBe("DAEMON_FAILED");
  });

  test.each([
    ["an event without its name", `${JSON.stringify({ t: EVENT.t })}\n`, "DAEMON_FAILED"],
    ["a line without end", "x".repeat(100_000), "DAEMON_FAILED"],
    ["last words", '{"error":{"code":"BUSY","message":"x","next":"y"}}\n', "BUSY"],
    ["the end of the stream", `${JSON.stringify(EVENT)}\n`, "DAEMON_UNREACHABLE"],
  ])("in the stream: %s", async (_what, body, code) => {
    await answer(200, body);
    expect((await faultOf(watchAll())).code).toBe(code);
  });
});

describe("an answer nested deeper than the contract", () => {
  test.each([30, 100, 3_000, 30_000, 2_000_000])("by %i levels", async (levels) => {
    await answer(200, withDeep(STATUS, levels));
    const status = callAdmin(socketPath, "status", {});
    if (levels < 64) expect(await status).toMatchObject(STATUS);
    else expect((await faultOf(status)).code).toBe("DAEMON_FAILED");
  });

  test("in an error or an event", async () => {
    const error = { code: "BUSY", message: "x", next: "y" };
    await answer(503, withDeep({ error }, 30_000));
    expect((await faultOf(callAdmin(socketPath, "status", {}))).code).toBe("DAEMON_FAILED");
    server?.close();
    await answer(200, `${withDeep(EVENT, 30_000)}\n`);
    expect((await faultOf(watchAll())).code).toBe("DAEMON_FAILED");
  });
});

describe("a daemon that is not there", () => {
  test("is not reachable", async () => {
    expect((await faultOf(callAdmin(socketPath, "status", {}))).code).toBe("DAEMON_UNREACHABLE");
    expect((await faultOf(watchAll())).code).toBe("DAEMON_UNREACHABLE");
  });

  test("is told from something else that listens there", async () => {
    const other = createHttp2Server(); // As on SPIRE Server's API socket.
    other.listen(socketPath);
    await once(other, "listening");
    expect(await faultOf(callAdmin(socketPath, "status", {}))).toMatchObject({
      code: "DAEMON_UNREACHABLE",
      message: expect.stringContaining("Something else"),
      advice: expect.stringContaining("-config"),
    });
    other.close();
  });

  test("but something that switches protocols", async () => {
    const other = createRawServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => {
        socket.write("HTTP/1.1 101 x\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello");
      });
    });
    other.listen(socketPath);
    await once(other, "listening");
    expect((await faultOf(callAdmin(socketPath, "status", {}))).code).toBe("DAEMON_FAILED");
    expect((await faultOf(watchAll())).code).toBe("DAEMON_FAILED");
    other.close();
    await once(other, "close"); // When every connection of it has ended.
  });

  test("any more when half of its answer has come", async () => {
    const mute = createRawServer((socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"));
    });
    mute.listen(socketPath);
    await once(mute, "listening");
    expect((await faultOf(callAdmin(socketPath, "status", {}))).code).toBe("DAEMON_UNREACHABLE");
    mute.close();
  });
});

test("a request that the daemon would refuse is not sent", async () => {
  const request = { trust_domain: "Bravo.test" };
  expect((await faultOf(callAdmin(socketPath, "forget", request))).code).toBe("USAGE");
});
