/** `npm audit` over everything in the lock, where the registry answers it. */
import { execFile } from "node:child_process";
import process from "node:process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { ROOT } from "./source.ts";

const AUDIT_MS_MAX = 60_000;

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

test("`npm run audit` asks for all packages, at the lowest level, and for their signatures", () => {
  expect(manifest.scripts.audit).toBe("npm audit --audit-level=low && npm audit signatures");
});

async function audit(): Promise<{ readonly code: number; readonly report: Report }> {
  const args = ["audit", "--json", "--audit-level=low", "--fetch-retries=0"];
  const ended = await promisify(execFile)("npm", args, { cwd: ROOT, timeout: AUDIT_MS_MAX }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    (error: { readonly code: number; readonly stdout: string }) => error,
  );
  return { code: ended.code, report: JSON.parse(ended.stdout || "{}") as Report };
}
