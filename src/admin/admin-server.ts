/**
 * The admin API over a Unix socket that is the daemon's user's alone from its first moment: who can
 * open it may change trust. Requests and answers are checked against the schemas of admin-contract;
 * a `Fault` becomes its JSON. It decides nothing: see `Operations`.
 */
import type { Socket } from "node:net";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import {
  hasZodFastifySchemaValidationErrors,
  serializerCompiler,
  validatorCompiler,
} from "fastify-type-provider-zod";
import type { ErrorReply } from "../admin-contract/error-reply.ts";
import { ROUTES, type Route, type RouteName, WATCH_PATH } from "../admin-contract/routes.ts";
import { Fault } from "../fault.ts";
import { escapeJson } from "../printable.ts";
import { takeOneRequest } from "../telemetry/one-request.ts";
import { Connections } from "./connections.ts";
import { type Handlers, handlersOf } from "./handlers.ts";
import { ADMIN_LIMITS, type AdminLimits } from "./limits.ts";
import type { Operations } from "./operations.ts";
import { SocketPath } from "./socket-path.ts";
import { Watchers } from "./watchers.ts";

export interface AdminServerOptions {
  readonly socketPath: string;
  /** Others than the usual ones. */
  readonly limits?: Partial<AdminLimits>;
}

export interface AdminServerPorts {
  readonly operations: Operations;
  /** An operation broke a promise of its own: the caller was told `DAEMON_FAILED`. */
  onDefect(error: unknown): void;
}

/** How often Node looks at the deadline of requests; its own half minute is longer than that. */
const DEADLINE_CHECK_MS = 1_000;
/** What is under way at the stop may end; the daemon has 5 s in all. */
const STOP_GRACE_MS = 1_000;

export class AdminServer {
  readonly #path: SocketPath;
  readonly #watchers: Watchers;
  readonly #app: FastifyInstance;

  constructor(options: AdminServerOptions, ports: AdminServerPorts) {
    this.#path = new SocketPath(options.socketPath);
    const limits = { ...ADMIN_LIMITS, ...options.limits };
    this.#watchers = new Watchers(limits, ports.operations);
    this.#app = buildApp(limits, ports, this.#watchers);
  }

  /** Listens. Throws `ALREADY_RUNNING` or `CANNOT_CREATE`. */
  async start(): Promise<void> {
    await this.#app.ready();
    await this.#path.listen(this.#app.server);
  }

  /** Ends the streams, lets calls under way end for a second, and removes the socket. */
  async stop(): Promise<void> {
    this.#watchers.stop();
    await this.#path.remove();
    const force = setTimeout(() => this.#app.server.closeAllConnections(), STOP_GRACE_MS);
    await this.#app.close();
    clearTimeout(force);
  }
}

function buildApp(
  limits: AdminLimits,
  ports: AdminServerPorts,
  watchers: Watchers,
): FastifyInstance {
  const { requestDeadlineMs, headerBytesMax, bodyBytesMax } = limits;
  const app = fastify({
    http: {
      maxHeaderSize: headerBytesMax,
      requestTimeout: requestDeadlineMs,
      headersTimeout: requestDeadlineMs,
      connectionsCheckingInterval: Math.min(DEADLINE_CHECK_MS, requestDeadlineMs),
    },
    requestTimeout: requestDeadlineMs,
    bodyLimit: bodyBytesMax,
    return503OnClosing: false, // Operations say that the daemon stops, in the API's own words.
    exposeHeadRoutes: false, // HEAD of the stream of events would hold a watcher's place.
    clientErrorHandler: refuseUnreadable,
    frameworkErrors: (error, { raw }) => refuseUnreadable(error, raw.socket), // A path such as `%`.
  });
  app.removeContentTypeParser("text/plain");
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(async (error, _request, reply) => await answerError(error, reply, ports));
  app.setNotFoundHandler(({ method, url }) => {
    throw new Fault("NOT_BUILT", `The admin API has no ${method} ${url.split("?", 1)[0]}.`);
  });
  const connections = new Connections(limits);
  const onConnection = connections.add.bind(connections);
  takeOneRequest(app.server, { bodies: true, onConnection }); // As our client does it.
  app.addHook("preHandler", async ({ raw }) => connections.beginAnswer(raw.socket));
  // The one way out of answers. They carry what peers and files named as it is, but as escapes:
  // whoever asks with curl sees it on a terminal.
  app.addHook("onSend", async ({ raw }, reply, payload) => {
    connections.endAnswer(raw.socket);
    reply.header("connection", "close"); // Said by Node too, but only this makes it close.
    return typeof payload === "string" ? escapeJson(payload) : payload;
  });
  const handlers = handlersOf(ports.operations);
  const changes = { underWay: 0, max: limits.changesMax };
  for (const name of Object.keys(ROUTES) as RouteName[])
    addRoute(app, ROUTES[name], handlers[name], changes);
  app.get(WATCH_PATH, (_request, reply) => {
    watchers.checkRoom();
    reply.hijack();
    watchers.add(reply.raw);
  });
  return app;
}

function addRoute(
  app: FastifyInstance,
  route: Route,
  handler: Handlers[RouteName],
  changes: { underWay: number; readonly max: number },
): void {
  const { method, path, request, reply } = route;
  const response = { 200: reply };
  // The validator gave the request the shape that this route's handler takes.
  const handle = handler as (request: unknown) => unknown;
  const change = async (order: unknown): Promise<unknown> => {
    if (changes.underWay >= changes.max) {
      throw new Fault("BUSY", `There are ${changes.max} changes under way already.`);
    }
    changes.underWay += 1;
    try {
      return await handle(order);
    } finally {
      changes.underWay -= 1;
    }
  };
  app.route({
    method,
    url: path,
    schema: method === "GET" ? { querystring: request, response } : { body: request, response },
    // A change that asks for nothing may come without a body, as from `curl -X POST`.
    preValidation: async (incoming: FastifyRequest) => {
      incoming.body ??= {};
    },
    handler: async (incoming) =>
      method === "GET" ? await handle(incoming.query) : await change(incoming.body),
  });
}

const STATUS_OF_UNREADABLE: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
};

/** Bytes that are no HTTP request, or not in time: there is no request that could be answered. */
function refuseUnreadable(error: Error & { readonly code?: string }, socket: Socket): void {
  const { code = "" } = error;
  const status = STATUS_OF_UNREADABLE[code] ?? "400 Bad Request";
  const body = JSON.stringify(jsonOf(new Fault("USAGE", `No HTTP request was read: ${status}.`)));
  const headers = `content-type: application/json\r\ncontent-length: ${body.length}`;
  const isOpen = socket.writable && code !== "ECONNRESET";
  if (isOpen) socket.write(`HTTP/1.1 ${status}\r\nconnection: close\r\n${headers}\r\n\r\n${body}`);
  socket.destroy();
}

/** The HTTP status says the same as the exit code that the CLI ends with. */
const STATUS_BY_EXIT_CODE: Readonly<Record<number, number>> = {
  1: 404,
  64: 400,
  65: 422,
  69: 503,
  77: 403,
};

async function answerError(
  error: unknown,
  reply: FastifyReply,
  ports: AdminServerPorts,
): Promise<ErrorReply> {
  const fault = faultOf(error);
  if (fault === undefined) {
    ports.onDefect(error);
    reply.code(500);
    return jsonOf(new Fault("DAEMON_FAILED", "The daemon failed at this; its log says why."));
  }
  reply.code(STATUS_BY_EXIT_CODE[fault.exitCode] ?? 500);
  return jsonOf(fault);
}

function jsonOf({ code, message, advice }: Fault): ErrorReply {
  return { error: { code, message, next: advice } };
}

/** What the caller did wrong or our world refused; undefined for a defect of ours. */
function faultOf(error: unknown): Fault | undefined {
  if (error instanceof Fault) return error;
  if (hasZodFastifySchemaValidationErrors(error)) {
    const problems = error.validation.map(({ instancePath, message }) => {
      const at = instancePath.slice(1).replaceAll("/", ".");
      return at === "" ? message : `${at}: ${message}`;
    });
    return new Fault("USAGE", problems.join("; "));
  }
  // fastify's own refusals: not JSON, too long, another media type.
  const isRefusal =
    error instanceof Error && "statusCode" in error && Number(error.statusCode) < 500;
  return isRefusal ? new Fault("USAGE", error.message, { cause: error }) : undefined;
}
