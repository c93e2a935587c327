/** `watch`: one event a line until Ctrl-C. */
import { watchAdmin } from "../admin-contract/client.ts";
import type { WatchEvent } from "../admin-contract/watch-event.ts";
import { note, printResult } from "./output.ts";
import type { Session } from "./session.ts";

export async function watch({ socketPath, format }: Session): Promise<number> {
  const ending = new AbortController();
  process.once("SIGINT", () => ending.abort());
  const events = await watchAdmin(socketPath, ending.signal);
  note("Watching; Ctrl-C ends it.");
  for await (const event of events) printResult(format, event, renderEvent);
  return 0;
}

function renderEvent({ t, event, trust_domain, peer_id, code, message }: WatchEvent): string {
  return [t, event, trust_domain, peer_id, code, message]
    .filter((part) => part !== undefined && part !== null)
    .join("  ");
}
