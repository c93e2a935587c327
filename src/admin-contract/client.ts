/**
 * The admin API's client, over the daemon's Unix socket: one connection a call, a deadline on each,
 * a limit on what it reads. Answers are checked and given out as they came, so that members which a
 * newer daemon adds stay in them.
 */
import { once } from "node:events";
import { type IncomingMessage, request as httpRequest } from "node:http";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import type { z } from "zod";
import { FAULTS, Fault, type FaultCode } from "../fault.ts";
import { ErrorReply } from "./error-reply.ts";
import {
  ROUTES,
  type ReplyOf,
  type RequestOf,
  type Route,
  type RouteName,
  WATCH_PATH,
} from "./routes.ts";
import { WatchEvent } from "./watch-event.ts";

/** 10,000 trust domains with 20 authorities each take less. Above: not read on. */
const REPLY_BYTES_MAX = 64 * 1024 * 1024;
/** One event names a few ids. Above: the stream is no stream of events. */
const EVENT_LENGTH_MAX = 64 * 1024;
/** Nothing in the contract has ten. Above: refused; `JSON.stringify` ends at 4,000 (measured). */
const NESTING_MAX = 64;
/** Until `watch` is answered; the stream itself has no end. */
const WATCH_DEADLINE_MS = 10_000;

/**
 * Calls one route. Throws the daemon's own `Fault`, `USAGE` for a request that it would refuse,
 * `DAEMON_UNREACHABLE`, `NOT_ALLOWED` (the socket is another user's) or `DAEMON_FAILED`.
 */
export async function callAdmin<Name extends RouteName>(
  socketPath: string,
  name: Name,
  request: RequestOf<Name>,
): Promise<ReplyOf<Name>> {
  const route: Route = ROUTES[name];
  const checked = route.request.safeParse(request);
  if (!checked.success) throw new Fault("USAGE", describeIssues(checked.error.issues));
  const signal = AbortSignal.timeout(route.deadlineMs);
  const answer = await overSocket(socketPath, async () => {
    const response = await send(socketPath, route, request, signal);
    return { statusCode: response.statusCode, body: await readBody(response) };
  });
  const body = readJson(answer.body);
  if (answer.statusCode !== 200) throw readFault(body);
  const reply = route.reply.safeParse(body);
  if (!reply.success) throw strangeAnswer(describeIssues(reply.error.issues));
  return body as ReplyOf<Name>; // The schemas transform nothing, so what was checked is the reply.
}

/**
 * Opens the stream of events; resolves when the daemon has taken the watcher in. The stream ends
 * quietly when `signal` aborts, and with a `Fault` when the daemon ends it.
 */
export async function watchAdmin(
  socketPath: string,
  signal: AbortSignal,
): Promise<AsyncIterable<WatchEvent>> {
  const opening = new AbortController();
  const timer = setTimeout(() => {
    opening.abort(new DOMException("no answer", "TimeoutError"));
  }, WATCH_DEADLINE_MS);
  try {
    return await overSocket(socketPath, async () => {
      const either = AbortSignal.any([signal, opening.signal]);
      const response = await send(socketPath, { method: "GET", path: WATCH_PATH }, {}, either);
      if (response.statusCode !== 200) throw readFault(readJson(await readBody(response)));
      return readEvents(socketPath, response, signal);
    });
  } finally {
    clearTimeout(timer);
  }
}

/** What is wrong with a request or an answer, in one line. */
function describeIssues(issues: readonly z.core.$ZodIssue[]): string {
  return issues
    .map(({ path, message }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`))
    .join("; ");
}

async function send(
  socketPath: string,
  route: Pick<Route, "method" | "path">,
  request: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const outgoing = httpRequest({
    socketPath,
    method: route.method,
    path: route.method === "GET" ? `${route.path}${queryOf(request)}` : route.path,
    headers: { host: "localhost", "content-type": "application/json", connection: "close" },
    signal,
  });
  outgoing.end(route.method === "GET" ? undefined : JSON.stringify(request));
  const answered = Promise.race([once(outgoing, "response"), once(outgoing, "upgrade")]);
  const [response, upgraded] = (await answered) as [IncomingMessage, Duplex?];
  outgoing.on("error", () => undefined); // From here on the response tells of what goes wrong.
  if (upgraded !== undefined) {
    upgraded.destroy();
    throw strangeAnswer("it switches to another protocol");
  }
  return response;
}

function queryOf(request: Readonly<Record<string, unknown>>): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(request)) {
    if (typeof value === "string") query.set(key, value); // No read asks for anything else.
  }
  return query.size === 0 ? "" : `?${query}`;
}

async function readBody(response: IncomingMessage): Promise<string> {
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > REPLY_BYTES_MAX) response.destroy(strangeAnswer("it is too long"));
  });
  return await text(response);
}

async function* readEvents(
  socketPath: string,
  response: IncomingMessage,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent, void> {
  response.setEncoding("utf8");
  let rest = "";
  try {
    for await (const chunk of response as AsyncIterable<string>) {
      const lines = `${rest}${chunk}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) yield readEvent(line);
      if (rest.length > EVENT_LENGTH_MAX) throw strangeAnswer("an event is too long");
    }
  } catch (error) {
    if (signal.aborted) return;
    throw error instanceof Fault ? error : socketFault(socketPath, error);
  }
  if (!signal.aborted) {
    throw new Fault("DAEMON_UNREACHABLE", "The daemon has stopped and ended the stream.");
  }
}

function readEvent(line: string): WatchEvent {
  const value = readJson(line);
  const event = WatchEvent.safeParse(value);
  if (event.success) return value as WatchEvent;
  throw readFault(value);
}

function readJson(body: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (error) {
    throw strangeAnswer("it is not JSON", error);
  }
  if (isDeeperThan(NESTING_MAX, value)) throw strangeAnswer("it is nested too deep");
  return value;
}

function isDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeperThan(levels - 1, member));
}

/** The daemon's fault as it was thrown there, code and advice included. */
function readFault(body: unknown): Fault {
  const reply = ErrorReply.safeParse(body);
  if (!reply.success) return strangeAnswer("it is no error that the admin API has");
  const { code, message, next } = reply.data.error;
  if (isFaultCode(code)) return new Fault(code, message, { advice: next });
  return new Fault("DAEMON_FAILED", `${code}: ${message}`, { advice: next });
}

function isFaultCode(code: string): code is FaultCode {
  return Object.hasOwn(FAULTS, code);
}

function strangeAnswer(problem: string, cause?: unknown): Fault {
  return new Fault("DAEMON_FAILED", `The daemon's answer cannot be read: ${problem}.`, { cause });
}

/** Runs one exchange and says in a `Fault` what the socket made of it. */
async function overSocket<Value>(
  socketPath: string,
  exchange: () => Promise<Value>,
): Promise<Value> {
  try {
    return await exchange();
  } catch (error) {
    throw error instanceof Fault ? error : socketFault(socketPath, error);
  }
}

function socketFault(socketPath: string, cause: unknown): Fault {
  const error = cause instanceof Error ? cause : new Error(String(cause));
  const code = "code" in error ? String(error.code) : "";
  if (code === "ENOENT" || code === "ECONNREFUSED") {
    return new Fault("DAEMON_UNREACHABLE", `No daemon listens on ${socketPath}.`, { cause });
  }
  if (code === "EAGAIN") {
    return new Fault("BUSY", `Too many are calling on ${socketPath}.`, { cause });
  }
  if (code === "EACCES" || code === "EPERM") {
    return new Fault("NOT_ALLOWED", `This user may not open ${socketPath}.`, { cause });
  }
  if (error.name === "AbortError" || error.name === "TimeoutError") {
    const advice = "Try again, then look at the daemon's log.";
    const message = `The daemon on ${socketPath} did not answer in time.`;
    return new Fault("DAEMON_UNREACHABLE", message, { advice, cause });
  }
  if (code.startsWith("HPE_")) {
    const advice = "Name the daemon's admin socket with -socketPath, or its -config FILE.";
    const message = `Something else than spire-mesh listens on ${socketPath}.`;
    return new Fault("DAEMON_UNREACHABLE", message, { advice, cause });
  }
  const message = `The connection to ${socketPath} broke: ${error.message}.`;
  return new Fault("DAEMON_UNREACHABLE", message, { cause });
}
