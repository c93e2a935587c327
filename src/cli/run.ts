/** `run`: the daemon itself, in the foreground. The only command that loads it. */
import { type Config, loadConfig } from "../config/config.ts";

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
  const config = await load();
  const { runDaemon } = await import("../daemon/daemon.ts"); // A bad file is told of before it loads.
  return await runDaemon(config, load);
}
