/**
 * The sites alpha, bravo and charlie with the configurations of peers/, as a person starts them by
 * hand. Their state is in a new directory that is this user's alone: where the umask is 002, others
 * can change the checkout, and the daemon refuses a `data_dir` below it. The demo runs at the top of
 * the checkout, so that what is shown can be typed there.
 */
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { VERSION } from "../../src/admin-contract/version.ts";
import { type Ended, runToEnd } from "../child.ts";
import { claimDirectory } from "../claim.ts";
import { Site, findSpire, isPortFree } from "../site.ts";

/** mkdtemp adds six characters to the name, and makes it 0700. */
const STATE_PREFIX = join(process.env["TMPDIR"] || "/tmp", "spire-mesh-demo-");
/** Where the configurations of peers/ have their state, from the checkout and from themselves. */
const STATE_BY_HAND = /(?:\.\.\/\.\.\/)?\.demo\//g;
const LAUNCHER = "bin/spire-mesh.js";
const NAMES = ["alpha", "bravo", "charlie"] as const;
/** sockaddr_un holds 108 bytes, the last of them 0. */
const SOCKET_PATH_BYTES_MAX = 107;
const SPIRE_PORT = /bind_port = "(\d+)"/;
const DAEMON_PORT = /\/tcp\/(\d+)/;

/** A real SPIRE Server where there is one, else the embedded. */
export interface SpireProgram {
  readonly path: string | undefined;
  readonly title: string;
}

export interface ThreeSites {
  readonly alpha: Site;
  readonly bravo: Site;
  readonly charlie: Site;
  readonly all: readonly Site[];
  /** Directory of everything that they write. */
  readonly state: string;
}

export async function findSpireProgram(): Promise<SpireProgram> {
  const path = findSpire("spire-server");
  if (path === undefined) {
    const title = `embedded in spire-mesh ${VERSION}, as no spire-server is on PATH or in SPIRE_BIN`;
    return { path, title };
  }
  const { stdout, stderr } = await runToEnd(path, ["--version"]);
  return { path, title: `${path} ${(stdout || stderr).trim()}` };
}

/** Throws an Error in words for people when something else stands where the sites would. */
export async function checkRoom(): Promise<void> {
  if (!(await claimDirectory("."))) {
    throw new Error(
      "another demo runs in this checkout. Next: end it, or wait until it has ended.",
    );
  }
  const socket = join(`${STATE_PREFIX}XXXXXX`, "charlie", "admin.sock");
  if (Buffer.byteLength(socket) > SOCKET_PATH_BYTES_MAX) {
    throw new Error(
      `${socket} is longer than the ${SOCKET_PATH_BYTES_MAX} bytes that a Unix socket's path may ` +
        "have. Next: set TMPDIR to a directory with a shorter path.",
    );
  }
  for (const name of NAMES) {
    await checkPort(join("peers", name, "server.conf"), SPIRE_PORT);
    await checkPort(join("peers", name, "spire-mesh.yaml"), DAEMON_PORT);
  }
}

async function checkPort(file: string, pattern: RegExp): Promise<void> {
  const port = Number(pattern.exec(await readFile(file, "utf8"))?.[1]);
  if (await isPortFree(port)) return;
  throw new Error(
    `port ${port} on 127.0.0.1 (${file}) is in use, perhaps by another demo. ` +
      `Next: end it; \`ss -ltnp 'sport = :${port}'\` shows who it is.`,
  );
}

/** Makes the sites anew; nothing runs yet. */
export async function makeSites(spireServer: string | undefined): Promise<ThreeSites> {
  const state = await mkdtemp(STATE_PREFIX);
  const [alpha, bravo, charlie] = await Promise.all([
    makeSite("alpha", state, spireServer),
    makeSite("bravo", state, spireServer),
    makeSite("charlie", state, spireServer),
  ]);
  return { alpha, bravo, charlie, all: [alpha, bravo, charlie], state };
}

async function makeSite(
  name: (typeof NAMES)[number],
  state: string,
  spireServer: string | undefined,
): Promise<Site> {
  const directory = join(state, name);
  await mkdir(directory, { mode: 0o700 }); // Whatever the umask: it is above data_dir.
  for (const file of ["server.conf", "spire-mesh.yaml"]) {
    const text = await readFile(join("peers", name, file), "utf8");
    await writeFile(join(directory, file), text.replaceAll(STATE_BY_HAND, `${state}/`));
  }
  return await Site.make({
    trustDomain: `${name}.test`,
    directory,
    configDirectory: directory,
    spireServer,
  });
}

/** `alpha` of alpha.test. */
export function nameOf({ trustDomain }: Site): string {
  return trustDomain.replace(/\.test$/, "");
}

/** A command for this site's daemon, as it is typed in a checkout. */
export function commandLine(site: Site, words: readonly string[]): string {
  const quoted = words.map((word) => (word.includes(" ") ? `"${word}"` : word));
  return ["node", LAUNCHER, ...quoted, "-config", site.daemonConfig].join(" ");
}

/** Runs what {@link commandLine} says. Rejects with what the command said when it fails. */
export async function runCommand(site: Site, words: readonly string[]): Promise<Ended> {
  const args = [LAUNCHER, ...words, "-config", site.daemonConfig];
  const ended = await runToEnd(process.execPath, args);
  if (ended.code === 0) return ended;
  const said = `${ended.stdout}${ended.stderr}`.trim();
  const log = (await site.daemon?.log()) ?? "";
  throw new Error(
    `this ended with exit code ${ended.code}: ${commandLine(site, words)}\n${said}\n${log}`,
  );
}
