/**
 * The command line of `spire-server`: `run` serves, everything else asks a running server over its
 * socket, ours or a real one. Words, options and output are SPIRE's.
 */
import process from "node:process";
import { textOf } from "./answers.ts";
import { bundleCount, bundleDelete, bundleList, bundleSet, bundleShow } from "./commands/bundle.ts";
import { entryCreate, entryDelete, entryShow } from "./commands/entry.ts";
import { federationCreate, federationDelete, federationList } from "./commands/federation.ts";
import { healthcheck } from "./commands/healthcheck.ts";
import { localAuthorityCommands } from "./commands/local-authority.ts";

type Command = (args: readonly string[]) => Promise<void>;

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  // Certificates take most of the time to load, and only these two make any.
  ["run", async (args) => await (await import("./run.ts")).run(args)],
  ["x509 mint", async (args) => await (await import("./commands/x509.ts")).x509Mint(args)],
  ["healthcheck", healthcheck],
  ["bundle show", bundleShow],
  ["bundle list", bundleList],
  ["bundle set", bundleSet],
  ["bundle delete", bundleDelete],
  ["bundle count", bundleCount],
  ["entry create", entryCreate],
  ["entry show", entryShow],
  ["entry delete", entryDelete],
  ["federation create", federationCreate],
  ["federation list", federationList],
  ["federation delete", federationDelete],
  ...beginningWith("localauthority x509", localAuthorityCommands("x509")),
  ...beginningWith("localauthority jwt", localAuthorityCommands("jwt")),
]);

/** Runs the command that the first one to three words name. @returns The exit code. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const firstOption = argv.findIndex((word) => word.startsWith("-"));
  const name = argv.slice(0, firstOption === -1 ? argv.length : firstOption);
  const command = COMMANDS.get(name.join(" "));
  if (command === undefined) {
    const list = [...COMMANDS.keys()].map((words) => `    ${words}\n`).join("");
    process.stderr.write(
      `Usage: spire-server <command> [<args>]\n\nAvailable commands are:\n${list}`,
    );
    return 1;
  }
  try {
    await command(argv.slice(name.length));
    return 0;
  } catch (error) {
    process.stderr.write(`Error: ${textOf(error)}\n`);
    return 1;
  }
}

function beginningWith(
  words: string,
  commands: Readonly<Record<string, Command>>,
): readonly [string, Command][] {
  return Object.entries(commands).map(([last, command]) => [`${words} ${last}`, command]);
}
