/** What the commands have in common: how they reach a daemon, and how their operands and options are read. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Session, type SessionOptions, openSession } from "./session.ts";

/** Where a command's action leaves its exit code. */
export interface Outcome {
  exitCode: number;
}

/** Makes `command` one that talks to the daemon: its options, and its way there. */
export function talking(
  command: Command,
  outcome: Outcome,
  act: (session: Session, command: Command) => Promise<number>,
): Command {
  const socketPath = new Option("--socket-path <path>", "the daemon's admin socket");
  return command
    .addOption(socketPath.argParser(readPath).conflicts(["config"]))
    .option(
      "--config <file>",
      "read the admin socket's path from this configuration file",
      readPath,
    )
    .option("--expand-env", "expand $VARIABLES in the configuration file")
    .addOption(outputOption())
    .action(async () => {
      const session = await openSession(command.opts<SessionOptions>());
      outcome.exitCode = await act(session, command);
    });
}

export function outputOption(): Option {
  return new Option("--output <format>", "form of the result")
    .choices(["pretty", "json"])
    .default("pretty");
}

/** An empty one is what a variable of the shell was that nobody set. */
export function readPath(text: string): string {
  if (text === "") throw new InvalidArgumentError("Write a path.");
  return text;
}

export function append(address: string, addresses: readonly string[]): string[] {
  if (address === "") throw new InvalidArgumentError("Write a multiaddr.");
  return [...addresses, address];
}

/** Four digits are plenty: no daemon has more than 10,000 partners. */
export function readCount(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError("Write a whole number.");
  return Number.parseInt(text, 10);
}

export function readKeyCount(text: string): number {
  if (!/^[1-5]$/.test(text)) throw new InvalidArgumentError("Write a number from 1 to 5.");
  return Number.parseInt(text, 10);
}
