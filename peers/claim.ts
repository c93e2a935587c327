/** One run in a directory at a time. */
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { createServer } from "node:net";

/**
 * Claims a directory for this process; false when another process has it. The claim is a socket in
 * Linux's abstract namespace: it has no file, and ends with the process, however that ends.
 */
export async function claimDirectory(directory: string): Promise<boolean> {
  const { dev, ino } = await stat(directory);
  const server = createServer().unref();
  server.listen(`\0spire-mesh ${dev}:${ino}`);
  return await once(server, "listening").then(
    () => true,
    () => false, // EADDRINUSE
  );
}
