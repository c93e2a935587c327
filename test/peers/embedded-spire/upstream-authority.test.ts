import { join } from "node:path";
import { expect, test } from "vitest";
import { Datastore } from "../../../peers/embedded-spire/datastore.ts";
import { OwnBundle } from "../../../peers/embedded-spire/own-bundle.ts";
import { UpstreamAuthority } from "../../../peers/embedded-spire/upstream-authority.ts";
import { activate, prepare, revoke, taintOld } from "../../../peers/rotation.ts";
import { type ServerInUse, describeServers, withDirectory } from "./servers.ts";

/** A day in the future for every key here. */
const EXPIRES_AT = 4_000_000_000n;

describeServers("the bundle of a server nested below one", (use) => {
  test("follows X.509 authorities by a count of its own, each step once", async () => {
    await nestBelow(use, async (ownBundle, upstream) => {
      const follow = async (): Promise<bigint | undefined> => {
        await upstream.follow();
        const { x509Authorities } = await use.api.bundle.getBundle({});
        expect(ownBundle.read()?.x509Authorities).toEqual(x509Authorities);
        return ownBundle.read()?.sequenceNumber;
      };
      expect(await follow()).toBe(0n);
      expect(await follow()).toBe(0n);
      await activate(use.api, await prepare(use.api));
      expect(await follow()).toBe(1n);
      const old = await taintOld(use.api);
      expect(await follow()).toBe(2n);
      await revoke(use.api, old);
      expect(await follow()).toBe(3n);
      expect(await follow()).toBe(3n);
    });
  });

  test("lists a JWT key that is tainted above twice, and keeps both when it is revoked there", async () => {
    await nestBelow(use, async (ownBundle, upstream) => {
      const { localAuthority } = use.api;
      await upstream.follow();
      const { active } = await localAuthority.getJWTAuthorityState({});
      const { preparedAuthority } = await localAuthority.prepareJWTAuthority({});
      const authorityId = preparedAuthority?.authorityId ?? "";
      await localAuthority.activateJWTAuthority({ authorityId });
      const old = { authorityId: active?.authorityId ?? "" };
      await localAuthority.taintJWTAuthority(old);
      await upstream.follow();
      await localAuthority.revokeJWTAuthority(old);
      await upstream.follow();
      const keys = ownBundle.read()?.jwtAuthorities.map(({ keyId, tainted }) => [keyId, tainted]);
      expect(keys).toEqual([
        [old.authorityId, false],
        [old.authorityId, true],
        [authorityId, false],
      ]);
    });
  });

  test("has a key of its own in the bundle above too", async () => {
    await nestBelow(use, async (ownBundle, upstream) => {
      const { jwtAuthorities } = await use.api.bundle.getBundle({});
      const publicKey = jwtAuthorities[0]?.publicKey ?? Uint8Array.of();
      await upstream.publish([{ keyId: "nested", publicKey, expiresAt: EXPIRES_AT }]);
      const above = (await use.api.bundle.getBundle({})).jwtAuthorities;
      expect(above.map(({ keyId }) => keyId)).toContain("nested");
      expect(ownBundle.read()?.jwtAuthorities).toEqual(above);
    });
  });
});

async function nestBelow(
  { server }: ServerInUse,
  work: (ownBundle: OwnBundle, upstream: UpstreamAuthority) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const datastore = new Datastore({ path: join(directory, "d"), databaseType: "sqlite3" });
    const ownBundle = new OwnBundle("alpha.test", datastore, Date.now);
    const upstream = new UpstreamAuthority(server.socketPath, ownBundle);
    try {
      await work(ownBundle, upstream);
    } finally {
      upstream.close();
      datastore.close();
    }
  });
}
