/** Errors of the operating system, in its own words. */
import { getSystemErrorMessage } from "node:util";

/** `no such file or directory` rather than ENOENT and a path that the sentence names already. */
export function reasonOf(error: unknown): string {
  if (isErrno(error) && error.errno !== undefined) return getSystemErrorMessage(error.errno);
  return error instanceof Error ? error.message : String(error);
}

export function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error;
}
