/** A daemon as a process of its own on loopback, without a SPIRE Server to talk to. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";
import { callAdmin } from "../../src/admin-contract/client.ts";

/** For what takes a second on a calm machine. */
const START_MS_MAX = 60_000;

export interface LoneDaemon {
  readonly directory: string;
  readonly dataDir: string;
  readonly runtimeDir: string;
  /** Path of the configuration file. */
  readonly config: string;
}

/** Directories and a configuration, all removed when the test ends. Nothing is started yet. */
export async function newLoneDaemon(): Promise<LoneDaemon> {
  const directory = await mkdtemp(join(tmpdir(), "spire-mesh-lone-"));
  onTestFinished(async () => await rm(directory, { recursive: true, force: true }));
  return await configuredIn(directory, "run");
}

/** Another configuration for the same data directory, with a runtime directory of its own. */
export async function configuredIn(directory: string, runtimeDir: string): Promise<LoneDaemon> {
  const config = join(directory, `${runtimeDir}.yaml`);
  const lines = [
    "trust_domain: alpha.test",
    "data_dir: data",
    `runtime_dir: ${runtimeDir}`,
    'listen: ["/ip4/127.0.0.1/tcp/0"]',
    "spire: { socket_path: none.sock }",
  ];
  await writeFile(config, lines.join("\n"));
  const dataDir = join(directory, "data");
  return { directory, dataDir, runtimeDir: join(directory, runtimeDir), config };
}

/** Resolves when the daemon of this configuration answers. */
export async function answers({ runtimeDir }: LoneDaemon): Promise<void> {
  const socketPath = join(runtimeDir, "admin.sock");
  const options = { timeout: START_MS_MAX, interval: 100 };
  await vi.waitFor(async () => await callAdmin(socketPath, "healthcheck", {}), options);
}
