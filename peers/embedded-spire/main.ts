/**
 * The command `spire-server` of the embedded SPIRE Server: `run` serves, everything else asks a
 * running server over its socket, ours or a real one. Words, options and output are SPIRE's.
 */
import process from "node:process";
import { textOf } from "./answers.ts";
import { bundleCount, bundleDelete, bundleList, bundleSet, bundleShow } from "./commands/bundle.ts";
import { entryCreate, entryDelete, entryShow } from "./commands/entry.ts";
import { federationCreate, federationDelete, federationList } from "./commands/federation.ts";
import { healthcheck } from "./commands/healthcheck.ts";
import { localAuthorityCommands } from "./commands/local-authority.ts";
import { x509Mint } from "./commands/x509.ts";
import { run } from "./run.ts";

type Command = (args: readonly string[]) => Promise<void>;

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ["run", run],
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
  ...words("localauthority x509", localAuthorityCommands("x509")),
  ...words("localauthority jwt", localAuthorityCommands("jwt")),
  ["x509 mint", x509Mint],
]);

try {
  await dispatch(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`Error: ${textOf(error)}\n`);
  process.exit(1);
}

/** Runs the command that the first one to three words name. */
async function dispatch(argv: readonly string[]): Promise<void> {
  const firstOption = argv.findIndex((word) => word.startsWith("-"));
  const name = argv.slice(0, firstOption === -1 ? argv.length : firstOption);
  const command = COMMANDS.get(name.join(" "));
  if (command === undefined) {
    const list = [...COMMANDS.keys()].map((words) => `    ${words}\n`).join("");
    throw new Error(`Usage: spire-server <command> [<args>]\n\nAvailable commands are:\n${list}`);
  }
  await command(argv.slice(name.length));
}

function words(prefix: string, commands: Readonly<Record<string, Command>>): [string, Command][] {
  return Object.entries(commands).map(([last, command]) => [`${prefix} ${last}`, command]);
}
