/** A daemon as a process of its own on loopback, with no SPIRE Server to talk to unless one is named. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, vi } from "vitest";
import { callAdmin } from "../../src/admin-contract/client.ts";
import type { ReplyOf } from "../../src/admin-contract/routes.ts";

/** For what takes a second on a calm machine. */
const SOON = { timeout: 60_000, interval: 100 };

export interface LoneDaemon {
  readonly directory: string;
  readonly dataDir: string;
  readonly runtimeDir: string;
  /** Path of the configuration file. */
  readonly config: string;
}

/** Directories and a configuration, all removed when the test ends. Nothing is started yet. */
export async function newLoneDaemon(spireSocket?: string): Promise<LoneDaemon> {
  const directory = await mkdtemp(join(tmpdir(), "spire-mesh-lone-"));
  onTestFinished(async () => await rm(directory, { recursive: true, force: true }));
  return await configuredIn(directory, "run", spireSocket);
}

/** Another configuration for the same data directory, with a runtime directory of its own. */
export async function configuredIn(
  directory: string,
  runtimeDir: string,
  spireSocket = "none.sock",
): Promise<LoneDaemon> {
  const config = join(directory, `${runtimeDir}.yaml`);
  const lines = [
    "trust_domain: alpha.test",
    "data_dir: data",
    `runtime_dir: ${runtimeDir}`,
    'listen: ["/ip4/127.0.0.1/tcp/0"]',
    `spire: { socket_path: ${spireSocket} }`,
  ];
  await writeFile(config, lines.join("\n"));
  const dataDir = join(directory, "data");
  return { directory, dataDir, runtimeDir: join(directory, runtimeDir), config };
}

/** Resolves when the daemon of this configuration answers. */
export async function answers(daemon: LoneDaemon): Promise<void> {
  await vi.waitFor(async () => await healthOf(daemon), SOON);
}

/** Resolves when it is ready, which takes a SPIRE Server. */
export async function isReady(daemon: LoneDaemon): Promise<void> {
  await vi.waitFor(async () => expect((await healthOf(daemon)).ready).toBe(true), SOON);
}

async function healthOf({ runtimeDir }: LoneDaemon): Promise<ReplyOf<"healthcheck">> {
  return await callAdmin(join(runtimeDir, "admin.sock"), "healthcheck", {});
}
