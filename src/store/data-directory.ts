/**
 * The daemon's own directory (`data_dir`): node key, records, FORMAT. Whoever can write here can
 * speak for this node, so it is refused rather than repaired when others can reach it.
 */
import { lstat, mkdir } from "node:fs/promises";
import { Fault } from "../fault.ts";

const OWNER_ONLY = 0o700;
const GROUP_AND_WORLD = 0o077;

/**
 * Makes sure that `path` is a directory of this process's user alone; creates it 0700 when missing.
 *
 * @param path Absolute path.
 * @throws {Fault} `CANNOT_CREATE` when it cannot be made or is not a directory; `NOT_ALLOWED` when
 *   it is a symlink (its target may be swapped), belongs to another user or lets others in.
 */
export async function prepareDataDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: OWNER_ONLY });
  } catch (cause) {
    // EEXIST: there is something that is not a directory; lstat below says what.
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") {
      throw new Fault("CANNOT_CREATE", `data_dir ${path} cannot be created`, { cause });
    }
  }
  const found = await lstat(path);
  if (found.isSymbolicLink()) {
    throw new Fault("NOT_ALLOWED", `data_dir ${path} is a symbolic link`, {
      advice: "Set `data_dir` to the directory that the link points to.",
    });
  }
  if (!found.isDirectory()) {
    throw new Fault("CANNOT_CREATE", `data_dir ${path} is not a directory`, {
      advice: "Set `data_dir` to a directory, or move the file away.",
    });
  }
  const user = process.geteuid?.();
  if (found.uid !== user) {
    throw new Fault(
      "NOT_ALLOWED",
      `data_dir ${path} belongs to user id ${found.uid}, not ${user}`,
      {
        advice: `Run the daemon as that user, or set \`data_dir\` to a new directory inside it.`,
      },
    );
  }
  if ((found.mode & GROUP_AND_WORLD) !== 0) {
    const mode = (found.mode & 0o777).toString(8);
    throw new Fault("NOT_ALLOWED", `data_dir ${path} has mode ${mode}: others can reach the keys`, {
      advice: `\`chmod 700 ${path}\`, or set \`data_dir\` to a new directory inside it.`,
    });
  }
}
