/**
 * A checkout of its own for a test: the tree as it is, free ports in the ready configurations of
 * peers/, so that it meets neither a demo that somebody runs nor another test. It is as many a
 * distribution's ordinary user gets it: the umask is 002, so their group may write in it.
 */
import {
  chmod,
  chown,
  cp,
  mkdtemp,
  readFile,
  readdir,
  readlink,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../peers/site.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SITES = ["alpha", "bravo", "charlie"];
/** Whose checkout it is. Root, who alone can be somebody else, may write everywhere. */
const SOMEBODY = 65_534;
export const ORDINARY_USER = process.geteuid?.() === 0 ? { uid: SOMEBODY, gid: SOMEBODY } : {};
/** A shell's words that start a program with the umask that is usual for whoever has a group alone. */
export const WITH_UMASK_002 = ["-c", 'umask 002; exec "$0" "$@"'];
const GROUP_WRITES = 0o775;
const PORT = /(?<=bind_port = "|\/tcp\/)\d+/;

export async function makeCheckout(): Promise<string> {
  const checkout = realpathSync(await mkdtemp(join(tmpdir(), "checkout-")));
  for (const name of ["bin", "src", "peers", "package.json", "README.md"]) {
    await cp(join(ROOT, name), join(checkout, name), { recursive: true });
  }
  await symlink(join(ROOT, "node_modules"), join(checkout, "node_modules"));
  // What is installed is what is wanted, or bin/task.js would install into the shared directory.
  const installed = join(ROOT, "node_modules", ".package-lock.json");
  await cp(installed, join(checkout, "package-lock.json"));
  for (const site of SITES) {
    await setPort(join(checkout, "peers", site, "server.conf"), await freePort());
    await setPort(join(checkout, "peers", site, "spire-mesh.yaml"), await freePort());
  }
  await chmod(checkout, GROUP_WRITES);
  if (ORDINARY_USER.uid !== undefined) await chown(checkout, ORDINARY_USER.uid, ORDINARY_USER.gid);
  return checkout;
}

export async function removeCheckout(checkout: string): Promise<void> {
  await rm(checkout, { recursive: true, force: true });
}

async function setPort(file: string, port: number): Promise<void> {
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replace(PORT, `${port}`));
}

/** The port that a configuration of the checkout names. */
export async function portIn(file: string): Promise<number> {
  return Number(PORT.exec(await readFile(file, "utf8"))?.[0]);
}

/** Ids of the processes that work in a directory. */
export async function processesIn(directory: string): Promise<readonly number[]> {
  const ids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const works = await Promise.all(
    ids.map(async (id) => (await readlink(`/proc/${id}/cwd`).catch(() => "")) === directory),
  );
  return ids.filter((_, place) => works[place]);
}
