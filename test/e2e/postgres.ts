/**
 * A PostgreSQL of the test's own: in a directory of its own, on a Unix socket there alone, gone with
 * the test. PostgreSQL refuses to run as root, so root lets another user run it.
 */
import { type ExecFileSyncOptions, execFileSync } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { runToEnd, startChild } from "../../peers/child.ts";
import { until } from "./mesh.ts";

/** The user that Debian's package makes, else the one without rights. */
const USERS = ["postgres", "nobody"] as const;
const PROGRAMS = ["initdb", "postgres"] as const;
/** Debian keeps the server's programs off the PATH. */
const DEBIAN_DIRECTORIES = "/usr/lib/postgresql/*/bin";
const SUPERUSER = "spire";
const QUIET: ExecFileSyncOptions = { stdio: ["ignore", "pipe", "ignore"] };
/** Nothing here outlives the test, and it shares two cores with what is tested. */
const SETTINGS = ["listen_addresses=", "fsync=off", "shared_buffers=16MB", "jit=off"];

interface User {
  readonly uid: number;
  readonly gid: number;
}

export interface PostgresPrograms {
  /** Holds `initdb` and `postgres`. */
  readonly directory: string;
  /** Who runs them; undefined is whoever we are. */
  readonly user: User | undefined;
}

export interface Postgres {
  /** As SPIRE's `connection_string` takes it. */
  readonly connectionString: string;
  /** Ends it, and removes what it wrote. */
  stop(): Promise<void>;
}

/** What to start PostgreSQL with; or in one line why it cannot run here. */
export function findPostgres(): PostgresPrograms | string {
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((entry) => entry !== "");
  const directory = [...path, ...globSync(DEBIAN_DIRECTORIES)].find((each) =>
    PROGRAMS.every((program) => existsSync(join(each, program))),
  );
  if (directory === undefined) return `no ${PROGRAMS.join(" and ")} of PostgreSQL on PATH`;
  if (process.getuid?.() !== 0) return { directory, user: undefined };
  const user = USERS.map(findUser).find((found) => found !== undefined);
  if (user !== undefined) return { directory, user };
  return `PostgreSQL refuses root, and there is no setpriv with a user ${USERS.join(" or ")}`;
}

/** Resolves once it takes connections. */
export async function startPostgres({ directory, user }: PostgresPrograms): Promise<Postgres> {
  const home = await mkdtemp(join(tmpdir(), "pg-"));
  if (user !== undefined) await chown(home, user.uid, user.gid);
  const data = join(home, "data");
  const [initdb, ...initdbArgs] = [
    ...asUser(user, join(directory, "initdb")),
    `--pgdata=${data}`,
    `--username=${SUPERUSER}`,
    "--auth=trust",
    "--locale=C",
    "--encoding=UTF8",
    "--no-sync",
  ];
  const made = await runToEnd(initdb, initdbArgs);
  if (made.code !== 0) throw new Error(`initdb failed (${made.code}): ${made.stderr}`);
  const [postgres, ...postgresArgs] = [
    ...asUser(user, join(directory, "postgres")),
    "-D",
    data,
    "-k",
    home,
    ...SETTINGS.flatMap((setting) => ["-c", setting]),
  ];
  const child = startChild(postgres, postgresArgs, join(home, "postgres.log"));
  const stop = async (signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    await child.end(signal);
    await rm(home, { recursive: true, force: true });
  };
  try {
    await until("PostgreSQL takes connections", async () => {
      return (await child.log()).includes("database system is ready to accept connections");
    });
  } catch (error) {
    const log = await child.log();
    await stop("SIGKILL");
    throw new Error(log, { cause: error });
  }
  return {
    connectionString: `host=${home} user=${SUPERUSER} dbname=postgres sslmode=disable`,
    stop: async () => await stop("SIGTERM"),
  };
}

/** The words that run a program as this user; setpriv becomes the program, so signals reach it. */
function asUser(user: User | undefined, program: string): readonly [string, ...string[]] {
  if (user === undefined) return [program];
  const { uid, gid } = user;
  return ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", "--", program];
}

/** Undefined when there is no such user, or no setpriv to become it with. */
function findUser(name: string): User | undefined {
  const idOf = (option: string): number => Number(execFileSync("id", [option, name], QUIET));
  try {
    execFileSync("setpriv", ["--version"], QUIET);
    return { uid: idOf("-u"), gid: idOf("-g") };
  } catch {
    return undefined;
  }
}
