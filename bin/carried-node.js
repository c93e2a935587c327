/**
 * Finds the Node.js that this package carries (an optional dependency for each platform), so that
 * whatever Node the machine has only starts it. Runs on Node 18 and later: no syntax newer than that.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";

/** libp2p needs Promise.withResolvers (Node 22); type stripping without a warning needs 24. */
const NODE_MAJOR_MIN = 24;

/** @returns {string} The path of a Node.js that can run spire-mesh. Throws when there is none. */
export function carriedNode() {
  const name = `node-${process.platform}-${process.arch}`;
  try {
    const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
    const path = join(dirname(manifest), "bin", "node");
    if (existsSync(path)) return path;
  } catch {
    // Not installed for this platform: the running Node may still do.
  }
  if (Number.parseInt(process.versions.node, 10) >= NODE_MAJOR_MIN) return process.execPath;
  throw new Error(
    `NODE_TOO_OLD: this is Node ${process.versions.node}, and the package ${name} is not installed. ` +
      `Next: install with optional dependencies, or use Node ${NODE_MAJOR_MIN} or later.`,
  );
}
