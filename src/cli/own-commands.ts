/** The commands about the own trust domain: what only a person decides, and its nodes. */
import type { Command } from "commander";
import { type Outcome, append, talking } from "./command.ts";
import { readFingerprint, readNodeFingerprint } from "./fingerprint.ts";

export function addOwnCommands(own: Command, outcome: Outcome): void {
  talking(own.command("confirm-restore"), outcome, async (session) => {
    const { confirmRestore } = await import("./own.ts");
    return await confirmRestore(session);
  }).description("publish what SPIRE Server shows after a restored datastore");

  talking(own.command("new-lineage"), outcome, async (session, command) => {
    const { newLineage } = await import("./own.ts");
    return await newLineage(session, command.opts<{ reason: string }>().reason);
  })
    .description("begin with a first record anew, which every partner must pin")
    .requiredOption("--reason <text>", "why, for the log; at most 256 bytes");

  talking(own.command("adopt"), outcome, async (session, command) => {
    const { adopt } = await import("./own.ts");
    const { fingerprint, peer } = command.opts<{ fingerprint: string; peer: readonly string[] }>();
    return await adopt(session, fingerprint, peer);
  })
    .description("go on from the record of another node of this trust domain")
    .requiredOption("--fingerprint <id>", "its record, as `export` shows it there", readFingerprint)
    .option("--peer <address>", "a node that has it, as a multiaddr; may be repeated", append, []);

  talking(own.command("resume"), outcome, async (session) => {
    const { resume } = await import("./own.ts");
    return await resume(session);
  })
    .description("go on after a lost store without waiting for partners")
    .requiredOption("--accept-marks", "give up what partners may hold above the marks");
}

export function addNodeCommands(node: Command, outcome: Outcome): void {
  talking(node.command("list"), outcome, async (session) => {
    const { listNodes } = await import("./node.ts");
    return await listNodes(session);
  }).description("list the nodes that may publish, and what each stands on");

  talking(node.command("add"), outcome, async (session, command) => {
    const { addNode } = await import("./node.ts");
    const [peerId = ""] = command.args;
    return await addNode(session, peerId, command.opts<{ fingerprint: string }>().fingerprint);
  })
    .description("let another node publish for this trust domain")
    .argument("<id>", "its peer id, as its `status` shows it")
    .requiredOption(
      "--fingerprint <f>",
      "its key's fingerprint, as its `status` shows it",
      readNodeFingerprint,
    );

  talking(node.command("remove"), outcome, async (session, command) => {
    const { removeNode } = await import("./node.ts");
    const [peerId = ""] = command.args;
    return await removeNode(session, peerId, command.opts<{ force?: true }>().force === true);
  })
    .description("let a node publish no more, for good")
    .argument("<id>", "its peer id")
    .option("--force", "without asking nodes that were not heard for 5 minutes");
}
