/** `own`: what only a person decides about the own trust domain. */
import { callAdmin } from "../admin-contract/client.ts";
import type { AdoptReply, OrderReply } from "../admin-contract/own.ts";
import { groupFingerprint } from "./fingerprint.ts";
import { printResult, withProgress } from "./output.ts";
import type { Session } from "./session.ts";

const DONE = 0;

export async function confirmRestore({ socketPath, format }: Session): Promise<number> {
  const work = callAdmin(socketPath, "confirmRestore", {});
  printResult(format, await withProgress("publishing", work), ({ record_id }) =>
    [
      "What SPIRE Server shows is published; partners take it by themselves.",
      `  ${groupFingerprint(record_id)}`,
    ].join("\n"),
  );
  return DONE;
}

export async function newLineage({ socketPath, format }: Session, reason: string): Promise<number> {
  const work = callAdmin(socketPath, "newLineage", { reason });
  printResult(format, await withProgress("publishing", work), renderLineage);
  return DONE;
}

/** Nobody follows by itself: the new record says nothing that the old one proves. */
function renderLineage({ trust_domain, record_id }: OrderReply): string {
  const fingerprint = groupFingerprint(record_id);
  return [
    `${trust_domain} begins anew with this record, and no partner follows by itself.`,
    `  ${fingerprint}`,
    "Next: tell every partner this fingerprint, not by the mesh; they run",
    `  spire-mesh bundle pin ${trust_domain} -fingerprint "${fingerprint}"`,
    "and every other node of this trust domain runs",
    `  spire-mesh own adopt -fingerprint "${fingerprint}"`,
  ].join("\n");
}

/** @param peers Multiaddrs of nodes that may have the record. */
export async function adopt(
  { socketPath, format }: Session,
  fingerprint: string,
  peers: readonly string[],
): Promise<number> {
  const work = callAdmin(socketPath, "adopt", { fingerprint, peers: [...peers] });
  printResult(format, await withProgress("adopting", work), renderAdopted);
  return DONE;
}

function renderAdopted({ trust_domain, outcome }: AdoptReply): string {
  return outcome === "unchanged"
    ? `${trust_domain} stands on this record already; nothing changed.`
    : `${trust_domain} goes on from this record when it arrives. Next: spire-mesh status.`;
}

export async function resume({ socketPath, format }: Session): Promise<number> {
  const work = callAdmin(socketPath, "resume", { accept_marks: true });
  printResult(
    format,
    await withProgress("resuming", work),
    () => "The daemon goes on with what the marks say. Next: spire-mesh status.",
  );
  return DONE;
}
