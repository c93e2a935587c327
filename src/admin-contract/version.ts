/** The version of this package, as `--version` and `status` say it. */
import { readFileSync } from "node:fs";

/** package.json lies as deep below `dist` as below `src`. */
const MANIFEST = new URL("../../package.json", import.meta.url);

export const VERSION: string = readVersion();

function readVersion(): string {
  return (JSON.parse(readFileSync(MANIFEST, "utf8")) as { version: string }).version;
}
