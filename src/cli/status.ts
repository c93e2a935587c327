/** `status`, `healthcheck` and `verify`: how things stand, at length or as an exit code. */
import { callAdmin } from "../admin-contract/client.ts";
import type { Finding, Health, Status, TrustDomainStatus } from "../admin-contract/status.ts";
import { Fault } from "../fault.ts";
import { groupFingerprint } from "./fingerprint.ts";
import {
  note,
  paint,
  printError,
  printResult,
  reportFault,
  withNext,
  withProgress,
} from "./output.ts";
import { table } from "./table.ts";
import type { Session } from "./session.ts";

const DONE = 0;
const ANSWER_IS_NO = 1;

export async function status({ socketPath, format }: Session): Promise<number> {
  printResult(format, await callAdmin(socketPath, "status", {}), renderStatus);
  return DONE;
}

/** `shallow`: it is enough that the daemon answers. A daemon that is not there is not healthy. */
export async function healthcheck(
  { socketPath, format }: Session,
  options: { readonly shallow: boolean; readonly verbose: boolean },
): Promise<number> {
  const health = await callAdmin(socketPath, "healthcheck", {}).catch((error: unknown) => {
    if (error instanceof Fault && error.code === "DAEMON_UNREACHABLE") return error;
    throw error;
  });
  if (health instanceof Fault) {
    reportFault(format, health);
    return ANSWER_IS_NO;
  }
  const healthy = options.shallow || health.ready;
  printResult(format, { healthy, ...health }, ({ healthy, state }) =>
    healthy ? `The daemon is healthy (${state}).` : `The daemon is not healthy (${state}).`,
  );
  if (options.verbose) for (const problem of health.problems) note(problem);
  if (!healthy) printError({ code: "NOT_READY", ...unhealthy(health) });
  return healthy ? DONE : ANSWER_IS_NO;
}

/** The first problem, which may carry its own next step. */
function unhealthy({ state, problems }: Health): { message: string; advice: string } {
  const [message, advice] = problems[0]?.split(" Next: ", 2) ?? [];
  return {
    message: message ?? `the daemon is ${state}`,
    advice: advice ?? "spire-mesh status",
  };
}

/** Whether exactly `expected` trust domains are accepted, fresh and equal in SPIRE, as it has them now. */
export async function verify({ socketPath, format }: Session, expected: number): Promise<number> {
  const call = callAdmin(socketPath, "verify", {});
  const { trust_domains: domains, spire } = await withProgress("reading SPIRE's rows", call);
  const isServing = spire.state === "serving";
  const notVerified = domains
    .filter((each) => !isServing || !isVerified(each)) // What its rows were says nothing now.
    .map(({ trust_domain, trust, freshness, spire_row }) => ({
      trust_domain,
      trust,
      freshness,
      spire_row,
    }));
  const verified = domains.length - notVerified.length;
  const result = { expected, verified, spire_state: spire.state, not_verified: notVerified };
  printResult(format, result, renderVerification);
  if (isServing && verified === expected) return DONE;
  const message = isServing
    ? `${countOf(verified)} accepted, fresh and equal in SPIRE, not ${expected}`
    : `SPIRE Server is ${spire.state}, so its rows cannot be verified`;
  printError({ code: "NOT_VERIFIED", message, advice: "spire-mesh status" });
  return ANSWER_IS_NO;
}

function isVerified({ trust, freshness, spire_row }: TrustDomainStatus): boolean {
  return trust === "accepted" && freshness === "fresh" && spire_row === "equal";
}

function renderVerification(result: {
  readonly verified: number;
  readonly not_verified: readonly Pick<
    TrustDomainStatus,
    "trust_domain" | "trust" | "freshness" | "spire_row"
  >[];
}): string {
  const sentence = `${countOf(result.verified)} accepted, fresh and equal in SPIRE.`;
  if (result.not_verified.length === 0) return sentence;
  const rows = result.not_verified.map((each) => [
    each.trust_domain,
    each.trust,
    each.freshness,
    each.spire_row,
  ]);
  return `${sentence} Not so:\n${table(["trust domain", "trust", "freshness", "SPIRE row"], rows)}`;
}

function countOf(domains: number): string {
  return domains === 1 ? "1 trust domain is" : `${domains} trust domains are`;
}

function renderStatus(status: Status): string {
  const { spire, node, own } = status;
  const parts = [
    [
      `${status.trust_domain} is ${paint(status.state === "ready" ? "good" : "warning", status.state)} ` +
        `(spire-mesh ${status.version}, started ${status.started_at}).`,
      `SPIRE Server  ${spire.state}, bundle sequence ${spire.sequence_number ?? "unknown"}, ` +
        `read ${spire.last_read_at ?? "never"}${spire.last_error === null ? "" : `: ${spire.last_error}`}`,
      `Node          ${node.peer_id}, ${node.connections} connected, at ${node.addresses.join(" ")}\n` +
        `              ${groupFingerprint(node.fingerprint)}`,
      own.record_id === null
        ? "Own record    none yet. Next: spire-mesh export -o FILE makes the first one."
        : `Own record    version ${versionOf(own)}, ${own.x509_authorities} X.509 and ` +
          `${own.jwt_authorities} JWT authorities, published ${own.published_at}\n` +
          `              ${groupFingerprint(own.record_id)}\n` +
          `Recovery      ${renderRecovery(own)}`,
    ].join("\n"),
    status.trust_domains.length === 0
      ? "No partners yet. Next: spire-mesh import FILE -fingerprint F takes one in."
      : renderPartners(status),
  ];
  if (status.findings.length > 0) parts.push(status.findings.map(renderFinding).join("\n"));
  return parts.join("\n\n");
}

function renderRecovery({ recovery }: Status["own"]): string {
  if (recovery !== null) return `${recovery.threshold} of ${recovery.keys} offline keys`;
  return "no offline keys; see spire-mesh recovery create";
}

function renderPartners({ trust_domain: self, trust_domains: domains, own }: Status): string {
  const head = ["trust domain", "trust", "via", "version", "freshness", "last heard", "SPIRE row"];
  const rows = domains.map((each) => [
    each.trust_domain,
    paint(each.trust === "accepted" ? "good" : "warning", each.trust),
    each.via,
    versionOf(each),
    paint(each.freshness === "fresh" ? "good" : "warning", each.freshness),
    each.last_heard_at ?? "never",
    paint(each.spire_row === "equal" ? "good" : "warning", each.spire_row),
    renderHoldsOurs(each, own.record_id),
  ]);
  const lines = domains.flatMap(
    (each) => renderDialError(each) ?? renderNeverHeard(each, self) ?? [],
  );
  return [table([...head, "they hold ours"], rows), ...lines].join("\n");
}

/** A partner says it at each sync: just after a change, `another one` is the one before. */
function renderHoldsOurs(
  { they_hold_ours: theirs }: TrustDomainStatus,
  ownId: string | null,
): string {
  if (!theirs.known) return "not known";
  return theirs.record_id === ownId ? "yes" : paint("warning", "another one");
}

function renderDialError({ trust_domain, last_dial_error }: TrustDomainStatus): string | undefined {
  if (last_dial_error === null) return undefined;
  const { at, peer_id, addresses, message } = last_dial_error;
  return withNext(
    `${trust_domain}: node ${peer_id} was not reached at ${at}, at ${addresses.join(" ")}: ${message}`,
    "compare with the partner's `spire-mesh status`, and let its address through",
  );
}

/** As a partner looks that was imported here, and has not imported us yet. */
function renderNeverHeard(
  { trust_domain, trust, freshness }: TrustDomainStatus,
  self: string,
): string | undefined {
  if (trust !== "accepted" || freshness !== "never") return undefined;
  return withNext(
    `${trust_domain}: no node of it has answered yet`,
    `ask there whether the export of ${self} was imported, as both sides import each other's`,
  );
}

function renderFinding(finding: Finding): string {
  const { severity, code, trust_domain, message, next, since } = finding;
  const mood = severity === "critical" ? "bad" : "warning";
  const about = trust_domain === null ? "" : `${trust_domain}: `;
  return `${paint(mood, severity)} ${code} since ${since}\n  ${about}${withNext(message, next)}`;
}

/** `epoch.rev.sequence`, the order that decides. */
export function versionOf(version: {
  readonly epoch: number | null;
  readonly rev: number | null;
  readonly sequence_number: string | null;
}): string {
  if (version.sequence_number === null) return "none";
  return `${version.epoch}.${version.rev}.${version.sequence_number}`;
}
