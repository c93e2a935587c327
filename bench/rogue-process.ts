/** Starts rogues as processes of their own and tells them when to begin. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Done, Orders } from "./rogue.ts";

const ROGUE = fileURLToPath(new URL("rogue.ts", import.meta.url));
/** An attack that lasts longer than it should by this much hangs. */
const LATE_MS = 30_000;

export interface RogueProcess {
  /** Begins the attack. Resolves when it is over. */
  attack(): Promise<Done>;
  end(): void;
}

/** Resolves when it could begin. It ends with this process, as its channel closes then. */
export async function startRogueProcess(orders: Partial<Orders>): Promise<RogueProcess> {
  const all = { envelopes: [], burst: 0, rate: 0, persistent: false, ...orders };
  // Without our own options, one of which lets a process end that only waits for what we say.
  const child = fork(ROGUE, [], { serialization: "advanced", execArgv: [] });
  const gone = new AbortController();
  child.once("exit", (code, signal) => gone.abort(new Error(`the rogue ended: ${code ?? signal}`)));
  child.send(all);
  await once(child, "message", { signal: gone.signal });
  return {
    attack: async () => {
      const late = AbortSignal.timeout((orders.seconds ?? 0) * 1_000 + LATE_MS);
      const signal = AbortSignal.any([late, gone.signal]);
      child.send("go");
      const [done] = (await once(child, "message", { signal })) as [Done];
      return done;
    },
    end: () => void child.kill("SIGKILL"),
  };
}
