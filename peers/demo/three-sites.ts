/**
 * The sites alpha, bravo and charlie with the configurations of peers/, as a person starts them by
 * hand, and their state in `.demo/`. Paths are relative to the top of the checkout, where the demo
 * runs, so that what is shown can be typed.
 */
import { readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import process from "node:process";
import { VERSION } from "../../src/admin-contract/version.ts";
import { type Ended, runToEnd } from "../child.ts";
import { claimDirectory } from "../claim.ts";
import { Site, findSpire, isPortFree } from "../site.ts";

export const STATE = ".demo";
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
  const socket = resolve(STATE, "charlie", "admin.sock");
  if (Buffer.byteLength(socket) > SOCKET_PATH_BYTES_MAX) {
    throw new Error(
      `${socket} is longer than the ${SOCKET_PATH_BYTES_MAX} bytes that a Unix socket's path may ` +
        "have. Next: move the checkout to a shorter path.",
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

/** Makes the sites over whatever an earlier run has left; nothing runs yet. */
export async function makeSites(spireServer: string | undefined): Promise<ThreeSites> {
  await rm(STATE, { recursive: true, force: true });
  const [alpha, bravo, charlie] = await Promise.all([
    makeSite("alpha", spireServer),
    makeSite("bravo", spireServer),
    makeSite("charlie", spireServer),
  ]);
  return { alpha, bravo, charlie, all: [alpha, bravo, charlie] };
}

async function makeSite(
  name: (typeof NAMES)[number],
  spireServer: string | undefined,
): Promise<Site> {
  return await Site.make({
    trustDomain: `${name}.test`,
    directory: join(STATE, name),
    configDirectory: join("peers", name),
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
