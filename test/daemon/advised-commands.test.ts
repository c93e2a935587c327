/** Every command that the daemon advises is one that the command line takes, as it is written. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { runCommandLine } from "../../src/cli/command-line.ts";
import { FINDINGS } from "../../src/core/mesh/finding.ts";
import { REFUSAL_ADVICE } from "../../src/daemon/refusal-advice.ts";
import { FAULTS } from "../../src/fault.ts";

const PEER_ID = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const advice = [
  ...Object.values(FINDINGS).map(({ next }) => next),
  ...Object.values(REFUSAL_ADVICE),
  ...Object.values(FAULTS).map((fault) => fault.advice),
];
const commands = new Set(
  advice.flatMap((each) => [...each.matchAll(/`spire-mesh ([^`]+)`/g)].map(([, words]) => words)),
);

describe("an advised command is taken by the command line as it is written", () => {
  let directory = "";
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "advised-"));
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await rm(directory, { recursive: true });
  });

  test.each([...commands])("spire-mesh %s", async (words = "") => {
    const file = join(directory, "a.file");
    await writeFile(file, "neither a record nor a configuration");
    const fingerprint = "a".repeat(64);
    const values: Readonly<Record<string, string>> = {
      FILE: file,
      TD: "alpha.test",
      F: fingerprint,
      R: "a disk was lost",
      ADDR: `/ip4/127.0.0.1/tcp/7843/p2p/${PEER_ID}`,
      ID: words.startsWith("node ") ? PEER_ID : fingerprint,
      REQUEST: file,
    };
    const argv = words.split(" ").map((word) => values[word] ?? word);
    const elsewhere = ["-socketPath", join(directory, "none.sock")];
    const isForDaemon = !argv.includes("-config") && !argv.includes("--help");
    const exitCode = await runCommandLine(isForDaemon ? [...argv, ...elsewhere] : argv);
    expect(exitCode).not.toBe(FAULTS.USAGE.exitCode);
  });

  test("which takes nothing that is incomplete", async () => {
    const argv = ["import", "-replace", "-socketPath", join(directory, "none.sock")];
    expect(await runCommandLine(argv)).toBe(FAULTS.USAGE.exitCode);
  });
});

test("every command that is advised stands in backticks", () => {
  for (const each of advice) {
    expect(each.replaceAll(/`[^`]*`/g, "")).not.toMatch(/\bspire-(?:mesh|server) [a-z]/);
  }
});
