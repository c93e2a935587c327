/** Runs strategies within a test, beside the daemon's own network. */
import { randomBytes } from "node:crypto";
import { afterEach } from "vitest";
import { Attack, type AttackOptions } from "./attack.ts";
import { type Rogue, type RogueOptions, startRogue } from "./rogue-node.ts";
import { STRATEGIES, type StrategyName } from "./strategies.ts";

/** A long run has ten times as much of everything. */
export const LONG = process.env["SPIRE_MESH_LONG"] === "1";
export const TIMES = LONG ? 10 : 1;

/** Begins attacks and ends those that still run when the test is over. */
export function beginsAttacks(): (
  strategy: StrategyName,
  options: Partial<AttackOptions> & Pick<AttackOptions, "address">,
) => { readonly attack: Attack; readonly done: Promise<void> } {
  const running = new Set<() => Promise<void>>();
  afterEach(async () => {
    await Promise.all([...running].map(async (stop) => await stop()));
    running.clear();
  });
  return (strategy, options) => {
    const stopping = new AbortController();
    const attack = new Attack({
      seed: randomBytes(32),
      seconds: 20,
      rate: 0,
      count: Infinity,
      persistent: false,
      from: undefined,
      signal: stopping.signal,
      ...options,
    });
    const done = STRATEGIES[strategy](attack);
    running.add(async () => {
      stopping.abort();
      await done;
      await attack.stop();
    });
    return { attack, done };
  };
}

/** Starts rogues and stops them when the test is over. */
export function startsRogues(): (options?: Partial<RogueOptions>) => Promise<Rogue> {
  const running: Rogue[] = [];
  afterEach(async () => {
    await Promise.all(running.splice(0).map(async (rogue) => await rogue.stop()));
  });
  return async (options = {}) => {
    const rogue = await startRogue({ seed: randomBytes(32), ...options });
    running.push(rogue);
    return rogue;
  };
}
