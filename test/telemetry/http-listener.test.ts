/** The monitoring listeners, over real sockets. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { HttpListener, type Pages } from "../../src/telemetry/http-listener.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import {
  type SubsystemHealth,
  healthPages,
  metricsPages,
} from "../../src/telemetry/monitoring-pages.ts";

/** The listener's own deadline of 5 s, looked at every second, on a busy machine. */
const REQUEST_DEADLINE_MAX_MS = 20_000;
const CONNECTIONS_MAX = 64;

async function started(pages: Pages, lines: string[] = []): Promise<HttpListener> {
  const log = createLogger({
    level: "debug",
    format: "text",
    destination: { write: (line) => void lines.push(line) },
  });
  const listener = new HttpListener({ host: "127.0.0.1", port: 0 }, pages, log);
  await listener.start();
  onTestFinished(async () => await listener.stop());
  return listener;
}

const health = (
  spire: SubsystemHealth,
  store: SubsystemHealth = { isLive: true, isReady: true, details: {} },
): Pages => healthPages(() => new Map(Object.entries({ spire, store })));

describe("GET /metrics", () => {
  test("answers in Prometheus' text format", async () => {
    const metrics = createMetrics({
      isSpireUp: () => true,
      connectedPeers: () => 2,
      graylistedPeers: () => 0,
      edgeCounts: () => ({
        connection_refused: 0,
        connection_cut_off: 0,
        message_over_budget: 0,
        message_overload: 0,
      }),
      findings: () => [],
      ownSequenceNumber: () => undefined,
      rowProvenEqualAgeS: () => [],
    });
    const { port } = await started(metricsPages(metrics));
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(await response.text()).toContain("\nspire_mesh_connected_peers 2\n");
  });
});

describe("GET /live and /ready", () => {
  test.each<[string, boolean, boolean, number, number]>([
    ["is well", true, true, 200, 200],
    ["waits for something", true, false, 200, 500],
    ["is beyond help", false, false, 500, 500],
  ])("when a subsystem %s", async (_, isLive, isReady, live, ready) => {
    const details = { state: "away", since: "2026-11-21T09:00:00.000Z" };
    const { port } = await started(health({ isLive, isReady, details }));
    const answers = await Promise.all(
      ["live", "ready"].map(async (path) => await fetch(`http://127.0.0.1:${port}/${path}`)),
    );
    expect(answers.map(({ status }) => status)).toEqual([live, ready]);
    expect(answers[1]?.headers.get("content-type")).toBe("application/json");
    expect(await answers[1]?.json()).toEqual({ spire: details, store: {} });
  });

  test("answers HEAD with the same status and no body", async () => {
    const { port } = await started(health({ isLive: true, isReady: false, details: {} }));
    const response = await fetch(`http://127.0.0.1:${port}/ready?verbose`, { method: "HEAD" });
    expect(response.status).toBe(500);
    expect(await response.text()).toBe("");
  });
});

describe("a monitoring listener", () => {
  test.each([
    ["GET", "/", 404],
    ["GET", "/metrics", 404],
    ["GET", "//ready", 404],
    ["POST", "/ready", 405],
    ["DELETE", "/live", 405],
  ])("answers %s %s with %i", async (method, path, status) => {
    const { port } = await started(health({ isLive: true, isReady: true, details: {} }));
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
    expect(response.status).toBe(status);
  });

  test("answers 500 without a word when a page fails, and logs why", async () => {
    const lines: string[] = [];
    const { port } = await started(new Map([["/metrics", failingPage]]), lines);
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    expect(response.status).toBe(500);
    expect(await response.text()).toBe("");
    expect(lines.join("")).toContain("collect went wrong");
  });

  test("on a port in use is CANNOT_CREATE, and can still be stopped", async () => {
    const { port } = await started(new Map());
    const log = createLogger({ level: "error", format: "text" });
    const second = new HttpListener({ host: "127.0.0.1", port }, new Map(), log);
    await expect(second.start()).rejects.toMatchObject({
      code: "CANNOT_CREATE",
      message: expect.stringContaining("EADDRINUSE"),
      details: { port },
    });
    await second.stop();
  });

  test("on an address of another host is CANNOT_CREATE", async () => {
    const log = createLogger({ level: "error", format: "text" });
    const listener = new HttpListener({ host: "192.0.2.1", port: 0 }, new Map(), log);
    await expect(listener.start()).rejects.toMatchObject({ code: "CANNOT_CREATE" });
  });

  test("answers a probe while hundreds hold connections and say nothing", async () => {
    const { port } = await started(health({ isLive: true, isReady: true, details: {} }));
    for (let round = 0; round < 5; round += 1) {
      const idle = Array.from({ length: 2 * CONNECTIONS_MAX }, () => open(port));
      await Promise.all(idle.map(async (socket) => await once(socket, "connect")));
      expect((await fetch(`http://127.0.0.1:${port}/ready`)).status).toBe(200);
    }
  });

  test("does not end an answer that takes long for connections that say nothing", async () => {
    const { promise: made, resolve } = Promise.withResolvers<void>();
    const { promise: asked, resolve: onAsked } = Promise.withResolvers<void>();
    const page = async () => {
      onAsked();
      await made;
      return { status: 200, contentType: "text/plain", body: "page" } as const;
    };
    const { port } = await started(new Map([["/metrics", page]]));
    const answer = fetch(`http://127.0.0.1:${port}/metrics`);
    await asked;
    const idle = Array.from({ length: 2 * CONNECTIONS_MAX }, () => open(port));
    await Promise.all(idle.map(async (socket) => await once(socket, "connect")));
    await fetch(`http://127.0.0.1:${port}/`); // All of those were accepted by now.
    resolve();
    expect((await answer).status).toBe(200);
  });

  test.each([
    ["a request", "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n", 1, ["200 OK"]],
    ["none", "GET /metrics HTTP/1.1\r\n\r\n", 29, ["400 Bad Request"]],
    [
      "an expectation",
      "GET / HTTP/1.1\r\nhost: a\r\nexpect: b\r\n\r\n",
      1,
      ["417 Expectation Failed"],
    ],
    ["empty lines", "\r\n\r\nGET /metrics HTTP/1.1\r\nhost: a\r\n\r\n", 29, ["200 OK"]],
  ])("does nothing for what is piped behind %s", async (_, piped, most, expected) => {
    let parsed = 0;
    const onParsed = () => (parsed += 1);
    subscribe("http.server.request.start", onParsed);
    onTestFinished(() => void unsubscribe("http.server.request.start", onParsed));
    const page = { status: 200, contentType: "text/plain", body: "page" } as const;
    const { port } = await started(new Map([["/metrics", () => page]]));
    const socket = open(port);
    const answers = text(socket);
    for (let write = 0; write < 10; write += 1) {
      await new Promise((resolve) => socket.write(piped.repeat(50), resolve));
    }
    const lines = (await answers).match(/(?<=^HTTP\/1\.1 ).*$/gm);
    expect(lines?.map((line) => line.trimEnd())).toEqual(expected);
    expect(parsed).toBeLessThanOrEqual(most);
  });

  test("answers one request a connection", async () => {
    let made = 0;
    const page = () => {
      made += 1;
      return { status: 200, contentType: "text/plain", body: "page" } as const;
    };
    const { port } = await started(new Map([["/metrics", page]]));
    const socket = open(port);
    const answers = text(socket);
    socket.write("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n".repeat(200));
    expect((await answers).match(/^HTTP\/1\.1 .*$/gm)).toEqual(["HTTP/1.1 200 OK"]);
    expect(made).toBe(1);
  });

  test("answers a caller that says at once that it has no more to say", async () => {
    const { port } = await started(health({ isLive: true, isReady: true, details: {} }));
    const socket = open(port);
    socket.end("GET /live HTTP/1.1\r\nhost: a\r\n\r\n");
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  test("reads a request that comes byte by byte", async () => {
    const { port } = await started(health({ isLive: true, isReady: true, details: {} }));
    const socket = open(port).setNoDelay();
    const answer = text(socket);
    for (const byte of "GET /live HTTP/1.1\r\nhost: a\r\n\r\nGET /") {
      await new Promise((resolve) => socket.write(byte, resolve));
    }
    expect(await answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  test("shows what SPIRE or a peer named as JSON with escapes", async () => {
    const details = { last_error: "\u001b[2J\u202e\u2028\u009b" };
    const { port } = await started(health({ isLive: true, isReady: true, details }));
    const body = await (await fetch(`http://127.0.0.1:${port}/ready`)).text();
    expect(body).toMatch(/^[\x20-\x7e]*\n$/);
    expect(JSON.parse(body)).toMatchObject({ spire: details });
  });

  test("refuses a request with a header of 16 KiB", async () => {
    const { port } = await started(health({ isLive: true, isReady: true, details: {} }));
    const headers = { "x-filler": "x".repeat(16 * 1024) };
    const response = await fetch(`http://127.0.0.1:${port}/ready`, { headers });
    expect(response.status).toBe(431);
  });

  test("closes connections above 64 and keeps serving the others", async () => {
    const { port } = await started(health({ isLive: true, isReady: true, details: {} }));
    const sockets = Array.from({ length: CONNECTIONS_MAX + 6 }, () => open(port));
    const { promise: sixGone, resolve } = Promise.withResolvers<void>();
    let left = 6;
    for (const socket of sockets) {
      socket.resume().on("close", () => {
        left -= 1;
        if (left === 0) resolve();
      });
    }
    await sixGone;
    const kept = sockets.filter((socket) => !socket.closed);
    expect(kept).toHaveLength(CONNECTIONS_MAX);
    const answers = kept.map(async (socket) => {
      socket.write("GET /live HTTP/1.1\r\nHost: a\r\n\r\n");
      return String((await once(socket, "data"))[0]);
    });
    expect((await Promise.all(answers)).every((answer) => answer.includes("200 OK"))).toBe(true);
  });

  test(
    "closes a connection that never ends its request",
    { timeout: REQUEST_DEADLINE_MAX_MS },
    async () => {
      const { port } = await started(health({ isLive: true, isReady: true, details: {} }));
      const socket = open(port);
      socket.write("GET /live HTTP/1.1\r\n");
      await gone(socket);
    },
  );

  test("stops at once with connections open, and frees its port", async () => {
    const listener = await started(health({ isLive: true, isReady: true, details: {} }));
    const { port } = listener;
    const socket = open(port);
    await once(socket, "connect");
    await listener.stop();
    await gone(socket);
    const log = createLogger({ level: "error", format: "text" });
    const next = new HttpListener({ host: "127.0.0.1", port }, new Map(), log);
    await next.start();
    await next.stop();
  });
});

async function failingPage(): Promise<never> {
  throw new Error("collect went wrong");
}

function open(port: number): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  return socket;
}

async function gone(socket: Socket): Promise<void> {
  socket.resume();
  if (!socket.closed) await once(socket, "close");
}
