/** Record ids, and hashes of keys, as people say and type them. */
import { Fault } from "../fault.ts";

const DIGITS = 64;
const GROUP = /[0-9a-f]{4}/g;

/** `1a2b 3c4d …`: sixteen groups of four, to be read aloud. */
export function groupFingerprint(recordId: string): string {
  return (recordId.match(GROUP) ?? []).join(" ");
}

/**
 * 64 hex digits; spaces, dashes and capitals do not matter. Throws `USAGE` for anything else, as for
 * the first group alone: a shell takes a fingerprint without quotes apart.
 */
export function readFingerprint(typed: string): string {
  return readDigits(typed, "Ask the publisher to read it out from `spire-mesh export` again.");
}

/** That of a node's key: SHA-256 too, and shown elsewhere. */
export function readNodeFingerprint(typed: string): string {
  return readDigits(typed, "Read it again from `spire-mesh status` at that node.");
}

function readDigits(typed: string, readAgain: string): string {
  const digits = typed.replace(/[\s\p{Pd}]/gu, "").toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digits)) return digits;
  const problem = /^[0-9a-f]*$/.test(digits)
    ? `has ${digits.length} digits instead of ${DIGITS}`
    : "is not made of hex digits alone";
  const advice = /^[0-9a-f]{4}$/.test(digits)
    ? 'Put the whole fingerprint in quotes: -fingerprint "1a2b 3c4d …".'
    : readAgain;
  throw new Fault("USAGE", `The fingerprint ${problem}.`, { advice });
}
