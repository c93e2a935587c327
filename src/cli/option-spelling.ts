/**
 * Option names as people of SPIRE type them. `-socketPath`, `--socketPath` and `-socket-path` become
 * `--socket-path` before commander reads them; anything that is not a declared option, the value of
 * one, or comes after `--`, stays as it is.
 */
import type { Command } from "commander";

interface Spelling {
  readonly spelled: string;
  /** The next word is this option's value. */
  readonly takesValue: boolean;
}

/** The command line with every declared long option in commander's spelling. */
export function spellOptions(program: Command, argv: readonly string[]): string[] {
  const declared = declaredOptions(program);
  const spelled: string[] = [];
  let isValue = false;
  for (const [index, word] of argv.entries()) {
    if (word === "--" && !isValue) return [...spelled, ...argv.slice(index)];
    const asWritten = { spelled: word, takesValue: declared.get(word) ?? false };
    const option: Spelling = (isValue ? undefined : readOption(word, declared)) ?? asWritten;
    spelled.push(option.spelled);
    isValue = !isValue && option.takesValue;
  }
  return spelled;
}

/** Each option of any command (`--socket-path`, `-o`), and whether a value follows it. */
function declaredOptions(command: Command): Map<string, boolean> {
  const declared = new Map<string, boolean>([["--help", false]]);
  for (const { long, short, required } of command.options) {
    for (const name of [long, short]) if (name !== undefined) declared.set(name, required);
  }
  for (const child of command.commands) {
    for (const [name, takesValue] of declaredOptions(child)) declared.set(name, takesValue);
  }
  return declared;
}

function readOption(word: string, declared: ReadonlyMap<string, boolean>): Spelling | undefined {
  const [, name = "", value = ""] = /^--?([A-Za-z][A-Za-z-]+)(=.*)?$/s.exec(word) ?? [];
  const long = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const takesValue = declared.get(long);
  if (takesValue === undefined) return undefined;
  return { spelled: `${long}${value}`, takesValue: takesValue && value === "" };
}
