/**
 * One thing that takes what others send, and everything that is sent to it here.
 *
 * Half of the inputs are raw mutants of valid ones, half come from a table of makers: an input that
 * is right but for one thing (signed again with good keys where it is signed), and what has to come
 * of it. The laws that hold whatever comes in are the judge's: it throws when one is broken.
 */
import type { Random } from "./random.ts";

/** What came of an input, in one word: `taken`, or the code of the refusal. */
export type Outcome = string;

export interface Maker {
  readonly name: string;
  readonly make: (random: Random) => Uint8Array;
  /** Each outcome that is right. A run has to meet all of them. */
  readonly expected: readonly Outcome[];
}

/** Everything else that an input is judged by, so that a kept input means the same in another run. */
export type Setting = Readonly<Record<string, string>>;

export interface Target {
  readonly setting: Setting;
  /** Inputs that are right. Raw mutants are made of them. */
  readonly valid: readonly Uint8Array[];
  readonly makers: readonly Maker[];
  /** Outcomes that a raw mutant may have; any when left out, as its laws say enough. */
  readonly rawExpected?: readonly Outcome[];
  /** What a reader wants around a raw mutant, such as the way by which it comes. */
  readonly frame?: (mutant: Uint8Array, random: Random) => Uint8Array;
  readonly judge: (input: Uint8Array) => Outcome | Promise<Outcome>;
  readonly stop?: () => Promise<void>;
}

export interface TargetSource {
  readonly name: string;
  /** How many of the 200,000 inputs of one run in CI it gets. */
  readonly inputs: number;
  /** Makes keys and all else that inputs are made of; with a setting, only what judges. */
  readonly open: (setting?: Setting) => Target | Promise<Target>;
}

/** A law that holds whatever comes in; an input that breaks it fails. */
export function hold(condition: boolean, law: string): asserts condition {
  if (!condition) throw new Error(`broken law: ${law}`);
}
