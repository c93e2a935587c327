import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { Code } from "../../../src/spire-api/services.ts";
import { makeRequest } from "./csr.ts";
import { describeServers } from "./servers.ts";

describeServers("X509-SVIDs", (use) => {
  const id = "spiffe://alpha.test/spire-mesh/publisher";

  test.each(["P-256", "P-384", "Ed25519", "RSA"] as const)(
    "is minted for a %s key, chained to the active CA",
    async (type) => {
      const csr = await makeRequest([id], type);
      const askedS = Math.floor(Date.now() / 1_000);
      const { svid } = await use.api.svid.mintX509SVID({ csr, ttl: 600 });
      const answeredS = Math.floor(Date.now() / 1_000);
      expect(svid?.certChain).toHaveLength(1);
      expect(svid?.id).toMatchObject({
        trustDomain: "alpha.test",
        path: "/spire-mesh/publisher",
      });
      const certificate = new X509Certificate(svid?.certChain[0] ?? Buffer.of());
      expect(certificate.subjectAltName).toBe(`URI:${id}`);
      expect(certificate.subject).toBe("C=US\nO=SPIRE");
      expect(certificate.ca).toBe(false);
      const [issuer] = (await use.api.bundle.getBundle({})).x509Authorities.slice(-1);
      const ca = new X509Certificate(issuer?.asn1 ?? Buffer.of());
      expect(certificate.checkIssued(ca)).toBe(true);
      expect(certificate.verify(ca.publicKey)).toBe(true);
      const notBeforeS = certificate.validFromDate.getTime() / 1_000;
      const notAfterS = certificate.validToDate.getTime() / 1_000;
      expect(notAfterS - notBeforeS).toBe(610);
      expect(notBeforeS).toBeGreaterThanOrEqual(askedS - 10);
      expect(notBeforeS).toBeLessThanOrEqual(answeredS - 10);
      expect(Number(svid?.expiresAt)).toBe(notAfterS);
    },
  );

  test("lives an hour unless asked for more, and never longer than the CA", async () => {
    const csr = await makeRequest([id]);
    const lifeS = async (ttl: number) => {
      const { svid } = await use.api.svid.mintX509SVID({ csr, ttl });
      return Number(svid?.expiresAt) - Date.now() / 1_000;
    };
    expect(await lifeS(0)).toBeCloseTo(3_600, -1);
    expect(await lifeS(48 * 3_600)).toBeLessThanOrEqual(24 * 3_600);
  });

  test.each([
    ["no URI", []],
    ["two URIs", [id, "spiffe://alpha.test/other"]],
    ["another trust domain", ["spiffe://bravo.test/web"]],
    ["no path", ["spiffe://alpha.test"]],
    ["the path /spire", ["spiffe://alpha.test/spire"]],
    ["a path below /spire", ["spiffe://alpha.test/spire/agent"]],
    ["an empty path segment", ["spiffe://alpha.test//web"]],
    ["a scheme of its own", ["https://alpha.test/web"]],
  ])("is refused for %s", async (_, uris) => {
    const csr = await makeRequest(uris);
    await expect(use.api.svid.mintX509SVID({ csr })).rejects.toMatchObject({
      code: Code.InvalidArgument,
    });
  });

  test("is refused for a request that is damaged, empty or not signed by its own key", async () => {
    const csr = await makeRequest([id]);
    const forged = Buffer.from(csr);
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    for (const bad of [Buffer.of(), Buffer.from("no request"), csr.subarray(0, 90), forged]) {
      await expect(use.api.svid.mintX509SVID({ csr: bad })).rejects.toMatchObject({
        code: Code.InvalidArgument,
      });
    }
  });
});
