/** The commands about bundles in effect, and those before them. */
import { type Command, Option } from "commander";
import type { BundleFormat } from "../admin-contract/bundle.ts";
import { type Outcome, talking } from "./command.ts";
import { readFingerprint } from "./fingerprint.ts";

export function addBundleCommands(bundle: Command, outcome: Outcome): void {
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

  talking(bundle.command("history"), outcome, async (session, { args: [trustDomain = ""] }) => {
    const { showHistory } = await import("./history.ts");
    return await showHistory(session, trustDomain);
  })
    .description("list the versions that were held, with who signed them")
    .argument("<trust-domain>");

  talking(bundle.command("diff"), outcome, async (session, command) => {
    const { showDiff } = await import("./history.ts");
    const [trustDomain = ""] = command.args;
    return await showDiff(session, trustDomain, command.opts<{ from?: string; to?: string }>());
  })
    .description("say what changed between the last two versions, or two that are named")
    .argument("<trust-domain>")
    .option("--from <id>", "a record id, as history shows it", readFingerprint)
    .option("--to <id>", "a record id; by default what stands", readFingerprint);
}
