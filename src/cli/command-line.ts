/**
 * The command line: what there is to call, and how it ends. Each command's own module is loaded when
 * it is called, so that one which asks a question starts quickly, and `run` alone loads the daemon.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { BundleFormat } from "../admin-contract/bundle.ts";
import { VERSION } from "../admin-contract/version.ts";
import { Fault } from "../fault.ts";
import { readFingerprint } from "./fingerprint.ts";
import { spellOptions } from "./option-spelling.ts";
import { type OutputFormat, reportFault } from "./output.ts";
import type { CreateOptions, SignOptions } from "./recovery.ts";
import type { RunOptions } from "./run.ts";
import { type Session, type SessionOptions, openSession } from "./session.ts";
import type { ValidateOptions } from "./validate.ts";

const SPELLING = "Options are also taken as in spire-server: -socketPath X for --socket-path X.";

/** Runs one command. Resolves with the exit code; a `Fault` has been reported by then. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const outcome = { exitCode: 0 };
  const program = buildProgram(outcome);
  const spelled = spellOptions(program, argv);
  try {
    await program.parseAsync(spelled, { from: "user" });
    return outcome.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0; // -h and --version
    const fault = error instanceof CommanderError ? usageFault(error) : error;
    if (!(fault instanceof Fault)) throw fault;
    reportFault(wantedFormat(spelled), fault);
    return fault.exitCode;
  }
}

/** The command tree; an action leaves its exit code in `outcome`. */
function buildProgram(outcome: { exitCode: number }): Command {
  const program = new Command("spire-mesh")
    .description("Carries SPIFFE trust bundles between SPIRE Servers.")
    .version(VERSION, "--version", "print the version")
    .exitOverride()
    .configureOutput({ outputError: () => undefined }) // An error is reported once, as a fault.
    .addHelpText("afterAll", `\n${SPELLING}`);
  addOwnCommands(program, outcome);
  addDaemonCommands(program, outcome);
  addBundleCommands(program.command("bundle").description("bundles in effect"), outcome);
  addRecoveryCommands(program.command("recovery").description("offline recovery keys"), outcome);
  const peer = program.command("peer").description("connections to other daemons");
  talking(peer.command("list"), outcome, async (session) => {
    const { listPeers } = await import("./peer.ts");
    return await listPeers(session);
  }).description("list who is connected");
  return program;
}

/** Commands about a configuration file. */
function addOwnCommands(program: Command, outcome: { exitCode: number }): void {
  const levels = ["debug", "info", "warn", "error"];
  program
    .command("run")
    .description("run the daemon in the foreground")
    .requiredOption("--config <file>", "configuration file", readPath)
    .option("--expand-env", "expand $VARIABLES in the configuration file")
    .addOption(new Option("--log-level <level>", "instead of log_level").choices(levels))
    .action(async (options: RunOptions) => {
      const { run } = await import("./run.ts");
      outcome.exitCode = await run(options);
    });
  program
    .command("validate")
    .description("check a configuration file")
    .requiredOption("--config <file>", "configuration file", readPath)
    .option("--expand-env", "expand $VARIABLES in the configuration file")
    .addOption(outputOption())
    .action(async (options: ValidateOptions) => {
      const { validate } = await import("./validate.ts");
      outcome.exitCode = await validate(options);
    });
}

function addDaemonCommands(program: Command, outcome: { exitCode: number }): void {
  talking(program.command("status"), outcome, async (session) => {
    const { status } = await import("./status.ts");
    return await status(session);
  }).description("say how things stand");

  talking(program.command("healthcheck"), outcome, async (session, command) => {
    const { healthcheck } = await import("./status.ts");
    const { shallow = false, verbose = false } = command.opts<{ shallow?: true; verbose?: true }>();
    return await healthcheck(session, { shallow, verbose });
  })
    .description("exit 0 when the daemon is ready, else 1")
    .option("--shallow", "healthy as soon as the daemon answers")
    .option("--verbose", "print what is wrong");

  talking(program.command("verify"), outcome, async (session, command) => {
    const { verify } = await import("./status.ts");
    return await verify(session, command.opts<{ expect: number }>().expect);
  })
    .description("exit 0 when so many trust domains are accepted, fresh and equal in SPIRE, else 1")
    .requiredOption("--expect <number>", "how many trust domains it should be", readCount);

  talking(program.command("export"), outcome, async (session, command) => {
    const { exportRecord } = await import("./exchange.ts");
    return await exportRecord(session, command.opts<{ file?: string }>().file);
  })
    .description("write the own record to a file, and its fingerprint to stderr")
    .option("-o, --file <file>", "write here; - is stdout", readPath);

  talking(program.command("import"), outcome, async (session, command) => {
    const { importRecords } = await import("./exchange.ts");
    const { fingerprint, peer, replace = false } = command.opts<ImportFlags>();
    return await importRecords(session, command.args, { fingerprint, peers: peer, replace });
  })
    .description("take in a partner's record")
    .argument("<file...>", "files made by export; - is stdin", readPath)
    .option(
      "--fingerprint <id>",
      "approve the trust domain with exactly this record",
      readFingerprint,
    )
    .option("--peer <address>", "also dial this multiaddr; may be repeated", append, [])
    .option("--replace", "take over a row or relationship that SPIRE Server has already");

  talking(program.command("forget"), outcome, async (session, { args: [trustDomain = ""] }) => {
    const { forget } = await import("./exchange.ts");
    return await forget(session, trustDomain);
  })
    .description("undo an import and delete the row in SPIRE Server, unless it is unmanaged")
    .argument("<trust-domain>");

  talking(program.command("watch"), outcome, async (session) => {
    const { watch } = await import("./watch.ts");
    return await watch(session);
  }).description("print each event until Ctrl-C");
}

interface ImportFlags {
  readonly fingerprint?: string;
  readonly peer: readonly string[];
  readonly replace?: true;
}

function addBundleCommands(bundle: Command, outcome: { exitCode: number }): void {
  talking(bundle.command("list"), outcome, async (session) => {
    const { listBundles } = await import("./bundle.ts");
    return await listBundles(session);
  }).description("list the bundles in effect");

  talking(bundle.command("show"), outcome, async (session, command) => {
    const { showBundle } = await import("./bundle.ts");
    const [trustDomain = ""] = command.args;
    return await showBundle(session, trustDomain, command.opts<{ format?: BundleFormat }>().format);
  })
    .description("show one bundle")
    .argument("<trust-domain>")
    .addOption(
      new Option("--format <format>", "print this document instead").choices(["spiffe", "pem"]),
    );

  talking(bundle.command("pin"), outcome, async (session, command) => {
    const { pinBundle } = await import("./bundle.ts");
    const [trustDomain = ""] = command.args;
    const { fingerprint } = command.opts<{ fingerprint: string }>();
    return await pinBundle(session, trustDomain, fingerprint);
  })
    .description("take exactly one record as the new start")
    .argument("<trust-domain>")
    .requiredOption("--fingerprint <id>", "the record that becomes the new start", readFingerprint);
}

function addRecoveryCommands(recovery: Command, outcome: { exitCode: number }): void {
  const passphraseFile = (): Option =>
    new Option(
      "--passphrase-file <file>",
      "read passphrases from this private file; - is stdin",
    ).argParser(readPath);
  recovery
    .command("create")
    .description("make recovery keys; needs no daemon and no network")
    .requiredOption("--record <file>", "an export of the own record: whose keys they are", readPath)
    .requiredOption("--keys <number>", "how many keys, 1 to 5", readKeyCount)
    .requiredOption("--threshold <number>", "how many of them sign together", readKeyCount)
    .requiredOption("--out <directory>", "write them here; a new or empty directory", readPath)
    .addOption(passphraseFile())
    .option("--print-keys", "also write forms with the keys in clear, without passphrases")
    .addOption(outputOption())
    .action(async (options: CreateOptions) => {
      const { createRecoveryKeys } = await import("./recovery.ts");
      outcome.exitCode = await createRecoveryKeys(options);
    });
  recovery
    .command("sign")
    .description("show a recovery request and sign it; needs no daemon and no network")
    .argument("<request>", "file of the request", readPath)
    .requiredOption("--key <file>", "a key's file, or its block typed from paper", readPath)
    .requiredOption("--out <file>", "write the signature here; a new file", readPath)
    .addOption(passphraseFile())
    .addOption(outputOption())
    .action(async (request: string, options: SignOptions) => {
      const { signRecovery } = await import("./recovery.ts");
      outcome.exitCode = await signRecovery(request, options);
    });
  talking(recovery.command("status"), outcome, async (session) => {
    const { recoveryStatus } = await import("./recovery.ts");
    return await recoveryStatus(session);
  }).description("say which recovery keys the own record commits to");
}

/** Makes `command` one that talks to the daemon: its options, and its way there. */
function talking(
  command: Command,
  outcome: { exitCode: number },
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

function outputOption(): Option {
  return new Option("--output <format>", "form of the result")
    .choices(["pretty", "json"])
    .default("pretty");
}

/** An empty one is what a variable of the shell was that nobody set. */
function readPath(text: string): string {
  if (text === "") throw new InvalidArgumentError("Write a path.");
  return text;
}

function append(address: string, addresses: readonly string[]): string[] {
  if (address === "") throw new InvalidArgumentError("Write a multiaddr.");
  return [...addresses, address];
}

/** Four digits are plenty: no daemon has more than 10,000 partners. */
function readCount(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError("Write a whole number.");
  return Number.parseInt(text, 10);
}

function readKeyCount(text: string): number {
  if (!/^[1-5]$/.test(text)) throw new InvalidArgumentError("Write a number from 1 to 5.");
  return Number.parseInt(text, 10);
}

/** commander's words without its prefix and line ends. */
function usageFault({ message, code }: CommanderError): Fault {
  if (code === "commander.help") return new Fault("USAGE", "A command is missing.");
  const sentence = message.replace(/^error: /, "").replaceAll("\n", " ");
  return new Fault("USAGE", `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}`);
}

/** The wish for JSON, also when the command line as a whole could not be read. */
function wantedFormat(spelled: readonly string[]): OutputFormat {
  const end = spelled.indexOf("--");
  const words = end === -1 ? spelled : spelled.slice(0, end);
  const isJson =
    words.includes("--output=json") || words[words.lastIndexOf("--output") + 1] === "json";
  return isJson ? "json" : "pretty";
}
