/** The commands about offline recovery keys. */
import { type Command, Option } from "commander";
import { type Outcome, outputOption, readKeyCount, readPath, talking } from "./command.ts";
import type { RequestOptions } from "./recover.ts";
import type { CreateOptions, SignOptions } from "./recovery.ts";

export function addRecoveryCommands(recovery: Command, outcome: Outcome): void {
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
    const { recoveryStatus } = await import("./recover.ts");
    return await recoveryStatus(session);
  }).description("say which recovery keys the own record commits to");
  talking(recovery.command("commit"), outcome, async (session, { args: [file = ""] }) => {
    const { commitKeys } = await import("./recover.ts");
    return await commitKeys(session, file);
  })
    .description("publish which recovery keys there are: the first ones, from now on")
    .argument("<file>", "commitment.txt, as create wrote it", readPath);
  talking(recovery.command("request"), outcome, async (session, command) => {
    const { requestRecovery } = await import("./recover.ts");
    return await requestRecovery(session, command.opts<RequestOptions>());
  })
    .description("write down what the holders of recovery keys are asked to sign")
    .requiredOption("--out <file>", "write the request here; a new file", readPath)
    .option("--commit <file>", "the recovery keys after it: commitment.txt of new ones", readPath)
    .option("--without-keys", "have no recovery keys after it")
    .option("--record <file>", "an export of the last record, where the daemon lost it", readPath)
    .option("--exchange", "exchange the recovery keys alone: nothing else is lost");
}

/** The way back when keys or disks are lost. */
export function addRecoverCommand(program: Command, outcome: Outcome): void {
  talking(program.command("recover"), outcome, async (session, command) => {
    const { recover } = await import("./recover.ts");
    const [request = ""] = command.args;
    const { signature } = command.opts<{ signature: readonly string[] }>();
    return await recover(session, request, signature);
  })
    .description("publish what recovery keys have signed: partners begin anew with it")
    .argument("<request>", "file that `recovery request` wrote", readPath)
    .requiredOption("--signature <file...>", "what the holders of the keys sent back");
}

function passphraseFile(): Option {
  const option = new Option(
    "--passphrase-file <file>",
    "read passphrases from this private file; - is stdin",
  );
  return option.argParser(readPath);
}
