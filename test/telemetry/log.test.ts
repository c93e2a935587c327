/** What an operator reads: SPIRE's form, nothing that a terminal obeys, no secrets. */
import { spawnSync } from "node:child_process";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import process from "node:process";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fault } from "../../src/fault.ts";
import { type LogLevel, type Logger, createLogger } from "../../src/telemetry/log.ts";

function logInto(
  lines: string[],
  format: "text" | "json" = "json",
  level: LogLevel = "debug",
): Logger {
  return createLogger({ level, format, destination: { write: (line) => void lines.push(line) } });
}

/** The one line that `use` writes, as an object. */
function lineOf(use: (log: Logger) => void): Record<string, unknown> {
  const lines: string[] = [];
  use(logInto(lines));
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? "") as Record<string, unknown>;
}

const TERMINAL_ORDERS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

describe("a log line", () => {
  test("never holds what a terminal obeys, whatever is logged", () => {
    const hostile = fc.oneof(
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.constantFrom(
        "\u001b[2J",
        "a\nlevel=error",
        "\u202egnp.exe",
        "\u2066x\u2069",
        "\u0000",
        "\ud800",
      ),
    );
    fc.assert(
      fc.property(hostile, hostile, hostile, (message, value, subsystem) => {
        for (const format of ["text", "json"] as const) {
          const lines: string[] = [];
          const log = logInto(lines, format).child(subsystem);
          log.info({ value, list: [value], error: new Error(value) }, message);
          expect(lines).toHaveLength(1);
          expect(lines[0]?.endsWith("\n")).toBe(true);
          expect(lines[0]?.slice(0, -1)).not.toMatch(TERMINAL_ORDERS);
          expect(lines[0]?.isWellFormed()).toBe(true);
        }
      }),
    );
  });

  test("in text looks as SPIRE's do", () => {
    const lines: string[] = [];
    const fields = { trust_domain_id: "bravo.test", sequence_number: 7n, detail: 'said "no"' };
    logInto(lines, "text").child("spire").warn(fields, "Bundle was not written");
    const rest = String.raw`level=warning msg="Bundle was not written" detail="said \"no\"" sequence_number=7 subsystem_name=spire trust_domain_id=bravo.test`;
    expect(lines[0]?.replace(/^time="[^"]+" /, "")).toBe(`${rest}\n`);
    expect(lines[0]).toMatch(/^time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z" /);
  });

  test("in json has the same names", () => {
    const line = lineOf((log) => log.child("p2p").info({ peer_id: "12D3" }, "Peer connected"));
    expect(line).toEqual({
      time: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/),
      level: "info",
      msg: "Peer connected",
      peer_id: "12D3",
      subsystem_name: "p2p",
    });
  });

  test("is written from the chosen level on", () => {
    const lines: string[] = [];
    const log = logInto(lines, "json", "warn");
    log.debug({}, "Not shown");
    log.info({}, "Not shown");
    log.child("spire").info({}, "Not shown");
    log.warn({}, "Shown");
    log.error({}, "Shown");
    expect(lines).toHaveLength(2);
  });

  test("keeps time, level and message apart from fields of that name", () => {
    const line = lineOf((log) => log.info({ time: 1, level: "x", msg: "y" }, "Record accepted"));
    expect(line).toMatchObject({ msg: "Record accepted", level: "info", "fields.level": "x" });
  });

  test("keeps all digits of a 64-bit number", () => {
    const line = lineOf((log) => log.info({ sequence_number: 2n ** 64n - 1n }, "Record accepted"));
    expect(line["sequence_number"]).toBe("18446744073709551615");
  });

  test("tells an error with its causes, a fault with code and advice, a bug with its stack", () => {
    const cause = new Error("connect ENOENT");
    const fault = new Fault("SPIRE_UNREACHABLE", "the bundle was not read", {
      details: { socket: "/tmp/a.sock" },
      cause,
    });
    expect(lineOf((log) => log.warn({ error: fault }, "SPIRE Server is away"))).toMatchObject({
      error: "the bundle was not read: connect ENOENT",
      code: "SPIRE_UNREACHABLE",
      next: fault.advice,
      socket: "/tmp/a.sock",
    });
    const bug = lineOf((log) => log.error({ error: new TypeError("not a function") }, "Bug"));
    expect(bug).toMatchObject({ error: "not a function", stack: expect.stringContaining("at ") });
  });

  test("is cut off where a value is a flood", () => {
    const line = lineOf((log) => log.info({ reason: "x".repeat(1_000_000) }, "Record refused"));
    expect(String(line["reason"]).length).toBeLessThan(5_000);
  });
});

describe("secrets", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = String(privateKey.export({ format: "pem", type: "pkcs8" }));
  const jwkPart = String(privateKey.export({ format: "jwk" }).d);

  test.each<[string, Record<string, unknown>, string]>([
    ["bytes", { node: new Uint8Array([222, 173, 190, 239]) }, "222"],
    ["a buffer in a list", { nodes: [Buffer.from("hunter2")] }, "hunter2"],
    ["a key object", { signer: createPrivateKey(pem) }, jwkPart],
    ["a PEM text", { detail: `file: ${pem}` }, pem.split("\n")[1] ?? ""],
    ["an object", { options: { inner: "hunter2" } }, "hunter2"],
    ["a token by name", { invite_token: "hunter2" }, "hunter2"],
    ["a password by name", { Password: "hunter2" }, "hunter2"],
    ["a seed by name", { nodeKeySeed: "hunter2" }, "hunter2"],
    ["a private key by name", { private_key: "hunter2" }, "hunter2"],
    ["a PEM text in an error", { error: new Error(pem) }, pem.split("\n")[1] ?? ""],
  ])("are left out: %s", (_, fields, secret) => {
    for (const format of ["text", "json"] as const) {
      const lines: string[] = [];
      logInto(lines, format).info(fields, "Node key opened");
      expect(lines.join("")).not.toContain(secret);
      expect(lines.join("")).toContain("[redacted]");
    }
  });

  test("are not seen where there are none", () => {
    const fields = { jwt_authority_key_id: "k", subject_key_id: "0a", public_key: "00", key: "64" };
    expect(lineOf((log) => log.info(fields, "Bundle read"))).toMatchObject(fields);
  });
});

describe("the log of a process", () => {
  test("goes to stderr, whole even when the process ends at once", () => {
    const log = fileURLToPath(new URL("../../src/telemetry/log.ts", import.meta.url));
    const script = `import { createLogger } from ${JSON.stringify(log)};
      createLogger({ level: "info", format: "text" }).error({ n: 1 }, "Last words");
      process.kill(process.pid, "SIGKILL");`;
    const args = ["--input-type=module-typescript", "--eval", script];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect(stdout).toBe("");
    expect(stderr).toMatch(/level=error msg="Last words" n=1\n$/);
  });
});
