/**
 * Runs one of the project's own tasks in a checkout: installs what is missing, then hands over to
 * the carried Node. `task.js vitest run` runs an installed tool, `task.js peers/x.ts` a file of ours,
 * `task.js` alone only installs. Runs on Node 18 and later, with nothing installed.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import process from "node:process";

const EXIT_UNAVAILABLE = 69; // sysexits.h
const root = fileURLToPath(new URL("..", import.meta.url));

if (!installedAsLocked()) install();
const [task, ...args] = process.argv.slice(2);
if (task !== undefined) await run(task, args);

async function run(task, args) {
  const { carriedNode } = await import("./carried-node.js");
  const { handOver, handOverToProgram } = await import("./hand-over.js");
  if (task.endsWith(".ts")) handOverToProgram(carriedNode(), join(root, task), args);
  else handOver(carriedNode(), [toolPath(task), ...args]);
}

function install() {
  process.stderr.write(
    "Installing the dependencies named in package-lock.json (under a minute) ...\n",
  );
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const { status } = spawnSync("npm", ["ci", ...quiet], {
    cwd: root,
    stdio: ["ignore", 2, 2],
    env: {
      ...process.env,
      NODE_OPTIONS: `--require "${join(root, "bin", "npm-version-check.cjs")}"`,
    },
  });
  if (status === 0) return;
  process.stderr.write("INSTALL_FAILED: npm ci did not succeed. Next: read npm's lines above.\n");
  process.exit(EXIT_UNAVAILABLE);
}

/**
 * Whether node_modules holds what package-lock.json names. Packages of other platforms are optional
 * and may be missing. Contents are compared, not times: a checkout touches every file.
 */
function installedAsLocked() {
  const installed = packagesOf(join("node_modules", ".package-lock.json"));
  return Object.entries(packagesOf("package-lock.json")).every(([path, { version, optional }]) => {
    const found = installed[path];
    return path === "" || (found === undefined ? optional : found.version === version);
  });
}

/** The packages that a lock file lists by path; none when there is no such file. */
function packagesOf(path) {
  const file = join(root, path);
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).packages : {};
}

/** The JavaScript file behind an installed tool's name, from its own package.json. */
function toolPath(name) {
  const owner = { tsc: "typescript", buf: "@bufbuild/buf" }[name] ?? name;
  const home = join(root, "node_modules", owner);
  const { bin } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
  return join(home, typeof bin === "string" ? bin : bin[name]);
}
