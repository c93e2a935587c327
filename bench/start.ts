/** From the start of the process until the daemon is ready, a partner known and reachable. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { runToEnd, startChild } from "../peers/child.ts";
import { callAdmin } from "../src/admin-contract/client.ts";
import type { Figure, Part } from "./figure.ts";
import { type Bench, Sites, startPartners } from "./sites.ts";

/** The command as it is installed. */
const LAUNCHER = fileURLToPath(new URL("../bin/spire-mesh.js", import.meta.url));
const LOOK_MS = 5;
const LIMIT_MS = 30_000;
const TARGET_MS = 2_000;

export interface StartOptions {
  readonly runs: number;
  readonly spireServer: string | undefined;
}

export async function measureStart(options: StartOptions): Promise<Part> {
  return await Sites.with(async (sites) => await measureIn(sites, options));
}

async function measureIn(sites: Sites, { runs, spireServer }: StartOptions): Promise<Part> {
  const [alpha] = await startPartners(sites, ["alpha", "bravo"], { spireServer });
  if (alpha === undefined) throw new Error("no sites");
  await alpha.site.stopDaemon();
  const ready: number[] = [];
  const healthy: number[] = [];
  const node: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const times = await startOnce(alpha);
    ready.push(times.readyMs);
    healthy.push(times.healthyMs);
    node.push(await timed(["--eval", "0"]));
  }
  const bare: Figure = { what: "bare node", unit: "ms", values: node };
  return {
    title: "start: bin/spire-mesh.js run → ready",
    figures: [
      {
        what: "→ healthcheck has exited with 0",
        unit: "ms",
        values: healthy,
        anchor: bare,
        target: { text: `≤ ${TARGET_MS}`, met: Math.max(...healthy) <= TARGET_MS },
      },
      { what: "→ the admin API says ready", unit: "ms", values: ready, anchor: bare },
      bare,
    ],
    notes: ["healthcheck, a process of its own, is started once the admin API says ready"],
  };
}

interface Times {
  readonly readyMs: number;
  readonly healthyMs: number;
}

async function startOnce({ site }: Bench): Promise<Times> {
  const startMs = performance.now();
  const child = startChild(
    process.execPath,
    [LAUNCHER, "run", "-config", site.daemonConfig],
    join(site.directory, "daemon.log"),
  );
  try {
    while (!(await isReady(site.adminSocket))) {
      if (child.ended !== undefined || performance.now() > startMs + LIMIT_MS) {
        throw new Error(`not ready:\n${await child.log()}`);
      }
      await sleep(LOOK_MS);
    }
    const readyMs = performance.now() - startMs;
    await timed([LAUNCHER, "healthcheck", "-socketPath", site.adminSocket]);
    return { readyMs, healthyMs: performance.now() - startMs };
  } finally {
    await child.end("SIGTERM");
  }
}

async function isReady(adminSocket: string): Promise<boolean> {
  if (!existsSync(adminSocket)) return false;
  const health = await callAdmin(adminSocket, "healthcheck", {}).catch(() => undefined);
  return health?.ready === true;
}

/** Runs Node once, and throws unless it exits with 0. */
async function timed(args: readonly string[]): Promise<number> {
  const startMs = performance.now();
  const { code, stderr } = await runToEnd(process.execPath, args);
  if (code !== 0) throw new Error(`${args.join(" ")} exited with ${code}:\n${stderr}`);
  return performance.now() - startMs;
}
