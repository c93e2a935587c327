/**
 * `run`: one server in this process, until SIGTERM or SIGINT. The SIGTERM comes from
 * bin/end-with-launcher.js too, when whoever started it is gone.
 */
import process from "node:process";
import { readOptions } from "./arguments.ts";
import { type Configuration, readConfiguration, RUN_OPTIONS } from "./configuration.ts";
import { type Faults, FaultSwitch } from "./fault-switch.ts";
import { openLog } from "./log.ts";
import { EmbeddedServer } from "./server.ts";

/** The real server takes these permissions from new files: the group reads, others nothing. */
const UMASK = 0o027;

/** What a test that started this process may send, and the answer to it. */
export interface FaultOrder {
  readonly faults: Faults;
}
export type Notice = "ready" | "faults-set";

export async function run(args: readonly string[]): Promise<void> {
  const configuration = readConfiguration(readOptions(args, RUN_OPTIONS));
  process.umask(UMASK);
  const faults = new FaultSwitch();
  const server = await start(configuration, faults);
  process.on("message", ({ faults: wanted }: FaultOrder) => {
    faults.set(wanted);
    notify("faults-set");
  });
  notify("ready");
  await stopSignal();
  await server.stop();
  process.exit(0); // The IPC channel would keep it alive.
}

async function start(configuration: Configuration, faults: FaultSwitch): Promise<EmbeddedServer> {
  const log = openLog(configuration.logLevel);
  log("info", "Configured", {
    data_dir: configuration.dataDir,
    trust_domain_id: `spiffe://${configuration.trustDomain}`,
    key_manager: configuration.keyManager,
  });
  for (const setting of configuration.withoutEffect) {
    log("warning", "Setting has no effect on this stand-in", { setting });
  }
  const server = new EmbeddedServer(configuration, { log, faults, nowMs: Date.now });
  await server.start();
  return server;
}

function notify(notice: Notice): void {
  if (process.connected) process.send?.(notice);
}

async function stopSignal(): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => resolve());
  });
}
