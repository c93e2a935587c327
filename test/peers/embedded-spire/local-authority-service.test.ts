import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import type { SpireApi } from "../../../src/spire-api/client.ts";
import { Code } from "../../../src/spire-api/services.ts";
import { makeRequest } from "./csr.ts";
import { describeServers } from "./servers.ts";

describeServers("forced rotation", (use) => {
  const number = async () => (await use.api.bundle.getBundle({})).sequenceNumber;

  test("of the CA counts prepare, taint and revoke, and the new CA signs at once", async () => {
    const { localAuthority } = use.api;
    const { active } = await localAuthority.getX509AuthorityState({});
    const first = await number();
    const oldId = { authorityId: active?.authorityId ?? "" };
    await refused(localAuthority.activateX509Authority(oldId), Code.InvalidArgument);
    await refused(localAuthority.taintX509Authority(oldId), Code.InvalidArgument);
    await refused(localAuthority.revokeX509Authority(oldId), Code.InvalidArgument);
    await refused(localAuthority.taintX509Authority({ authorityId: "" }), Code.InvalidArgument);

    const { preparedAuthority } = await localAuthority.prepareX509Authority({});
    const newId = { authorityId: preparedAuthority?.authorityId ?? "" };
    expect(newId.authorityId).toMatch(/^[0-9a-f]{40}$/);
    expect(await number()).toBe(first + 1n);
    expect(await issuerIsNewest(use.api)).toBe(false);
    await refused(localAuthority.taintX509Authority(newId), Code.InvalidArgument);
    await refused(localAuthority.revokeX509Authority(newId), Code.InvalidArgument);

    await localAuthority.activateX509Authority(newId);
    expect(await number()).toBe(first + 1n);
    expect(await issuerIsNewest(use.api)).toBe(true);
    await refused(localAuthority.activateX509Authority(oldId), Code.Internal);
    await refused(localAuthority.revokeX509Authority(oldId), Code.Internal);

    await localAuthority.taintX509Authority(oldId);
    expect(await number()).toBe(first + 2n);
    expect(
      (await use.api.bundle.getBundle({})).x509Authorities.map(({ tainted }) => tainted),
    ).toEqual([true, false]);
    await refused(localAuthority.taintX509Authority(oldId), Code.Internal);

    await localAuthority.revokeX509Authority(oldId);
    expect(await number()).toBe(first + 3n);
    expect((await use.api.bundle.getBundle({})).x509Authorities).toHaveLength(1);
    await refused(localAuthority.revokeX509Authority(oldId), Code.Internal);
  });

  test("of the JWT key counts the same", async () => {
    const { localAuthority } = use.api;
    const { active } = await localAuthority.getJWTAuthorityState({});
    const first = await number();
    const oldId = { authorityId: active?.authorityId ?? "" };
    await refused(localAuthority.taintJWTAuthority(oldId), Code.InvalidArgument);
    await refused(localAuthority.revokeJWTAuthority(oldId), Code.InvalidArgument);
    const { preparedAuthority } = await localAuthority.prepareJWTAuthority({});
    const newId = { authorityId: preparedAuthority?.authorityId ?? "" };
    await refused(localAuthority.revokeJWTAuthority(newId), Code.InvalidArgument);
    await localAuthority.activateJWTAuthority(newId);
    await refused(localAuthority.revokeJWTAuthority(oldId), Code.Internal);
    await localAuthority.taintJWTAuthority(oldId);
    await localAuthority.revokeJWTAuthority(oldId);
    expect(await number()).toBe(first + 3n);
    const keyIds = (await use.api.bundle.getBundle({})).jwtAuthorities.map(({ keyId }) => keyId);
    expect(keyIds).toEqual([newId.authorityId]);
  });

  test("that is begun twice leaves a CA behind that nobody can take back", async () => {
    const { localAuthority } = use.api;
    const { preparedAuthority } = await localAuthority.prepareX509Authority({});
    await localAuthority.prepareX509Authority({});
    const lost = { authorityId: preparedAuthority?.authorityId ?? "" };
    await refused(localAuthority.activateX509Authority(lost), Code.InvalidArgument);
    await refused(localAuthority.revokeX509Authority(lost), Code.InvalidArgument);
  });

  test("appending a tainted authority lists it a second time", async () => {
    const bundle = await use.api.bundle.getBundle({});
    const x509Authorities = bundle.x509Authorities.map(({ asn1 }) => ({ asn1 }));
    const same = await use.api.bundle.appendBundle({ x509Authorities });
    expect(same.sequenceNumber).toBe(bundle.sequenceNumber);
    const { active } = await use.api.localAuthority.getX509AuthorityState({});
    const { prepared } = await use.api.localAuthority.getX509AuthorityState({});
    await use.api.localAuthority.activateX509Authority({
      authorityId: prepared?.authorityId ?? "",
    });
    await use.api.localAuthority.taintX509Authority({ authorityId: active?.authorityId ?? "" });
    const more = await use.api.bundle.appendBundle({ x509Authorities });
    expect(more.sequenceNumber).toBe(bundle.sequenceNumber + 2n);
    expect(more.x509Authorities).toHaveLength(x509Authorities.length + 1);
    await refused(use.api.bundle.appendBundle({}), Code.InvalidArgument);
  });
});

/** Whether a fresh SVID is signed by the CA that the bundle lists last. */
async function issuerIsNewest(api: SpireApi): Promise<boolean> {
  const csr = await makeRequest(["spiffe://alpha.test/web"]);
  const { svid } = await api.svid.mintX509SVID({ csr });
  const { x509Authorities } = await api.bundle.getBundle({});
  const newest = new X509Certificate(x509Authorities.at(-1)?.asn1 ?? Buffer.of());
  return new X509Certificate(svid?.certChain[0] ?? Buffer.of()).verify(newest.publicKey);
}

async function refused(call: Promise<unknown>, code: Code): Promise<void> {
  await expect(call).rejects.toMatchObject({ code });
}
