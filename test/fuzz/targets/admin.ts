/**
 * The admin API over its real socket, with partners in memory behind it. An input is what a client
 * writes; whatever it is, the answer is one of ours or the connection is closed, and nothing that was
 * refused changes a partner.
 */
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { ErrorReply } from "../../../src/admin-contract/error-reply.ts";
import { ROUTES } from "../../../src/admin-contract/routes.ts";
import { AdminServer } from "../../../src/admin/admin-server.ts";
import { OperationsInMemory, partner, recordFile } from "../../admin/operations-in-memory.ts";
import type { Random } from "../random.ts";
import { type Maker, type Outcome, type TargetSource, hold } from "../target.ts";

/** Who has not been answered by then said less than a request. */
const UNANSWERED_MS = 1_000;
const DEADLINE_MS = 10_000;

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

function request(
  method: string,
  path: string,
  body?: string | Uint8Array,
  type = "application/json",
): Uint8Array {
  const bytes = Buffer.from(body ?? "");
  const about =
    body === undefined ? "" : `content-type: ${type}\r\ncontent-length: ${bytes.length}\r\n`;
  const head = Buffer.from(`${method} ${path} HTTP/1.1\r\nhost: localhost\r\n${about}\r\n`);
  return Uint8Array.from(Buffer.concat([head, bytes]));
}

const post = (path: string, value: unknown): Uint8Array =>
  request("POST", path, JSON.stringify(value));

const KNOWN = "bravo.test";
const ID = "ab".repeat(32);
const file = recordFile("delta.test", 3n);
const content = Buffer.from(file.content).toString("base64");
const importOrder = { file: "delta.export", content, fingerprint: file.recordId };
const CHANGES = [
  [ROUTES.import.path, importOrder],
  [ROUTES.forget.path, { trust_domain: KNOWN }],
  [ROUTES.pin.path, { trust_domain: KNOWN, fingerprint: ID }],
] as const;

/** Values that no member of any body may have. */
const ODD: readonly unknown[] = [
  null,
  -1,
  1e308,
  "",
  " ",
  "A",
  "é",
  "\u0000",
  "\u202e",
  "../..",
  "!",
  {},
  { length: 1 },
  [[]],
  [null],
  "x".repeat(5_001), // No multiple of four, so no Base64 either.
];

function changed(random: Random, change: (body: Record<string, unknown>) => unknown): Uint8Array {
  const [path, body] = random.pick(CHANGES);
  return post(path, change({ ...body }));
}

const MEMBERS = ["content", "fingerprint", "trust_domain"];

const makers: readonly Maker[] = [
  ...CHANGES.map(([path, body]): Maker => ({
    name: `${path} right`,
    expected: ["taken"],
    make: () => post(path, body),
  })),
  {
    name: "a read",
    expected: ["taken"],
    make: (random) =>
      request(
        "GET",
        random.pick([
          "/v1/status",
          "/v1/healthcheck",
          "/v1/bundles",
          "/v1/bundles?trust_domain=bravo.test",
          "/v1/peers",
        ]),
      ),
  },
  {
    name: "an odd member",
    expected: ["USAGE"],
    make: (random) =>
      changed(random, (body) => {
        const present = MEMBERS.filter((each) => each in body);
        return { ...body, [random.pick(present)]: random.pick(ODD.filter((each) => each !== "")) };
      }),
  },
  {
    name: "a member missing",
    expected: ["USAGE"],
    make: (random) =>
      changed(random, (body) => {
        return Object.fromEntries(
          Object.entries(body).filter(([name]) => name !== "content" && name !== "trust_domain"),
        );
      }),
  },
  {
    name: "a member too many",
    expected: ["USAGE"],
    make: (random) =>
      changed(random, (body) => ({
        ...body,
        [random.pick(["x", "toString", "Trust_domain", ""])]: random.pick(ODD),
      })),
  },
  {
    name: "a member that would change what objects are",
    expected: ["USAGE"],
    make: (random) => {
      const evil = random.pick([
        '{"__proto__": {"replace": true}}',
        '{"constructor": {"prototype": {"a": 1}}}',
      ]);
      return request("POST", random.pick(CHANGES)[0], evil);
    },
  },
  {
    name: "a body that is no object",
    expected: ["USAGE"],
    make: (random) =>
      request(
        "POST",
        random.pick(CHANGES)[0],
        random.pick(["[]", "1", "true", '"x"', "[{}]", "null"]),
      ),
  },
  {
    name: "a body that is no JSON",
    expected: ["USAGE"],
    make: (random) =>
      request(
        "POST",
        random.pick(CHANGES)[0],
        random.pick(["{", "{]", "'x'", "\u0000", "{}{}", "NaN", "\ufeff"]),
      ),
  },
  {
    name: "a body that nests deep",
    expected: ["USAGE"],
    make: (random) => {
      const depth = random.pick([100, 10_000, 100_000]);
      const [open, close] = random.pick([
        ["[", "]"],
        ['{"a":', "}"],
      ] as const);
      const most = Math.min(depth, Math.floor(200_000 / (open.length + 1)));
      return request("POST", random.pick(CHANGES)[0], `${open.repeat(most)}1${close.repeat(most)}`);
    },
  },
  {
    name: "a body that is too long",
    expected: ["USAGE"],
    make: (random) => {
      const head = `content-type: application/json\r\ncontent-length: ${random.between(256 * 1_024 + 1, 2 ** 31)}`;
      return bytesOf(
        `POST ${random.pick(CHANGES)[0]} HTTP/1.1\r\nhost: localhost\r\n${head}\r\n\r\n{`,
      );
    },
  },
  {
    name: "a body of another kind",
    expected: ["USAGE"],
    make: (random) =>
      request(
        "POST",
        random.pick(CHANGES)[0],
        "a=b",
        random.pick([
          "text/html",
          "x",
          "application/x-www-form-urlencoded",
          "multipart/form-data; boundary=x",
        ]),
      ),
  },
  {
    name: "bytes that are no export file",
    expected: ["DATA_INVALID"],
    make: (random) =>
      post(ROUTES.import.path, {
        ...importOrder,
        content: Buffer.from(random.bytes(random.between(1, 90))).toString("base64"),
      }),
  },
  {
    name: "a damaged export file",
    expected: ["DATA_INVALID"],
    make: (random) =>
      post(ROUTES.import.path, {
        ...importOrder,
        content: Buffer.from(file.content.slice(0, random.below(file.content.length))).toString(
          "base64",
        ),
      }),
  },
  {
    name: "a partner that is none",
    expected: ["NOT_FOUND"],
    make: (random) =>
      random.oneIn(2)
        ? post(ROUTES.forget.path, {
            trust_domain: random.pick(["nobody.test", "__proto__", "constructor", ".."]),
          })
        : post(ROUTES.pin.path, { trust_domain: "toString".toLowerCase(), fingerprint: ID }),
  },
  {
    name: "a row of somebody else",
    expected: ["ROW_NOT_OURS"],
    make: () => {
      const taken = recordFile("taken.test", 1n);
      return post(ROUTES.import.path, {
        file: "x",
        content: Buffer.from(taken.content).toString("base64"),
        fingerprint: taken.recordId,
      });
    },
  },
  {
    name: "a route that is none",
    expected: ["NOT_BUILT"],
    make: (random) =>
      request(
        random.pick(["GET", "POST", "DELETE", "PUT"]),
        random.pick([
          "/",
          "/v2/status",
          "/v1/",
          "/v1/status/x",
          "//v1/status",
          "/v1/../v1/status",
          "/v1/%00",
          "/V1/status",
        ]),
      ),
  },
  {
    name: "an odd query",
    expected: ["USAGE"],
    make: (random) =>
      request(
        "GET",
        random.pick([
          "/v1/status?x=1",
          "/v1/bundles?trust_domain=A",
          "/v1/bundles?trust_domain=a&trust_domain=b",
          "/v1/bundles?__proto__=1",
          "/v1/bundles/show?trust_domain=bravo.test&format=der",
          "/v1/bundles/show",
        ]),
      ),
  },
];

export const adminTarget: TargetSource = {
  name: "admin",
  inputs: 4_000,
  open: async () => {
    const directory = mkdtempSync(join(tmpdir(), "spire-mesh-fuzz-"));
    const socketPath = join(directory, "admin.sock");
    const held = [partner(KNOWN), partner("charlie.test")];
    const operations = new OperationsInMemory(...held);
    const defects: unknown[] = [];
    const server = new AdminServer(
      { socketPath },
      { operations, onDefect: (error) => defects.push(error) },
    );
    await server.start();
    return {
      setting: {},
      valid: [...CHANGES.map(([path, body]) => post(path, body)), request("GET", "/v1/status")],
      makers,
      judge: async (input) => {
        operations.partners.clear();
        for (const each of held) operations.partners.set(each.trust_domain, each);
        const answer = await answerTo(socketPath, input);
        const [defect] = defects.splice(0);
        hold(defect === undefined, `no defect: ${String(defect)}`);
        const outcome = outcomeOf(answer);
        const now = [...operations.partners.values()];
        // What follows a whole request is refused in the place of its answer: it was carried out.
        const isAnswered = outcome === "taken" || bytesAfter(input) > 0;
        hold(isAnswered || isDeepStrictEqual(now, held), "what is refused changes nothing");
        return outcome;
      },
      stop: async () => {
        await server.stop();
        await rm(directory, { recursive: true });
      },
    };
  },
};

/** Everything that the server sends until it closes the connection. */
async function answerTo(socketPath: string, input: Uint8Array): Promise<string> {
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.on("error", () => undefined); // It may close before it has read all.
  const { promise: closed, resolve, reject } = Promise.withResolvers<unknown>();
  socket.once("close", resolve);
  const deadline = setTimeout(() => reject(new Error("neither answered nor closed")), DEADLINE_MS);
  socket.once("end", () => socket.end());
  socket.write(input);
  if (bytesAfter(input) < 0) socket.end();
  const impatience = setTimeout(() => socket.end(), UNANSWERED_MS);
  try {
    await closed;
  } finally {
    clearTimeout(impatience);
    clearTimeout(deadline);
    socket.destroy();
  }
  return Buffer.concat(chunks).toString("latin1");
}

/** How many bytes follow the first request; negative when it is not whole. */
function bytesAfter(input: Uint8Array): number {
  const text = Buffer.from(input).toString("latin1");
  const end = text.indexOf("\r\n\r\n");
  const head = text.slice(0, Math.max(end, 0));
  const [, length = "0"] = /content-length: ?(\d{1,10})/i.exec(head) ?? [];
  return end < 0 ? -1 : text.length - end - 4 - Number(length);
}

function outcomeOf(answer: string): Outcome {
  if (answer === "") return "closed";
  const [, status = ""] = /^HTTP\/1\.1 (\d{3}) /.exec(answer) ?? [];
  hold(status !== "", "what comes back is HTTP");
  hold(status !== "500", "the daemon does not fail");
  if (status === "200") return "taken";
  const body = answer.slice(answer.indexOf("\r\n\r\n") + 4);
  if (!body.startsWith("{")) return `http ${status}`;
  const error = ErrorReply.safeParse(JSON.parse(Buffer.from(body, "latin1").toString()));
  hold(error.success, "an error says its code, message and next step");
  return error.data.error.code;
}
