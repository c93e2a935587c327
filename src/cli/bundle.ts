/** `bundle list`, `bundle show` and `bundle pin`. */
import type { BundleEntry, BundleFormat, PinReply } from "../admin-contract/bundle.ts";
import { callAdmin } from "../admin-contract/client.ts";
import { Fault } from "../fault.ts";
import { groupFingerprint } from "./fingerprint.ts";
import { printResult, withProgress } from "./output.ts";
import { printableLines } from "../printable.ts";
import { versionOf } from "./status.ts";
import { table } from "./table.ts";
import type { Session } from "./session.ts";

const DONE = 0;

export async function listBundles({ socketPath, format }: Session): Promise<number> {
  printResult(format, await callAdmin(socketPath, "bundles", {}), renderList);
  return DONE;
}

/** With `document`, stdout gets that document alone, whatever `-output` says. */
export async function showBundle(
  { socketPath, format }: Session,
  trustDomain: string,
  document: BundleFormat | undefined,
): Promise<number> {
  const about = { trust_domain: trustDomain };
  if (document !== undefined) {
    const request = { ...about, format: document };
    const reply = await callAdmin(socketPath, "bundleDocument", request);
    process.stdout.write(`${printableLines(reply.document).trimEnd()}\n`);
    return DONE;
  }
  const bundles = await callAdmin(socketPath, "bundles", about);
  if (bundles.length === 0) throw new Fault("NOT_FOUND", `Nothing is held of ${trustDomain}.`);
  printResult(format, bundles, (all) => all.map(renderBundle).join("\n\n"));
  return DONE;
}

/** The record that the fingerprint names becomes the trust domain's new start. */
export async function pinBundle(
  { socketPath, format }: Session,
  trustDomain: string,
  fingerprint: string,
): Promise<number> {
  const request = { trust_domain: trustDomain, fingerprint };
  const work = callAdmin(socketPath, "pin", request);
  printResult(format, await withProgress(`pinning ${trustDomain}`, work), renderPin);
  return DONE;
}

function renderList(bundles: readonly BundleEntry[]): string {
  if (bundles.length === 0) {
    return "No bundles yet. Next: spire-mesh import FILE -fingerprint F takes a partner in.";
  }
  const rows = bundles.map((each) => [
    each.trust_domain,
    versionOf(each),
    each.x509_authorities.length,
    each.jwt_authorities.length,
    each.record_id,
  ]);
  return table(["trust domain", "version", "X.509", "JWT", "record id"], rows);
}

function renderBundle(bundle: BundleEntry): string {
  const x509 = bundle.x509_authorities.map((each) => [
    each.sha256,
    each.subject_key_id ?? "none",
    each.not_after,
    each.tainted ? "tainted" : "",
  ]);
  const jwt = bundle.jwt_authorities.map((each) => [
    each.key_id,
    each.expires_at ?? "never",
    each.tainted ? "tainted" : "",
  ]);
  return [
    `${bundle.trust_domain}, version ${versionOf(bundle)}`,
    groupFingerprint(bundle.record_id),
    "",
    table(["X.509 authority (sha256)", "subject key id", "not after", ""], x509),
    "",
    table(["JWT authority (key id)", "expires", ""], jwt),
  ].join("\n");
}

function renderPin({ trust_domain, outcome }: PinReply): string {
  switch (outcome) {
    case "accepted":
      return `${trust_domain} starts anew with this record. Next: spire-mesh status.`;
    case "unchanged":
      return `${trust_domain} stands on this record already; nothing changed.`;
    case "pending":
      return `${trust_domain} starts anew with this record when it arrives. Next: spire-mesh watch.`;
  }
}
