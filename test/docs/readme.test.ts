/** README's section "By hand" is run as it stands, block after block, in one shell. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { FAULTS } from "../../src/fault.ts";
import { machineEnvironment } from "../bin/machine-node.ts";
import {
  ORDINARY_USER,
  WITH_UMASK_002,
  makeCheckout,
  processesIn,
  removeCheckout,
} from "../peers/checkout.ts";

const BY_HAND_MS = 120_000;
const EXIT_DEFECT = 70; // As in src/main.ts, which is a program and exports nothing.

const readme = readFileSync(fileURLToPath(new URL("../../README.md", import.meta.url)), "utf8");
const byHand = /^## By hand$([^]*?)^## /m.exec(readme)?.[1] ?? "";
const blocks = [...byHand.matchAll(/^```bash\n([^]*?)^```$/gm)].map(([, block = ""]) => block);

/** As a person's shell: aliases, jobs with numbers; but the first command that fails ends it. */
const SHELL = "shopt -s expand_aliases\nset -e -m -o pipefail\n";

describe("README", () => {
  let checkout = "";
  beforeEach(async () => {
    checkout = await makeCheckout();
  });
  afterEach(async () => {
    for (const id of await processesIn(checkout)) process.kill(id, "SIGKILL");
    await removeCheckout(checkout);
  });

  test(
    "does by hand what it says, for an ordinary user whose umask is 002",
    async () => {
      expect(blocks.length).toBeGreaterThan(5);
      const { code, output } = await runScript(checkout, SHELL + blocks.join(""));
      expect(code, output).toBe(0);
      expect(output).toMatch(/^alpha\.test +[0-9a-f]{4}( [0-9a-f]{4}){15}$/m);
      expect(output).toMatch(/^alpha\.test +accepted .* equal /m);
      expect(output).toContain(".demo/svid/svid.pem: OK");
      expect(output).toContain("alpha.test is forgotten");
      expect(existsSync(join(checkout, ".demo"))).toBe(false);
      expect(await processesIn(checkout)).toEqual([]);
    },
    BY_HAND_MS,
  );

  test("names only npm scripts that there are", () => {
    const names = [...readme.matchAll(/\bnpm (?:run (?:--silent )?)?([a-z-]+)/g)].map(
      ([, name = ""]) => name,
    );
    expect(names.length).toBeGreaterThan(2);
    expect(names.filter((name) => !Object.hasOwn(manifest.scripts, name))).toEqual([]);
  });

  test("names every exit code", () => {
    const [line = ""] = /^- Exit codes: [^.]+\./m.exec(readme) ?? [];
    const named = [...line.matchAll(/\d+/g)].map(Number);
    const codes = Object.values(FAULTS).map(({ exitCode }) => exitCode);
    expect(named).toEqual([...new Set([0, EXIT_DEFECT, ...codes])].toSorted((a, b) => a - b));
  });
});

async function runScript(directory: string, script: string) {
  const file = join(directory, "by-hand.sh");
  await writeFile(file, script);
  const args = [...WITH_UMASK_002, "bash", "-c", 'exec 2>&1; . "$0"', file];
  const child = spawn("bash", args, {
    ...ORDINARY_USER,
    cwd: directory,
    env: machineEnvironment,
    stdio: ["ignore", "pipe", "ignore"],
    timeout: BY_HAND_MS,
  });
  const [output] = await Promise.all([text(child.stdout), once(child, "close")]);
  return { code: child.exitCode, output };
}
