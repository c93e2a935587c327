/** `npm run demo` as a person without a terminal sees it: a child process, its output, its end. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, chown, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runToEnd } from "../../peers/child.ts";
import { machineEnvironment, machineNode } from "../bin/machine-node.ts";
import {
  ORDINARY_USER,
  WITH_UMASK_002,
  makeCheckout,
  portIn,
  processesIn,
  removeCheckout,
} from "./checkout.ts";

/** Half a minute on a calm machine. */
const DEMO_MS = 180_000;
/** How long processes may take to notice that the demo is gone. */
const GONE_MS = 15_000;

let checkout = "";
/** TMPDIR of the demo. */
let temporary = "";

describe("the demo", () => {
  beforeEach(async () => {
    checkout = await makeCheckout();
    temporary = await mkdtemp(join(tmpdir(), "demo-"));
    if (ORDINARY_USER.uid !== undefined) {
      await chown(temporary, ORDINARY_USER.uid, ORDINARY_USER.gid);
    }
  });
  afterEach(async () => {
    for (const id of await processesIn(checkout)) process.kill(id, "SIGKILL");
    await removeCheckout(checkout);
    await rm(temporary, { recursive: true });
  });

  test(
    "ends with a summary, with exit code 0, and with nothing left",
    async () => {
      const demo = startDemo();
      expect(await demo.ended, demo.output()).toBe(0);
      expect(demo.output()).toMatch(
        /^SPIRE Server: (?:embedded in spire-mesh |.*spire-server )\d/m,
      );
      expect(demo.output()).toMatch(/^Summary/m);
      expect(demo.output()).toMatch(/^prepare +median \d+ ms, slowest \d.* of 10$/m);
      expect(demo.output()).toMatch(/^activate +nothing to carry$/m);
      expect(demo.output()).toMatch(/^taint +nothing to carry$/m);
      expect(demo.output()).toMatch(/^revoke +median \d+ ms, slowest \d.* of 10$/m);
      expect(demo.output()).toMatch(/^catch up +\d.* after 3 missed rotations/m);
      expect(demo.output()).not.toContain("\u001B");
      expect(await processesIn(checkout)).toEqual([]);
      expect(await readdir(temporary)).toEqual([]);
    },
    DEMO_MS,
  );

  test(
    "with --keep stays to be tried, and ends everything with Ctrl-C",
    async () => {
      const demo = startDemo("--keep");
      await demo.says("Ctrl-C here ends");
      const [command = ""] = /^ +node bin\/spire-mesh.js status .*$/m.exec(demo.output()) ?? [];
      const status = await runToEnd("bash", ["-c", `cd ${checkout} && ${command}`], {
        PATH: machineEnvironment["PATH"] ?? "",
      });
      expect(status).toMatchObject({ code: 0 });
      expect(status.stdout).toMatch(/^alpha\.test +accepted .* equal /m);

      demo.signal("SIGINT");
      expect(await demo.ended, demo.output()).toBe(0);
      expect(await processesIn(checkout)).toEqual([]);
    },
    DEMO_MS,
  );

  test(
    "keeps a second one out, and leaves nothing when it is killed outright",
    async () => {
      const demo = startDemo();
      await demo.says("Three trust domains start");
      const second = startDemo();
      expect(await second.ended).toBe(1);
      expect(second.output()).toContain("DEMO_FAILED: another demo runs in this checkout. Next: ");
      demo.signal("SIGKILL");
      await demo.ended;
      await expect.poll(async () => await processesIn(checkout), { timeout: GONE_MS }).toEqual([]);
    },
    DEMO_MS,
  );

  test(
    "names a port that is in use, and starts nothing",
    async () => {
      const port = await portIn(join(checkout, "peers/bravo/spire-mesh.yaml"));
      const other = createServer().listen(port, "127.0.0.1");
      await once(other, "listening");
      const demo = startDemo();
      expect(await demo.ended).toBe(1);
      other.close();
      expect(demo.output()).toMatch(
        new RegExp(`^DEMO_FAILED: port ${port} .*peers/bravo/spire-mesh.yaml.* Next: `, "m"),
      );
      expect(await readdir(temporary)).toEqual([]);
    },
    DEMO_MS,
  );

  test(
    "shows the end of the log of what failed, and ends the rest",
    async () => {
      await appendFile(join(checkout, "peers/bravo/spire-mesh.yaml"), "no_such_key: 1\n");
      const demo = startDemo();
      expect(await demo.ended).toBe(1);
      expect(demo.output()).toContain("DEMO_FAILED: the daemon of bravo.test ended at its start");
      const log = join(temporary, (await readdir(temporary))[0] ?? "", "bravo/daemon.log");
      expect(demo.output()).toContain(`The end of ${log}:\nCONFIG_INVALID`);
      expect(demo.output()).toContain("no_such_key");
      expect(await processesIn(checkout)).toEqual([]);
      expect(await readFile(log, "utf8")).not.toBe("");
    },
    DEMO_MS,
  );

  test("refuses an option that it does not know", async () => {
    const demo = startDemo("--kep");
    expect(await demo.ended).toBe(64);
    expect(demo.output()).toContain("Usage: npm run demo");
  });
});

function startDemo(...args: readonly string[]) {
  const words = [machineNode, "bin/task.js", "peers/demo/main.ts", ...args];
  const child = spawn("bash", [...WITH_UMASK_002, ...words], {
    ...ORDINARY_USER,
    cwd: checkout,
    env: { ...machineEnvironment, TMPDIR: temporary },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const chunks: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => chunks.push(chunk));
  }
  const output = (): string => chunks.join("");
  return {
    output,
    ended: once(child, "close").then(([code]) => code as number | null),
    signal: (name: NodeJS.Signals) => child.kill(name),
    says: async (words: string) =>
      await expect.poll(output, { timeout: DEMO_MS, interval: 100 }).toContain(words),
  };
}
