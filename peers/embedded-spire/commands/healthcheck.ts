/** `healthcheck`. */
import process from "node:process";
import { ServingStatus } from "../../../src/spire-api/services.ts";
import { readOptions } from "../arguments.ts";
import { CLIENT_OPTIONS, withApi } from "./client.ts";
import { CommandError, print } from "./output.ts";

export async function healthcheck(args: readonly string[]): Promise<void> {
  const { socketPath, verbose = false } = readOptions(args, {
    socketPath: CLIENT_OPTIONS.socketPath,
    shallow: "flag",
    verbose: "flag",
  });
  if (verbose) process.stdout.write("Checking server health...\n");
  try {
    await withApi(socketPath === undefined ? {} : { socketPath }, async (api) => {
      const { status } = await api.health.check({ service: "" });
      if (status === ServingStatus.SERVING) return;
      throw new CommandError(`server returned status ${ServingStatus[status]}`);
    });
  } catch (error) {
    throw new CommandError("server is unhealthy: unable to determine health", { cause: error });
  }
  print("Server is healthy.\n");
}
