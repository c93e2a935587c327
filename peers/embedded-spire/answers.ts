/**
 * How SPIRE Server says no. A call fails with a code; a Batch call answers OK and each of its items
 * carries a status of its own. Both begin as a `ConnectError` thrown where the reason is seen.
 */
import { Code, ConnectError } from "../../src/spire-api/services.ts";
import type { Log } from "./log.ts";

export interface ItemStatus {
  readonly code: number;
  readonly message: string;
}

const OK: ItemStatus = { code: 0, message: "OK" };

export function refusal(code: Code, message: string): ConnectError {
  return new ConnectError(message, code);
}

/**
 * Does the work. A refusal that it throws stays as it is; anything else becomes one with this code
 * and sentence, and the cause's text after it.
 */
export function attempt<Value>(code: Code, message: string, work: () => Value): Value {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof ConnectError) throw cause;
    throw new ConnectError(`${message}: ${textOf(cause)}`, code, undefined, undefined, cause);
  }
}

/** Does the work, and puts the words in front of whatever it throws. */
export function explain<Value>(message: string, work: () => Value): Value {
  try {
    return work();
  } catch (cause) {
    throw new Error(`${message}: ${textOf(cause)}`, { cause });
  }
}

/** Does one item of a Batch call. The status is OK and its result, or why there is none. */
export function item<Result extends object>(
  log: Log,
  work: () => Result,
): Partial<Result> & { readonly status: ItemStatus } {
  try {
    return { ...work(), status: OK };
  } catch (error) {
    const { code, rawMessage: message } = ConnectError.from(error, Code.Internal);
    logRefusal(log, code, message);
    return { status: { code, message } } as Partial<Result> & { readonly status: ItemStatus };
  }
}

/** Logs a refusal in SPIRE's words. */
export function logRefusal(log: Log, code: Code, message: string, method = ""): void {
  const sentence =
    code === Code.InvalidArgument
      ? `Invalid argument: ${message}`
      : message.charAt(0).toUpperCase() + message.slice(1);
  log("error", sentence, { subsystem_name: "api", ...(method === "" ? {} : { method }) });
}

/** The text of whatever was thrown, as it goes into a sentence. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
