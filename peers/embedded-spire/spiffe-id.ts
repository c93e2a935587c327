/**
 * SPIFFE IDs and trust domain names as SPIRE Server reads them (go-spiffe). It does not bound their
 * length here, so neither does this: a name of 300 characters is stored (read in SPIRE).
 */

export interface SpiffeId {
  readonly trustDomain: string;
  /** Empty, or with its leading slash. */
  readonly path: string;
}

const SCHEME = "spiffe://";

/** Reads `example.org`, `spiffe://example.org` or any SPIFFE ID of the trust domain. Throws an Error. */
export function readTrustDomainName(text: string): string {
  if (text === "") throw new Error("trust domain is missing");
  const name = text.includes(":/") ? readSpiffeId(text).trustDomain : text;
  if (!/^[a-z0-9._-]+$/.test(name)) {
    throw new Error(
      "trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores",
    );
  }
  return name;
}

/** Throws an Error whose message names the first problem. */
export function readSpiffeId(text: string): SpiffeId {
  if (text === "") throw new Error("cannot be empty");
  if (!text.startsWith(SCHEME)) throw new Error("scheme is missing or invalid");
  const rest = text.slice(SCHEME.length);
  const slash = rest.indexOf("/");
  const trustDomain = slash === -1 ? rest : rest.slice(0, slash);
  const path = slash === -1 ? "" : rest.slice(slash);
  if (trustDomain === "") throw new Error("trust domain is missing");
  readTrustDomainName(trustDomain);
  checkPath(path);
  return { trustDomain, path };
}

/** The text form, `spiffe://example.org/path`. */
export function formatSpiffeId({ trustDomain, path }: SpiffeId): string {
  return `${SCHEME}${trustDomain}${path}`;
}

/** Throws unless the ID is in this trust domain. */
export function checkMember(id: SpiffeId, trustDomain: string): void {
  if (id.trustDomain !== trustDomain) {
    throw new Error(`"${formatSpiffeId(id)}" is not a member of trust domain "${trustDomain}"`);
  }
}

/** Throws unless a workload of this trust domain may have the ID: SPIRE keeps `/spire` to itself. */
export function checkWorkload(id: SpiffeId, trustDomain: string): void {
  checkMember(id, trustDomain);
  const notWorkload = `"${formatSpiffeId(id)}" is not a workload in trust domain "${trustDomain}"`;
  if (id.path === "") throw new Error(`${notWorkload}; path is empty`);
  if (id.path === "/spire" || id.path.startsWith("/spire/")) {
    throw new Error(`${notWorkload}; path is in the reserved namespace`);
  }
}

function checkPath(path: string): void {
  if (path === "") return;
  if (path.endsWith("/")) throw new Error("path cannot have a trailing slash");
  for (const segment of path.slice(1).split("/")) {
    if (segment === "") throw new Error("path cannot contain empty segments");
    if (segment === "." || segment === "..") throw new Error("path cannot contain dot segments");
    if (!/^[a-zA-Z0-9._-]+$/.test(segment)) {
      throw new Error(
        "path segment characters are limited to letters, numbers, dots, dashes, and underscores",
      );
    }
  }
}
