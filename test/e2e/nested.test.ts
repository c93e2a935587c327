/** What a server nested below another shows that differs: on embedded servers, and on real ones. */
import { X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TrustBundle } from "../../src/core/spiffe/trust-bundle.ts";
import { Code, ConnectError } from "../../src/spire-api/services.ts";
import { requestSvid } from "../../src/x509/csr.ts";
import { prepare } from "../../peers/rotation.ts";
import { bundleOf, until } from "./mesh.ts";
import { Nested, type RealSpire, findRealSpire } from "./nested.ts";

/** An agent has its first SVID after up to 10 s (measured). */
const START_MS = 120_000;

const real = findRealSpire();
if (typeof real === "string") {
  describe("a real nested SPIRE Server", () => {
    test.skip(`skipped: ${real}`, () => undefined);
  });
}
nestedSuite("an embedded nested SPIRE Server", undefined);
if (typeof real !== "string") nestedSuite("a real nested SPIRE Server", real);

function nestedSuite(title: string, programs: RealSpire | undefined): void {
  describe(title, () => {
    let nested: Nested;
    beforeAll(async () => {
      nested = await Nested.start({ real: programs });
    }, START_MS);
    afterAll(async () => await nested?.stop());

    test("lists the authorities of the server above, by numbers of its own", async () => {
      const { above, below } = nested;
      const [ours, theirs] = [await bundleOf(above), await bundleOf(below)];
      expect(theirs.x509Authorities).toEqual(ours.x509Authorities);
      expect(theirs.jwtAuthorities).toEqual(ours.jwtAuthorities);
      expect(ours.jwtAuthorities).toHaveLength(2);
      expect(ours.sequenceNumber).toBe(2n);
      expect(theirs.sequenceNumber).toBe(1n);
    });

    test("follows what is prepared above, and lists a JWT key tainted there twice: untainted and tainted", async () => {
      const { above, below } = nested;
      await prepare(above.api);
      const { localAuthority } = above.api;
      const { active } = await localAuthority.getJWTAuthorityState({});
      const { preparedAuthority } = await localAuthority.prepareJWTAuthority({});
      const authorityId = preparedAuthority?.authorityId ?? "";
      await localAuthority.activateJWTAuthority({ authorityId });
      const keyId = active?.authorityId ?? "";
      await localAuthority.taintJWTAuthority({ authorityId: keyId });

      const ours = await bundleOf(above);
      await until("the new authorities are below", async () => {
        const { x509Authorities, jwtAuthorities } = await bundleOf(below);
        return x509Authorities.length === 2 && jwtAuthorities.length > ours.jwtAuthorities.length;
      });
      const theirs = await bundleOf(below);
      expect(theirs.x509Authorities).toEqual(ours.x509Authorities);
      expect(theirs.jwtAuthorities.map((key) => key.keyId)).toContain(authorityId);
      expect(taintsOf(ours, keyId)).toEqual([true]);
      expect(taintsOf(theirs, keyId)).toEqual([false, true]);
    });

    test("mints under an authority of the server above", async () => {
      const { csr } = requestSvid(`spiffe://${nested.below.trustDomain}/workload`);
      const { svid } = await nested.below.api.svid.mintX509SVID({ csr, ttl: 0 });
      const last = svid?.certChain.at(-1);
      const { x509Authorities } = await bundleOf(nested.above);
      const anchors = x509Authorities.map(({ der }) => new X509Certificate(der).publicKey);
      expect(anchors.some((key) => last && new X509Certificate(last).verify(key))).toBe(true);
    });

    test("taints and revokes no X.509 authority: code 9", async () => {
      const { localAuthority } = nested.below.api;
      const request = { authorityId: "any" };
      for (const call of [
        async () => await localAuthority.taintX509Authority(request),
        async () => await localAuthority.revokeX509Authority(request),
      ]) {
        const error = await call().catch((reason: unknown) => ConnectError.from(reason));
        expect(error).toMatchObject({ code: Code.FailedPrecondition });
      }
    });
  });
}

function taintsOf({ jwtAuthorities }: TrustBundle, keyId: string): readonly boolean[] {
  return jwtAuthorities.filter((key) => key.keyId === keyId).map(({ tainted }) => tainted);
}
