/**
 * Directories of this process's own user, in a place where nobody else can put another in their
 * stead. Checked, never repaired: whoever could write there may have done so.
 *
 *     /            each directory on the way: root's or ours, and nobody else may rename what is in it
 *     └─ var/lib   links on the way are followed when root or we made them
 *        └─ spire-mesh   the last: ours, a directory and no link, nobody else may write in it
 *
 * What is checked, others cannot take away or rename. In a sticky directory (/tmp) they can still add
 * what is missing, so the way is checked again once everything on it is there; from then on what was
 * looked at is what is used.
 *
 * Reading is another matter: every file that holds a secret is 0600 by itself, so a directory that
 * others may list (systemd makes StateDirectory 0755) gives nothing away but names.
 *
 * A volume that Kubernetes made for a pod's `fsGroup` belongs to root and that group, group-writable
 * and setgid, and so is everything in it from the second mount on. It passes: the group is the pod's.
 */
import type { Stats } from "node:fs";
import { lstat, mkdir, readlink } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { Fault } from "../fault.ts";

const OWNER_ONLY = 0o700;
const ROOT = 0;
const SETGID = 0o2000;
const STICKY = 0o1000;
const GROUP_WRITE = 0o020;
const OTHERS_WRITE = 0o002;
/** Links followed on one way, as in Linux (path_resolution(7)). A way with more is refused. */
const LINKS_MAX = 40;

/**
 * Makes sure that `path` is a directory that only this user writes to; makes it 0700 when missing.
 *
 * @param what Its name in the configuration, for messages.
 * @throws {Fault} `CANNOT_CREATE` when it cannot be made or is no directory; `NOT_ALLOWED` when it is
 *   a link, another user's, or others can write to it or put another in its place.
 */
export async function preparePrivateDirectory(path: string, what: string): Promise<void> {
  await makeWay(path, what);
  try {
    await mkdir(path, { mode: OWNER_ONLY });
  } catch (cause) {
    if (codeOf(cause) !== "EEXIST") throw cannotMake(path, what, cause);
  }
  await checkPrivateDirectory(path, what);
}

/**
 * Makes what is missing above `path`, 0700, where the way allows it; then nobody but root and this
 * user can put something else where `path` leads to. Throws as {@link preparePrivateDirectory} does.
 */
export async function makeWay(path: string, what: string): Promise<void> {
  if (await checkWay(path, what)) return;
  try {
    await mkdir(dirname(path), { recursive: true, mode: OWNER_ONLY });
  } catch (cause) {
    throw cannotMake(path, what, cause);
  }
  // What was missing a moment ago may be another user's, or be taken away again by them.
  if (!(await checkWay(path, what))) throw cannotMake(path, what, "ENOENT");
}

/** The same for a directory that must be there; the way to it was checked. Rejects when it is not. */
export async function checkPrivateDirectory(path: string, what: string): Promise<void> {
  const found = await lstat(path);
  const named = `${what} ${path}`;
  if (found.isSymbolicLink()) {
    throw new Fault("NOT_ALLOWED", `${named} is a symbolic link`, {
      advice: `Set \`${what}\` to the directory that the link points to.`,
    });
  }
  if (!found.isDirectory()) {
    throw new Fault("CANNOT_CREATE", `${named} is not a directory`, {
      advice: `Set \`${what}\` to a directory, or move the file away.`,
    });
  }
  const user = process.geteuid?.();
  if (found.uid !== user) {
    throw new Fault("NOT_ALLOWED", `${named} belongs to user id ${found.uid}, not ${user}`, {
      advice: `Run the daemon as that user, or set \`${what}\` to a new directory inside it.`,
    });
  }
  const writers = (found.mode & OTHERS_WRITE) !== 0 || !isOwnGroupsToWrite(found);
  if (writers) {
    throw new Fault("NOT_ALLOWED", `${named} has mode ${modeOf(found)}: others can write there`, {
      advice: `\`chmod 700 ${path}\`, or set \`${what}\` to a new directory inside it.`,
    });
  }
}

/**
 * Makes sure that nobody but root and this user can put something else where `path` leads to, as far
 * as the way exists: every directory above it, not `path` itself.
 *
 * @param path Absolute.
 * @returns Whether all of the way exists.
 * @throws {Fault} `NOT_ALLOWED` that names the directory; `CANNOT_CREATE` when it cannot be followed.
 */
async function checkWay(path: string, what: string): Promise<boolean> {
  const names = namesOf(dirname(resolve(path)));
  let links = 0;
  let at = "/";
  try {
    checkStep(at, await lstat(at), what);
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      const next = join(at, name); // `at` holds no link, so `..` means what it says.
      const found = await lstat(next);
      checkStep(next, found, what);
      if (found.isSymbolicLink()) {
        links += 1;
        if (links > LINKS_MAX) throw cannotMake(path, what, "too many symbolic links");
        const target = await readlink(next);
        names.unshift(...namesOf(target));
        if (isAbsolute(target)) at = "/";
      } else at = next;
    }
    return true;
  } catch (error) {
    if (error instanceof Fault) throw error;
    if (codeOf(error) !== "ENOENT") throw cannotMake(path, what, error);
    return false; // We can make what is missing; below a sticky directory others can as well.
  }
}

/**
 * Whether a group that may write is one that was made for this process: its volume's, by `fsGroup`.
 * True also when the group may not write at all.
 */
function isOwnGroupsToWrite({ mode, gid }: Stats): boolean {
  if ((mode & GROUP_WRITE) === 0) return true;
  return (mode & SETGID) !== 0 && isOwnGroup(gid);
}

/** Whether a file's group is that of the `fsGroup` volume that it lies in. */
export function isVolumeGroup({ gid }: Stats, directory: Stats): boolean {
  return (directory.mode & SETGID) !== 0 && directory.gid === gid && isOwnGroup(gid);
}

function isOwnGroup(gid: number): boolean {
  return process.getegid?.() === gid || (process.getgroups?.() ?? []).includes(gid);
}

function checkStep(path: string, found: Stats, what: string): void {
  if (found.uid !== ROOT && found.uid !== process.geteuid?.()) {
    throw swappable(path, what, `belongs to user id ${found.uid}`, "the daemon's user or to root");
  }
  if (found.isSymbolicLink() || !found.isDirectory()) return; // A link's own mode says nothing.
  const { mode, gid } = found;
  if ((mode & (GROUP_WRITE | OTHERS_WRITE)) === 0 || (mode & STICKY) !== 0) return;
  // An `emptyDir` for a fsGroup is 2777: its others are the containers of one pod.
  if ((mode & SETGID) !== 0 && isOwnGroup(gid)) return;
  if ((mode & OTHERS_WRITE) === 0 && gid === ROOT) return; // As OpenShift makes directories.
  throw swappable(path, what, `has mode ${modeOf(found)}`, undefined);
}

function swappable(path: string, what: string, fact: string, owner: string | undefined): Fault {
  const problem = `others can replace ${what}, as ${path} ${fact}`;
  const mend =
    owner === undefined
      ? `\`chmod go-w ${path}\`, or \`chmod +t\` where others must write (for a Kubernetes volume set fsGroup)`
      : `Give ${path} to ${owner}`;
  return new Fault("NOT_ALLOWED", problem, {
    advice: `${mend}, or set \`${what}\` to a path that only the daemon's user and root can change.`,
  });
}

function cannotMake(path: string, what: string, cause: unknown): Fault {
  const reason = codeOf(cause) ?? String(cause);
  if (reason === "EACCES") {
    return new Fault("NOT_ALLOWED", `${what} ${path} cannot be reached or made by this user`, {
      advice: `Run it as the user whom ${path} belongs to, or set \`${what}\` to another directory.`,
      cause,
    });
  }
  return new Fault("CANNOT_CREATE", `${what} ${path} cannot be created: ${reason}`, { cause });
}

function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "");
}

function modeOf({ mode }: Stats): string {
  return (mode & 0o7777).toString(8);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
