/** `run`: the daemon itself, in the foreground. The only command that loads it. */
import { loadConfig } from "./config-file.ts";

export interface RunOptions {
  readonly config: string;
  readonly expandEnv?: boolean;
  readonly logLevel?: "debug" | "info" | "warn" | "error";
}

/** Resolves with the exit code when the daemon has stopped. */
export async function run({ config: path, expandEnv, logLevel }: RunOptions): Promise<number> {
  const config = await loadConfig(path, { expandEnv: expandEnv === true });
  const room = "../daemon/daemon.ts";
  const { runDaemon } = (await import(room)) as { runDaemon: (c: object) => Promise<number> };
  return await runDaemon(logLevel === undefined ? config : { ...config, logLevel });
}
