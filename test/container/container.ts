/**
 * A container without an engine: the replayed image as the root of a process of its own, as far as
 * unshare, mount and chroot go. Nothing of the machine can be reached from inside but what is named
 * here: the C and C++ libraries that stand in for the base image, /proc, and the mounts.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { cp, mkdir, readFile, realpath, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** What an image of C and C++ libraries has, and all that Node and its add-ons may ask of it. */
const BASE_LIBRARIES = /^(?:ld-linux-.*|lib(?:c|m|dl|pthread|stdc\+\+|gcc_s))\.so/;

/** uid and gid, as in the Dockerfile's USER. */
export const USER = 65_532;

/** What is mounted over the read-only image: paths outside by paths inside. */
export type Mounts = Readonly<Record<string, string>>;

/**
 * Runs as the first process of the container: the image read-only, a tmpfs for runtime_dir, then the
 * mounts, then the command without root and without one variable in its environment.
 */
const ENTER = `
  set -e
  image=$1 root=$2
  shift 2
  mount --make-rprivate /
  mount --bind "$image" "$root"
  mount -o remount,ro,bind "$root"
  mount -t proc proc "$root/proc"
  mount -t tmpfs -o mode=0700,uid=${USER},gid=${USER} tmpfs "$root/run/spire-mesh"
  while [ "$1" != -- ]; do
    mount --bind "$2" "$root$1"
    shift 2
  done
  shift
  exec env -i "$(command -v chroot)" --userspec=${USER}:${USER} --groups= "$root" "$@"
`;

/** Why no container can be had on this machine, or undefined. */
export async function whyNoContainer(): Promise<string | undefined> {
  if (process.geteuid?.() !== 0) return "only root may enter an image";
  return await execute("unshare", [
    "--mount",
    "--pid",
    "--fork",
    "mount",
    "--make-rprivate",
    "/",
  ]).then(
    () => undefined,
    () => "mounts are not allowed here",
  );
}

/**
 * Puts the libraries that these programs are linked against where the base image has them.
 * Throws when they need one that the base image has not.
 */
export async function addBaseImage(image: string, programs: readonly string[]): Promise<void> {
  for (const program of programs) {
    const { stdout } = await execute("ldd", [program]);
    for (const [, path = ""] of stdout.matchAll(/(\/\S+) \(0x/g)) {
      const name = path.slice(path.lastIndexOf("/") + 1);
      if (!BASE_LIBRARIES.test(name)) throw new Error(`${program} needs ${name}`);
      await mkdir(join(image, dirname(path)), { recursive: true });
      await cp(await realpath(path), join(image, path));
    }
  }
  await mkdir(join(image, "proc"));
  await mkdir(join(image, "etc"), { recursive: true });
  await writeFile(join(image, "etc/passwd"), `nonroot:x:${USER}:${USER}::/nonexistent:/none\n`);
}

/** Starts a command in a container of its own, as its process 1. */
export async function startContainer(
  image: string,
  mounts: Mounts,
  command: readonly string[],
): Promise<ChildProcess> {
  const root = `${image}-mounted`;
  await mkdir(root, { recursive: true });
  for (const inside of Object.keys(mounts)) await mkdir(join(image, inside), { recursive: true });
  const own = ["--mount", "--pid", "--fork", "--kill-child"];
  const pairs = Object.entries(mounts).flat();
  const args = [...own, "/bin/sh", "-c", ENTER, "enter", image, root, ...pairs, "--", ...command];
  return spawn("unshare", args, { stdio: ["ignore", "pipe", "pipe"] });
}

/** The machine's id of a container's process 1, once it has one. */
export async function processOne({ pid = 0 }: ChildProcess): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return Number.parseInt(children, 10);
}

/** Starts one more command in a running container, as `docker exec` and health checks do. */
export async function startInside(
  container: ChildProcess,
  command: readonly string[],
): Promise<ChildProcess> {
  const target = [
    "--target",
    `${await processOne(container)}`,
    "--mount",
    "--pid",
    "--root",
    "--wd",
  ];
  const user = ["--setuid", `${USER}`, "--setgid", `${USER}`];
  return spawn("nsenter", [...target, ...user, ...command], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {},
  });
}
