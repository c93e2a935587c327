/** `run`: the daemon itself, in the foreground. The only command that loads it. */
import process from "node:process";
import { type Config, loadConfig } from "../config/config.ts";

/** What others may do with files that are made: nothing. */
const OTHERS = 0o077;

export interface RunOptions {
  readonly config: string;
  readonly expandEnv?: boolean;
  readonly logLevel?: Config["logLevel"];
}

/** Resolves with the exit code when the daemon has stopped. */
export async function run(options: RunOptions): Promise<number> {
  const { config: path, expandEnv = false, logLevel } = options;
  const load = async (): Promise<Config> => {
    const config = await loadConfig(path, { expandEnv });
    return logLevel === undefined ? config : { ...config, logLevel };
  };
  // They are asked of a daemon that runs, and end none that starts: the file is read below anyway.
  for (const signal of ["SIGHUP", "SIGUSR2"] as const) process.on(signal, () => undefined);
  process.umask(OTHERS); // LevelDB's files, too, are this user's alone from their first moment.
  await load(); // A bad file is told of before the daemon's code loads.
  const { runDaemon } = await import("../daemon/daemon.ts");
  return await runDaemon(load);
}
