#!/usr/bin/env node
/**
 * The command `spire-mesh`: any Node ≥ 18 hands over to the carried Node 24.
 * An installed package runs dist/, as Node strips no types below node_modules; a checkout runs src/.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import process from "node:process";
import { carriedNode } from "./carried-node.js";
import { handOverToProgram } from "./hand-over.js";

const source = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const built = fileURLToPath(new URL("../dist/main.js", import.meta.url));

try {
  const entry = existsSync(source) ? source : built;
  handOverToProgram(carriedNode(), entry, process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(70);
}
