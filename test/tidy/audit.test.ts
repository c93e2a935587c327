/** `npm audit` over everything in the lock, where the registry answers it. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { temporaryDirectory } from "../store/temporary-directory.ts";
import { ROOT } from "./source.ts";

const AUDIT_MS_MAX = 60_000;
const execute = promisify(execFile);

/** What npm prints: a report, or why there is none. */
interface Report {
  readonly message?: string;
  readonly vulnerabilities?: Readonly<Record<string, unknown>>;
}

test("no package has a known vulnerability", async (context) => {
  const { code, report } = await audit();
  if (report.vulnerabilities === undefined) {
    const reason = `npm audit did not run: ${report.message?.split(" - ", 1)[0] ?? "no report"}`;
    process.stderr.write(`${reason}\n`); // A reporter that hides notes must not hide this one.
    return context.skip(reason);
  }
  expect(Object.keys(report.vulnerabilities)).toEqual([]);
  expect(code).toBe(0);
});

describe("npm run audit", () => {
  const clean = { vulnerabilities: {} };
  const signed = { invalid: [], missing: [] };
  const refused = { message: "405 Method Not Allowed - POST /advisories" };
  const away = { error: { summary: "getaddrinfo ENOTFOUND" } };
  const found = { vulnerabilities: { leftpad: {} } };
  const unsigned = { invalid: [], missing: [{ name: "leftpad" }] };

  test.each<[string, object, object, number, RegExp]>([
    ["all is clean", clean, signed, 0, /^[^:]+: none\.\n[^:]+: none\.\n$/],
    ["there is a vulnerability", found, signed, 1, /vuln.*: leftpad\. Next: .*\nSig.*: none/],
    ["a signature is missing", clean, unsigned, 1, /vuln.*: none\.\nSig.*: leftpad\. Next: /],
    ["the registry has no audit", refused, signed, 69, /NOT KNOWN, 405 .* Next: .*\n.*: none/],
    ["no audit hides what signatures say", refused, unsigned, 1, /405 .*\n.*: leftpad/],
    ["Sigstore is away", clean, away, 69, /none\.\nSig.*NOT KNOWN, getaddrinfo ENOTFOUND\. /],
    ["npm says nothing", {}, {}, 69, /NOT KNOWN, npm gave no report.*\n.*NOT KNOWN/],
  ])("when %s", async (_, audited, signatures, exitCode, says) => {
    const directory = await temporaryDirectory();
    await writeFile(
      join(directory, "npm"),
      `#!/bin/sh\nif [ "$2" = signatures ]; then echo '${JSON.stringify(signatures)}'; else echo '${JSON.stringify(audited)}'; fi\nexit 1\n`,
      { mode: 0o755 },
    );
    const env = { ...process.env, PATH: `${directory}:${process.env["PATH"]}` };
    const ended = await execute(process.execPath, [join(ROOT, "deploy/audit.ts")], { env }).then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error: { readonly code: number; readonly stdout: string }) => error,
    );
    expect([ended.code, ended.stdout]).toEqual([exitCode, expect.stringMatching(says)]);
  });

  test("is that program", () => {
    expect(manifest.scripts.audit).toBe("node bin/task.js deploy/audit.ts");
  });
});

async function audit(): Promise<{ readonly code: number; readonly report: Report }> {
  const args = ["audit", "--json", "--audit-level=low", "--fetch-retries=0"];
  const ended = await execute("npm", args, { cwd: ROOT, timeout: AUDIT_MS_MAX }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    (error: { readonly code: number; readonly stdout: string }) => error,
  );
  return { code: ended.code, report: JSON.parse(ended.stdout || "{}") as Report };
}
