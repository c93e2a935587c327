/** `bundle history`, `bundle diff` and `release`: what changed, and what is let come back. */
import { callAdmin } from "../admin-contract/client.ts";
import type { BundleDiff, DiffedAuthorities, HistoryEntry } from "../admin-contract/history.ts";
import { Fault } from "../fault.ts";
import { groupFingerprint } from "./fingerprint.ts";
import { printResult, withProgress } from "./output.ts";
import type { Session } from "./session.ts";
import { versionOf } from "./status.ts";
import { table } from "./table.ts";

const DONE = 0;

export async function showHistory(
  { socketPath, format }: Session,
  trustDomain: string,
): Promise<number> {
  const history = await callAdmin(socketPath, "history", { trust_domain: trustDomain });
  if (history.length === 0) throw new Fault("NOT_FOUND", `Nothing is held of ${trustDomain}.`);
  printResult(format, history, renderHistory);
  return DONE;
}

export async function showDiff(
  { socketPath, format }: Session,
  trustDomain: string,
  { from, to }: { readonly from?: string; readonly to?: string },
): Promise<number> {
  const request = { trust_domain: trustDomain, from, to };
  printResult(format, await callAdmin(socketPath, "diff", request), renderDiff);
  return DONE;
}

export async function release(
  { socketPath, format }: Session,
  trustDomain: string,
  recordId: string,
  reason: string,
): Promise<number> {
  const request = { trust_domain: trustDomain, record_id: recordId, reason };
  const work = callAdmin(socketPath, "release", request);
  printResult(
    format,
    await withProgress(`releasing ${trustDomain}`, work),
    ({ trust_domain }) =>
      `What came back in this record of ${trust_domain} goes to SPIRE Server now. Next: spire-mesh status.`,
  );
  return DONE;
}

function renderHistory(history: readonly HistoryEntry[]): string {
  const rows = history.map((entry) => [
    versionOf(entry),
    entry.stored_at ?? "not known",
    entry.applied_at ?? "",
    entry.record_id,
    entry.signed_by.map(({ peer_id, signed_at }) => `${peer_id} at ${signed_at}`).join(", "),
  ]);
  return table(["version", "stored", "applied", "record id", "signed by"], rows);
}

function renderDiff(diff: BundleDiff): string {
  const { from, to, nodes } = diff;
  const changes = [
    ...renderAuthorities("X.509 authority", diff.x509_authorities),
    ...renderAuthorities("JWT authority", diff.jwt_authorities),
    ...nodes.added.map((each) => `+ node ${each}`),
    ...nodes.removed.map((each) => `- node ${each}`),
    ...(diff.recovery_keys_changed ? ["! other recovery keys"] : []),
  ];
  return [
    `${diff.trust_domain}, version ${versionOf(from)} to ${versionOf(to)}`,
    `from ${groupFingerprint(from.record_id)}`,
    `to   ${groupFingerprint(to.record_id)}`,
    "",
    ...(changes.length === 0 ? ["Nothing but the version changed."] : changes),
  ].join("\n");
}

function renderAuthorities(
  what: string,
  { added, removed, tainted, untainted }: DiffedAuthorities,
): string[] {
  return [
    ...added.map((each) => `+ ${what} ${each}`),
    ...removed.map((each) => `- ${what} ${each}`),
    ...tainted.map((each) => `! ${what} ${each} is tainted`),
    ...untainted.map((each) => `! ${what} ${each} is no longer tainted`),
  ];
}
