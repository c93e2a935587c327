/**
 * The command line: what there is to call, and how it ends. Each command's own module is loaded when
 * it is called, so that one which asks a question starts quickly, and `run` alone loads the daemon.
 */
import { Command, CommanderError, Option } from "commander";
import { VERSION } from "../admin-contract/version.ts";
import { Fault } from "../fault.ts";
import { addBundleCommands } from "./bundle-commands.ts";
import { type Outcome, append, outputOption, readCount, readPath, talking } from "./command.ts";
import { readFingerprint } from "./fingerprint.ts";
import { spellOptions } from "./option-spelling.ts";
import { type OutputFormat, reportFault } from "./output.ts";
import { addNodeCommands, addOwnCommands } from "./own-commands.ts";
import { addRecoverCommand, addRecoveryCommands } from "./recovery-commands.ts";
import type { RunOptions } from "./run.ts";
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
function buildProgram(outcome: Outcome): Command {
  const program = new Command("spire-mesh")
    .description("Carries SPIFFE trust bundles between SPIRE Servers.")
    .version(VERSION, "--version", "print the version")
    .exitOverride()
    .configureOutput({ outputError: () => undefined }) // An error is reported once, as a fault.
    .addHelpText("afterAll", `\n${SPELLING}`);
  addFileCommands(program, outcome);
  addDaemonCommands(program, outcome);
  addBundleCommands(program.command("bundle").description("bundles in effect"), outcome);
  addOwnCommands(program.command("own").description("what only a person decides"), outcome);
  addNodeCommands(program.command("node").description("nodes of the own trust domain"), outcome);
  addRecoveryCommands(program.command("recovery").description("offline recovery keys"), outcome);
  addRecoverCommand(program, outcome);
  const peer = program.command("peer").description("connections to other daemons");
  talking(peer.command("list"), outcome, async (session) => {
    const { listPeers } = await import("./peer.ts");
    return await listPeers(session);
  }).description("list who is connected");
  return program;
}

/** Commands about a configuration file. */
function addFileCommands(program: Command, outcome: Outcome): void {
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

function addDaemonCommands(program: Command, outcome: Outcome): void {
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
    const { exportAll, exportRecord } = await import("./exchange.ts");
    const { file, all = false } = command.opts<{ file?: string; all?: true }>();
    return all ? await exportAll(session, file) : await exportRecord(session, file);
  })
    .description("write the own record to a file, and its fingerprint to stderr")
    .option("-o, --file <file>", "write here; - is stdout", readPath)
    .option("--all", "write every record that is held, each to a file in the directory of -o");

  talking(program.command("import"), outcome, async (session, command) => {
    const { importRecords } = await import("./import.ts");
    const { fingerprint, peer, replace = false } = command.opts<ImportFlags>();
    return await importRecords(session, command.args, { fingerprint, peers: peer, replace });
  })
    .description("take in records of partners, in any order")
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

  talking(program.command("release"), outcome, async (session, command) => {
    const { release } = await import("./history.ts");
    const [trustDomain = "", recordId = ""] = command.args;
    const { reason } = command.opts<{ reason: string }>();
    return await release(session, trustDomain, readFingerprint(recordId), reason);
  })
    .description("let an authority come back that a partner had taken back")
    .argument("<trust-domain>")
    .argument("<id>", "the record that has it again, as AUTHORITY_RETURNED names it")
    .requiredOption("--reason <text>", "why, for the log; at most 256 bytes");

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
