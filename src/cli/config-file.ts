/** The configuration file, read as `run` reads it. */

interface LoadedConfig {
  readonly admin: { readonly socketPath: string };
}

export async function loadConfig(
  path: string,
  options: { readonly expandEnv: boolean },
): Promise<LoadedConfig> {
  const room = "../config/config.ts";
  const { loadConfig } = (await import(room)) as {
    loadConfig: (path: string, options: { readonly expandEnv: boolean }) => Promise<LoadedConfig>;
  };
  return await loadConfig(path, options);
}
