/** The version of this package, as `--version` and `status` say it. */
import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { z } from "zod";
import { Fault } from "../fault.ts";

/** Read from package.json, which lies at another depth above `src` than above `dist/src`. */
export function packageVersion(): string {
  const path = findPackageJSON(import.meta.url);
  if (path === undefined) throw new Fault("CANNOT_CREATE", "spire-mesh has lost its package.json.");
  const manifest: unknown = JSON.parse(readFileSync(path, "utf8"));
  return z.object({ version: z.string() }).parse(manifest).version;
}
