/** Directories for tests, below the system's own for such. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** One that whoever made it removes. */
export async function makeTemporaryDirectory(): Promise<{
  readonly path: string;
  readonly remove: () => Promise<void>;
}> {
  const path = await mkdtemp(join(tmpdir(), "spire-mesh-test-"));
  return { path, remove: async () => await rm(path, { recursive: true, force: true }) };
}

/** One that is removed when the test ends. */
export async function temporaryDirectory(): Promise<string> {
  const { path, remove } = await makeTemporaryDirectory();
  onTestFinished(remove);
  return path;
}
