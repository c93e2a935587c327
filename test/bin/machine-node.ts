/** The machine's own Node.js, as a user's shell finds it: npm puts the carried one first in PATH. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const directories = (process.env["PATH"] ?? "")
  .split(delimiter)
  .filter((directory) => !directory.includes("node_modules"));

/** An environment without npm's additions, so that a child npm starts afresh. */
export const machineEnvironment: NodeJS.ProcessEnv = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("npm_"))),
  PATH: directories.join(delimiter),
};

export const machineNode =
  directories.map((directory) => join(directory, "node")).find((path) => existsSync(path)) ??
  process.execPath;
