/**
 * deploy/spire-server/policy.rego on a real SPIRE Server: what a program in the daemon's role may mint.
 * SPIRE tells callers apart by their program, so this process, which runs the daemon's Node, has its
 * role.
 */
import { X509Certificate, generateKeyPairSync, sign } from "node:crypto";
import { mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Site, findSpire } from "../../peers/site.ts";
import { SVID_TTL_S } from "../../src/core/std/limits.ts";
import { Code } from "../../src/spire-api/services.ts";
import { requestSvid } from "../../src/x509/csr.ts";
import {
  bitString,
  extension,
  integer,
  name,
  octetString,
  oid,
  sequence,
  set,
  tlv,
} from "../arbitraries/der.ts";
import { exportTo } from "./mesh.ts";

const POLICY = new URL("../../deploy/spire-server/policy.rego", import.meta.url);
const PUBLISHER = "spiffe://alpha.test/spire-mesh/publisher";
const OTHER = "spiffe://alpha.test/payments";
/** What SPIRE's own data file says of what its command line calls here. */
const POLICY_DATA = {
  apis: [
    { full_method: "/spire.api.server.bundle.v1.Bundle/GetBundle", allow_local: true },
    { full_method: "/spire.api.server.svid.v1.SVID/MintX509SVID", allow_local: true },
  ],
};

/** GeneralName (RFC 5280 section 4.2.1.6). */
const email = (text: string): Buffer => tlv(0x81, text);
const dns = (text: string): Buffer => tlv(0x82, text);
const uri = (text: string): Buffer => tlv(0x86, text);
const ip = (...bytes: readonly number[]): Buffer => tlv(0x87, Uint8Array.from(bytes));

const COMMON_NAME = "2.5.4.3";
const SERIAL_NUMBER = "2.5.4.5";
const ORGANIZATION = "2.5.4.10";
const EXTENSION_REQUEST = "1.2.840.113549.1.9.14";
const UNSTRUCTURED_NAME = "1.2.840.113549.1.9.2";
const ECDSA_SHA256 = "1.2.840.10045.4.3.2";

interface Wanted {
  readonly names: readonly Buffer[];
  readonly subject?: Parameters<typeof name>[0];
  /** An attribute that says nothing to SPIRE. */
  readonly note?: string;
}

/** A signed request (RFC 2986) for whatever is wanted. */
function request({ names, subject = [], note }: Wanted): Buffer {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const extensions = sequence(extension("2.5.29.17", sequence(...names)));
  const notes =
    note === undefined
      ? []
      : [sequence(oid(UNSTRUCTURED_NAME), set(octetString(Buffer.from(note))))];
  const info = sequence(
    integer(0),
    name(subject),
    publicKey.export({ type: "spki", format: "der" }),
    tlv(0xa0, sequence(oid(EXTENSION_REQUEST), set(extensions)), ...notes),
  );
  const signature = bitString(sign("sha256", info, privateKey));
  return sequence(info, sequence(oid(ECDSA_SHA256)), signature);
}

function pem(csr: Uint8Array): string {
  const lines =
    Buffer.from(csr)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  const kind = "CERTIFICATE REQUEST";
  return `\n-----BEGIN ${kind}-----\n${lines.join("\n")}\n-----END ${kind}-----\n`;
}

function policySuite(spireServer: string): void {
  describe("under the policy, a program in the daemon's role", () => {
    let directory: string;
    let site: Site;

    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), "policy-"));
      const policy = join(directory, "policy.rego");
      const data = join(directory, "policy_data.json");
      site = await Site.make({
        trustDomain: "alpha.test",
        directory,
        spireServer,
        extraSpireConfig: `audit_log_enabled = true
    default_x509_svid_ttl = "20h"
    experimental {
        auth_opa_policy_engine {
            local { rego_path = "${policy}", policy_data_path = "${data}" }
        }
    }`,
      });
      const text = (await readFile(POLICY, "utf8"))
        .replace(/"[^"]*\/bin\/spire-server"/, JSON.stringify(await realpath(spireServer)))
        .replace(/"[^"]*\/bin\/node"/, JSON.stringify(await realpath(process.execPath)));
      await writeFile(policy, text);
      await writeFile(data, JSON.stringify(POLICY_DATA));
      await site.startSpire();
    });

    afterAll(async () => {
      await site?.stop();
      await rm(directory, { recursive: true, force: true });
    });

    const mint = async (csr: Uint8Array, ttl: number): Promise<X509Certificate> => {
      const { svid } = await site.api.svid.mintX509SVID({ csr, ttl });
      return new X509Certificate(svid?.certChain[0] ?? Buffer.of());
    };

    test("mints the publisher's X509-SVID, and SPIRE's own command line any", async () => {
      for (const csr of [requestSvid(PUBLISHER).csr, request({ names: [uri(PUBLISHER)] })]) {
        const svid = await mint(csr, SVID_TTL_S);
        expect(svid.subjectAltName).toBe(`URI:${PUBLISHER}`);
        const lifeS = (Date.parse(svid.validTo) - Date.now()) / 1_000;
        expect(lifeS).toBeLessThanOrEqual(SVID_TTL_S);
      }
      const cli = await site.spireServer(["x509", "mint", "-spiffeID", OTHER]);
      expect(cli).toMatchObject({ stderr: "", code: 0 });
    });

    const own = uri(PUBLISHER);
    const hidden = pem(requestSvid(PUBLISHER).csr);
    test.for<readonly [string, Wanted, number?]>([
      ["another SPIFFE ID", { names: [uri(OTHER)] }],
      ["another SPIFFE ID beside it", { names: [own, uri(OTHER)] }],
      ["a DNS name", { names: [own, dns("payments.prod.example.org")] }],
      ["a DNS name before it", { names: [dns("spire-server"), own] }],
      ["an IP address", { names: [own, ip(10, 0, 0, 1)] }],
      ["an email address", { names: [own, email("root@example.org")] }],
      ["a common name", { names: [own], subject: [[COMMON_NAME, "spire-server"]] }],
      ["an organization", { names: [own], subject: [[ORGANIZATION, "SPIRE"]] }],
      ["a serial number", { names: [own], subject: [[SERIAL_NUMBER, "1"]] }],
      ["a second more than an hour", { names: [own] }, SVID_TTL_S + 1],
      ["20 hours", { names: [own] }, 72_000],
      ["the server's own time to live", { names: [own] }, 0],
      ["less than nothing", { names: [own] }, -1],
      // OPA reads a PEM block anywhere in the request instead of the request that SPIRE reads.
      ["another SPIFFE ID, with an honest request inside", { names: [uri(OTHER)], note: hidden }],
    ])("is denied %s", async ([, wanted, ttl = SVID_TTL_S]) => {
      await expect(mint(request(wanted), ttl)).rejects.toMatchObject({
        code: Code.PermissionDenied,
      });
    });

    test("starts as the daemon, mints and publishes", async () => {
      await site.startDaemon();
      const recordId = await exportTo(site, join(directory, "alpha.export"));
      expect(recordId).toMatch(/^[0-9a-f]{64}$/);
    });

    test("may write and delete federated bundles, and is denied registration entries", async () => {
      const { bundle, entry } = site.api;
      await bundle.batchSetFederatedBundle({});
      await bundle.batchDeleteFederatedBundle({});
      await expect(entry.listEntries({})).rejects.toMatchObject({ code: Code.PermissionDenied });
    });
  });
}

const spireServer = findSpire("spire-server");
if (spireServer === undefined) {
  describe("the policy on a real SPIRE Server", () => {
    test.skip("skipped: no spire-server on PATH or in SPIRE_BIN", () => undefined);
  });
} else {
  policySuite(spireServer);
}
