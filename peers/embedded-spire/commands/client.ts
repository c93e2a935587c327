/** Calls to a server's socket, and the options that every command has. */
import process from "node:process";
import { type SpireApi, spireApi } from "../../../src/spire-api/client.ts";
import { Code, ConnectError } from "../../../src/spire-api/services.ts";
import type { OptionKinds } from "../arguments.ts";
import { DEFAULT_SOCKET_PATH } from "../configuration.ts";
import { CommandError } from "./output.ts";

export const CLIENT_OPTIONS = {
  socketPath: "text",
  output: "text",
} as const satisfies OptionKinds;

/**
 * Does the work with the socket's API, and lets go of it. A failed call is a `CommandError`.
 * @param failure Words of the command in front of the call's own.
 */
export async function withApi(
  { socketPath }: { readonly socketPath?: string },
  work: (api: SpireApi) => Promise<void>,
  failure?: string,
): Promise<void> {
  const api = spireApi({
    socketPath: socketPath ?? process.env["SPIRE_SERVER_PRIVATE_SOCKET"] ?? DEFAULT_SOCKET_PATH,
  });
  try {
    await work(api);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const { code, rawMessage } = error;
    const prefix = failure === undefined ? "" : `${failure}: `;
    throw new CommandError(`${prefix}rpc error: code = ${Code[code]} desc = ${rawMessage}`, {
      cause: error,
    });
  } finally {
    api.close();
  }
}

/** The one result of a Batch call for one item; its refusal is a `CommandError`. */
export function onlyResult<
  Result extends {
    readonly status?: { readonly code: number; readonly message: string } | undefined;
  },
>(results: readonly Result[], failure: string): Result {
  const [result] = results;
  if (result?.status === undefined) throw new CommandError(`${failure}: no result`);
  if (result.status.code !== 0) throw new CommandError(`${failure}: ${result.status.message}`);
  return result;
}
