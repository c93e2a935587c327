/** How operations ask the core, and what its answers are to an operator. */
import assert from "node:assert/strict";
import type { Answer } from "../core/mesh/effect.ts";
import { FINDINGS } from "../core/mesh/finding.ts";
import type { Input, Ticket } from "../core/mesh/input.ts";
import { Fault } from "../fault.ts";
import type { MeshLoop } from "../runtime/mesh-loop.ts";
import type { Logger } from "../telemetry/log.ts";
import { REFUSAL_ADVICE } from "./refusal-advice.ts";

/** Waited for the core's answer: a signature, a store batch, or a deletion in SPIRE. Above: the order stands. */
const ORDER_DEADLINE_MS = 15_000;

export interface AskPorts {
  readonly loop: Pick<MeshLoop, "ask">;
}

/** Asks the core; who waits longer than the deadline is told, while the order itself stands. */
export async function ask(
  { loop }: AskPorts,
  makeInput: (ticket: Ticket) => Input,
): Promise<Answer> {
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const message = `no answer within ${ORDER_DEADLINE_MS / 1_000} s; the order is still under way`;
    reject(new Fault("NOT_READY", message));
  }, ORDER_DEADLINE_MS);
  try {
    const answer = await Promise.race([loop.ask(makeInput), deadline]);
    if (answer === undefined) throw new Fault("NOT_READY", "the daemon is stopping");
    return answer;
  } finally {
    clearTimeout(timer);
  }
}

export function expectDone(answer: Answer): void {
  if (answer.kind !== "done") throw unexpected(answer);
}

/** An answer that is a failure, as the fault that an operator sees. */
export function unexpected(answer: Answer): Fault {
  if (answer.kind === "failed") {
    const { failure, message, next } = answer;
    return new Fault(failure, message, next === undefined ? {} : { advice: next });
  }
  assert(answer.kind === "refused", `${answer.kind} answers another order`);
  const { code, detail } = answer.refusal;
  return code === "STORE_FAILED"
    ? new Fault("STORE_FULL", detail, { advice: FINDINGS.STORE_FAILED.next })
    : new Fault("RECORD_REFUSED", detail, { advice: REFUSAL_ADVICE[code] });
}

/**
 * Carries out what a person decided, and says so in the log before they are told: what it was, why,
 * and what became of it.
 */
export async function logged<Reply extends { readonly trust_domain?: string }>(
  log: Pick<Logger, "info" | "warn">,
  what: string,
  fields: Readonly<Record<string, unknown>>,
  order: () => Promise<Reply>,
): Promise<Reply> {
  try {
    const reply = await order();
    const { trust_domain: trust_domain_id, ...became } = reply;
    log.info({ ...fields, trust_domain_id, ...became }, what);
    return reply;
  } catch (error) {
    if (error instanceof Fault) {
      const { code, message: detail } = error;
      log.warn({ ...fields, code, detail }, `${what}: not done`);
    }
    throw error;
  }
}
