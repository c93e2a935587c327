/** `spire.api.server.svid.v1.SVID`: X509-SVIDs for whoever holds the socket, of any key type. */
import type { SpireApiImplementation } from "../../src/spire-api/server.ts";
import { Code } from "../../src/spire-api/services.ts";
import { attempt, refusal, textOf } from "./answers.ts";
import { readCsr, signX509Svid, type SvidRequest } from "./certificates.ts";
import type { ServerParts } from "./server-parts.ts";
import { checkWorkload, formatSpiffeId, readSpiffeId, type SpiffeId } from "./spiffe-id.ts";

export function svidService(parts: ServerParts): NonNullable<SpireApiImplementation["svid"]> {
  return {
    async mintX509SVID({ csr, ttl }) {
      if (csr.length === 0) throw refusal(Code.InvalidArgument, "missing CSR");
      const request = await readRequest(csr);
      const id = readId(request, parts.trustDomain);
      if (parts.upstream !== undefined) return await parts.upstream.mintX509SVID({ csr, ttl });
      const nowMs = parts.nowMs();
      const active = parts.ca.slots("x509").current?.authority;
      if (active === undefined) throw refusal(Code.Unavailable, "server is initializing");
      const { der, expiresAtMs } = await signX509Svid({
        request,
        spiffeId: formatSpiffeId(id),
        ca: { der: active.listed, privateKey: active.privateKey },
        nowMs,
        ttlMs: ttl > 0 ? ttl * 1_000 : parts.svidTtlMs,
      });
      parts.log("debug", "Signed X509 SVID", {
        subsystem_name: "api",
        spiffe_id: formatSpiffeId(id),
        expiration: new Date(expiresAtMs).toISOString(),
      });
      // A self-signed CA: the chain is the leaf alone.
      return { svid: { certChain: [der], id, expiresAt: BigInt(expiresAtMs / 1_000) } };
    },
  };
}

async function readRequest(csr: Uint8Array): Promise<SvidRequest> {
  try {
    return await readCsr(csr);
  } catch (error) {
    throw refusal(Code.InvalidArgument, textOf(error));
  }
}

function readId({ uris, dnsNames }: SvidRequest, trustDomain: string): SpiffeId {
  const [uri, ...others] = uris;
  if (uri === undefined) throw refusal(Code.InvalidArgument, "CSR URI SAN is required");
  if (others.length > 0) throw refusal(Code.InvalidArgument, "only one URI SAN is expected");
  if (!dnsNames.every(isDnsName)) throw refusal(Code.InvalidArgument, "CSR DNS name is invalid");
  return attempt(Code.InvalidArgument, "CSR URI SAN is invalid", () => {
    const id = readSpiffeId(uri);
    checkWorkload(id, trustDomain);
    return id;
  });
}

/** Labels of letters, digits and inner dashes; the first may be a star (SPIRE). */
function isDnsName(name: string): boolean {
  return /^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(name);
}
