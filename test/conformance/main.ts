/** Writes the folder `conformance/` anew; its README stays. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "../tidy/source.ts";
import { FOLDER, conformanceFiles } from "./folder.ts";

const files = conformanceFiles();
const folder = join(ROOT, FOLDER);
for (const each of readdirSync(folder, { withFileTypes: true })) {
  if (each.isDirectory()) rmSync(join(folder, each.name), { recursive: true });
}
for (const [path, bytes] of files) {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), bytes);
}
