/**
 * `npm run audit`: known vulnerabilities of everything in the lock, at the lowest level, then the
 * registry's signatures and provenance attestations. Each is asked whatever came of the other, and
 * has one line. A registry that does not answer is told apart from one that answers well.
 *
 * Exits with 0 when both are clean, 1 when anything was found, 69 when an answer is missing.
 */
import { execFile } from "node:child_process";
import process from "node:process";

const EXIT_FOUND = 1;
const EXIT_UNANSWERED = 69; // sysexits.h
/** Some minutes of a slow registry. Then there is no answer. */
const NPM_MS_MAX = 300_000;
/** An advisory has some KiB. More than this is not a report. */
const REPORT_BYTES_MAX = 64 * 1024 * 1024;

/** What npm prints as JSON: one of the two reports, or why there is none. */
interface Report {
  readonly vulnerabilities?: Readonly<Record<string, unknown>>;
  readonly invalid?: readonly { readonly name: string }[];
  readonly missing?: readonly { readonly name: string }[];
  readonly message?: string;
  readonly error?: { readonly summary?: string };
}

const vulnerable = await ask(["audit", "--audit-level=low"], ({ vulnerabilities }) =>
  vulnerabilities === undefined ? undefined : Object.keys(vulnerabilities),
);
tell("Known vulnerabilities", vulnerable, "npm audit");
const unsigned = await ask(["audit", "signatures"], ({ invalid, missing }) =>
  invalid && missing ? [...invalid, ...missing].map(({ name }) => name) : undefined,
);
tell("Signatures missing or wrong", unsigned, "npm audit signatures");

const answers = [vulnerable, unsigned];
if (answers.some((each) => Array.isArray(each) && each.length > 0)) process.exitCode = EXIT_FOUND;
else if (!answers.every(Array.isArray)) process.exitCode = EXIT_UNANSWERED;

/** The packages that npm's report blames, or in a sentence why there is no report. */
async function ask(
  args: readonly string[],
  blamed: (report: Report) => readonly string[] | undefined,
): Promise<readonly string[] | string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const limits = { timeout: NPM_MS_MAX, maxBuffer: REPORT_BYTES_MAX };
  // npm's exit code says no more than that something is not well, be it the network or a package.
  execFile("npm", [...args, "--json"], limits, (_, stdout) => resolve(stdout));
  const report = readReport(await promise);
  return blamed(report) ?? (report.message || report.error?.summary || "npm gave no report");
}

function readReport(text: string): Report {
  try {
    return JSON.parse(text) as Report;
  } catch {
    return {};
  }
}

function tell(what: string, answer: readonly string[] | string, command: string): void {
  if (typeof answer === "string") {
    const [reason = ""] = answer.split("\n", 1);
    say(`${what}: NOT KNOWN, ${reason}. Next: \`npm run audit\` with a registry that answers it.`);
  } else if (answer.length > 0) {
    say(`${what}: ${answer.join(", ")}. Next: \`${command}\`.`);
  } else say(`${what}: none.`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
