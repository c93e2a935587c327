/**
 * What SPIRE Server does behind the port, as this project relies on it: run against the embedded
 * SPIRE Server and against a real one, so that the one stays true to the other.
 */
import { X509Certificate, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RowOrder, RowOutcome } from "../../src/core/mesh/row-order.ts";
import {
  type TrustBundle,
  type X509Authority,
  authoritiesDigest,
  sameAuthorities,
} from "../../src/core/spiffe/trust-bundle.ts";
import { type TrustDomain, publisherId } from "../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import type { SpireServer } from "../../src/ports/spire-server.ts";
import { type SpireApi, spireApi } from "../../src/spire-api/client.ts";
import { Code } from "../../src/spire-api/services.ts";
import { BundleWatcher } from "../../src/spire/bundle-watcher.ts";
import { RowWriter } from "../../src/spire/row-writer.ts";
import { connectSpireServer } from "../../src/spire/spire-server.ts";
import { requestSvid } from "../../src/x509/csr.ts";
import { makeAuthority } from "../arbitraries/authority.ts";
import { keyIdOf, makeKeyPair, spkiOf } from "../arbitraries/certificate.ts";

/** A SPIRE Server with key manager `disk` and nothing in its datastore. */
export interface RunningSpire {
  readonly socketPath: string;
  readonly trustDomain: string;
  stop(signal: "SIGTERM" | "SIGKILL"): Promise<unknown>;
  /** Starts it again on the same path and datastore. */
  start(): Promise<void>;
  /** Stops it and removes what it left. */
  dispose(): Promise<void>;
}

/** Longest wait for what takes a server a second at most. */
const SOON_MS = 10_000;
const HOUR_S = 3_600;
const ROWS = 250;

export function spireServerCompliance(name: string, run: () => Promise<RunningSpire>): void {
  describe(`${name} behind the port`, () => {
    let spire: RunningSpire;
    let api: SpireApi;
    let server: SpireServer;

    beforeAll(async () => {
      spire = await run();
      api = spireApi(spire);
      server = connectSpireServer(spire);
    });

    afterAll(async () => {
      server?.close();
      api?.close();
      await spire?.dispose();
    });

    describe("the own bundle", () => {
      test("names the trust domain, a number and at least one CA of it", async () => {
        const bundle = await server.readBundle();
        expect(bundle.trustDomain).toBe(spire.trustDomain);
        expect(bundle.sequenceNumber).toBeGreaterThan(0n);
        const [authority] = bundle.x509Authorities.map(({ der }) => new X509Certificate(der));
        expect(authority?.subjectAltName).toBe(`URI:spiffe://${spire.trustDomain}`);
        expect(authority?.ca).toBe(true);
        expect(bundle.jwtAuthorities.length).toBeGreaterThan(0);
        for (const { keyId, expiresAtS } of bundle.jwtAuthorities) {
          expect(keyId).not.toBe("");
          expect(expiresAtS).toBeGreaterThan(Date.now() / 1_000);
        }
      });

      test("follows prepare, activate, taint and revoke, with a higher number each time it changes", async () => {
        const { localAuthority } = api;
        const before = await server.readBundle();
        const { active } = await localAuthority.getX509AuthorityState({});
        const { preparedAuthority } = await localAuthority.prepareX509Authority({});
        const prepared = await server.readBundle();
        expect(prepared.x509Authorities).toHaveLength(before.x509Authorities.length + 1);
        expect(prepared.sequenceNumber).toBeGreaterThan(before.sequenceNumber);

        const authorityId = preparedAuthority?.authorityId ?? "";
        await localAuthority.activateX509Authority({ authorityId });
        const old = { authorityId: active?.authorityId ?? "" };
        await localAuthority.taintX509Authority(old);
        const tainted = await server.readBundle();
        expect(sameAuthorities(tainted, prepared)).toBe(true);
        expect(tainted.sequenceNumber).toBeGreaterThan(prepared.sequenceNumber);
        expect(tainted.x509Authorities.filter(isTainted)).toHaveLength(1);

        await localAuthority.revokeX509Authority(old);
        const revoked = await server.readBundle();
        expect(revoked.x509Authorities).toEqual(
          tainted.x509Authorities.filter((authority) => !isTainted(authority)),
        );
        expect(revoked.sequenceNumber).toBeGreaterThan(tainted.sequenceNumber);
      });

      test("follows the same four steps of a JWT authority", async () => {
        const { localAuthority } = api;
        const { active } = await localAuthority.getJWTAuthorityState({});
        const { preparedAuthority } = await localAuthority.prepareJWTAuthority({});
        const authorityId = preparedAuthority?.authorityId ?? "";
        await localAuthority.activateJWTAuthority({ authorityId });
        const old = { authorityId: active?.authorityId ?? "" };
        await localAuthority.taintJWTAuthority(old);
        const tainted = (await server.readBundle()).jwtAuthorities;
        expect(tainted.filter(isTainted).map(({ keyId }) => keyId)).toEqual([old.authorityId]);
        await localAuthority.revokeJWTAuthority(old);
        const kept = (await server.readBundle()).jwtAuthorities.map(({ keyId }) => keyId);
        expect(kept).toContain(authorityId);
        expect(kept).not.toContain(old.authorityId);
      });

      test("is told by the watcher soon after it changed", async () => {
        const told: TrustBundle[] = [];
        const unwanted: string[] = [];
        const watcher = new BundleWatcher({ pollIntervalMs: 50 }, server, {
          onBundleRead: (bundle) => told.push(bundle),
          onSpireAway: ({ message }) => unwanted.push(message),
          onSpireBack: () => unwanted.push("back"),
        });
        watcher.start();
        await until("the first read", () => told.length === 1);
        await api.localAuthority.prepareX509Authority({});
        await until("the changed bundle", () => told.length === 2);
        await watcher.stop();
        expect(told[1]).toEqual(await server.readBundle());
        expect(unwanted).toEqual([]);
      });
    });

    describe("a row", () => {
      test("is read back as it was written, but for its taint", async () => {
        const written = madeUpBundle("bravo.test", {
          tainted: true,
          sequenceNumber: 2n ** 63n - 1n,
        });
        expect(await server.readFederatedBundle(written.trustDomain)).toBeUndefined();
        expect(await server.setFederatedBundle(written)).toEqual({ kind: "done" });
        const found = await server.readFederatedBundle(written.trustDomain);
        expect(found).toEqual(madeUntainted(written));
        expect(await server.listFederatedBundles()).toEqual([
          { trustDomain: written.trustDomain, digest: authoritiesDigest(written) },
        ]);
        expect(await server.deleteFederatedBundle(written.trustDomain)).toEqual({ kind: "done" });
        expect(await server.readFederatedBundle(written.trustDomain)).toBeUndefined();
      });

      test("is replaced as a whole, also by a lower number", async () => {
        const first = madeUpBundle("bravo.test", { sequenceNumber: 9n });
        const second = madeUpBundle("bravo.test", { sequenceNumber: 2n });
        await server.setFederatedBundle(first);
        expect(await server.setFederatedBundle(second)).toEqual({ kind: "done" });
        expect(await server.readFederatedBundle(first.trustDomain)).toEqual(second);
        await server.deleteFederatedBundle(first.trustDomain);
      });

      test("that is not there is deleted without complaint", async () => {
        expect(await server.deleteFederatedBundle("nobody.test" as TrustDomain)).toEqual({
          kind: "done",
        });
      });

      test("of the own trust domain, or of bytes that are no certificate, is refused with status 3", async () => {
        const refused = expect.objectContaining({ kind: "refused", status: Code.InvalidArgument });
        const own = madeUpBundle(spire.trustDomain);
        expect(await server.setFederatedBundle(own)).toEqual(refused);
        const bundle = madeUpBundle("bravo.test");
        const x509Authorities = [{ der: Uint8Array.of(1, 2, 3), tainted: false }];
        expect(await server.setFederatedBundle({ ...bundle, x509Authorities })).toEqual(refused);
        expect(await server.listFederatedBundles()).toEqual([]);
      });

      test("that a registration entry federates with is not deleted: status 9", async () => {
        const bundle = madeUpBundle("bravo.test");
        await server.setFederatedBundle(bundle);
        const id = await createEntry(api, spire.trustDomain, "bravo.test");
        expect(await server.deleteFederatedBundle(bundle.trustDomain)).toEqual(
          expect.objectContaining({ kind: "refused", status: Code.FailedPrecondition }),
        );
        await api.entry.batchDeleteEntry({ ids: [id] });
        expect(await server.deleteFederatedBundle(bundle.trustDomain)).toEqual({ kind: "done" });
      });

      test("too big for one request is refused here, and the connection stays good", async () => {
        const bundle = madeUpBundle("bravo.test");
        const x509Authorities = [{ der: randomBytes(3 * 1024 * 1024), tainted: false }];
        await expect(
          server.setFederatedBundle({ ...bundle, x509Authorities }),
        ).rejects.toMatchObject({ code: "SPIRE_REFUSED" });
        expect(await server.readFederatedBundle(bundle.trustDomain)).toBeUndefined();
      });

      test(`is listed with ${ROWS} others over several pages`, async () => {
        const bundle = madeUpBundle("any.test");
        const names = Array.from({ length: ROWS }, (_, n) => `td${n}.test` as TrustDomain);
        for (const trustDomain of names)
          await server.setFederatedBundle({ ...bundle, trustDomain });
        const rows = await server.listFederatedBundles();
        expect(rows.map(({ trustDomain }) => trustDomain).sort()).toEqual([...names].sort());
        expect(new Set(rows.map(({ digest }) => toHex(digest)))).toEqual(
          new Set([toHex(authoritiesDigest(bundle))]),
        );
        for (const trustDomain of names) await server.deleteFederatedBundle(trustDomain);
        expect(await server.listFederatedBundles()).toEqual([]);
      });

      test("is written once by the row writer, and proven", async () => {
        const outcomes: RowOutcome[] = [];
        const writer = new RowWriter({}, server, {
          onRowOutcome: (_order, outcome) => outcomes.push(outcome),
          onWritesDelayed: ({ message }) => expect.unreachable(message),
        });
        const bundle = madeUpBundle("bravo.test", { tainted: true });
        const { trustDomain } = bundle;
        const set: RowOrder = { kind: "set", trustDomain, bundle };
        writer.start();
        for (const [index, order] of [
          set,
          set,
          { kind: "delete", trustDomain } as const,
        ].entries()) {
          writer.order(order);
          await until("the outcome", () => outcomes.length > index);
        }
        await writer.stop();
        expect(outcomes).toEqual([
          { kind: "equal", wrote: true },
          { kind: "equal", wrote: false },
          { kind: "equal", wrote: true, over: expect.objectContaining({ trustDomain }) },
        ]);
        expect(writer.writes).toBe(2);
      });
    });

    test("a federation relationship is listed, and its removal leaves the row", async () => {
      const bundleEndpointUrl = "https://bravo.test:8443/bundle";
      const { results } = await api.trustDomain.batchCreateFederationRelationship({
        federationRelationships: [
          {
            trustDomain: "bravo.test",
            bundleEndpointUrl,
            bundleEndpointProfile: { case: "httpsWeb", value: {} },
          },
        ],
      });
      expect(results[0]?.status).toMatchObject({ code: 0 });
      expect(await server.listFederationRelationships()).toEqual(["bravo.test"]);
      await server.setFederatedBundle(madeUpBundle("bravo.test"));
      await api.trustDomain.batchDeleteFederationRelationship({ trustDomains: ["bravo.test"] });
      expect(await server.listFederationRelationships()).toEqual([]);
      expect(await server.listFederatedBundles()).toHaveLength(1);
      await server.deleteFederatedBundle("bravo.test" as TrustDomain);
    });

    describe("an X509-SVID", () => {
      test("is minted for the publisher, under a CA of the bundle", async () => {
        const spiffeId = publisherId(spire.trustDomain as TrustDomain);
        const { csr } = requestSvid(spiffeId);
        const chain = await server.mintX509Svid(csr, HOUR_S);
        expect(chain).toHaveLength(1);
        const [leaf] = chain.map((der) => new X509Certificate(der));
        expect(leaf?.subjectAltName).toBe(`URI:${spiffeId}`);
        const lifeMs = Date.parse(leaf?.validTo ?? "") - Date.now();
        expect(lifeMs).toBeGreaterThan((HOUR_S - 60) * 1_000);
        expect(lifeMs).toBeLessThanOrEqual(HOUR_S * 1_000);
        const { x509Authorities } = await server.readBundle();
        const anchors = x509Authorities.map(({ der }) => new X509Certificate(der));
        expect(anchors.some((anchor) => leaf?.verify(anchor.publicKey))).toBe(true);
      });

      test("lives no longer than the CA, whatever is asked", async () => {
        const { csr } = requestSvid(publisherId(spire.trustDomain as TrustDomain));
        const [leaf] = (await server.mintX509Svid(csr, 30 * 24 * HOUR_S)).map(
          (der) => new X509Certificate(der),
        );
        const { x509Authorities } = await server.readBundle();
        const anchor = x509Authorities
          .map(({ der }) => new X509Certificate(der))
          .find(({ publicKey }) => leaf?.verify(publicKey));
        expect(Date.parse(leaf?.validTo ?? "")).toBe(Date.parse(anchor?.validTo ?? ""));
      });

      test.for(["/spire/server", "/spire/agent/x"])(
        "is not minted for %s: code 3",
        async (path) => {
          const { csr } = requestSvid(`spiffe://${spire.trustDomain}${path}`);
          await expect(server.mintX509Svid(csr, HOUR_S)).rejects.toMatchObject({
            code: "SPIRE_REFUSED",
            details: { status: Code.InvalidArgument },
          });
        },
      );

      test("is not minted for another trust domain, or for bytes that are no request", async () => {
        const { csr } = requestSvid("spiffe://bravo.test/spire-mesh/publisher");
        const refused = { code: "SPIRE_REFUSED", details: { status: Code.InvalidArgument } };
        await expect(server.mintX509Svid(csr, HOUR_S)).rejects.toMatchObject(refused);
        await expect(server.mintX509Svid(Uint8Array.of(1), HOUR_S)).rejects.toMatchObject(refused);
      });
    });

    describe.for(["SIGTERM", "SIGKILL"] as const)("ended by %s", (signal) => {
      test("is away, and comes back with its bundle and rows for the same client", async () => {
        const row = madeUpBundle("bravo.test");
        await server.setFederatedBundle(row);
        const before = await server.readBundle();
        await spire.stop(signal);
        await expect(server.readBundle()).rejects.toMatchObject({ code: "SPIRE_UNREACHABLE" });
        await spire.start();
        expect(sameAuthorities(await server.readBundle(), before)).toBe(true);
        expect(await server.readFederatedBundle(row.trustDomain)).toEqual(row);
        await server.deleteFederatedBundle(row.trustDomain);
      });
    });
  });
}

/** One CA and one JWT authority that nobody signs with. */
function madeUpBundle(
  name: string,
  { tainted = false, sequenceNumber = 7n }: { tainted?: boolean; sequenceNumber?: bigint } = {},
): TrustBundle {
  const { publicKey } = makeKeyPair();
  const keyId = Buffer.from(keyIdOf(publicKey)).toString("hex");
  const der = Uint8Array.from(makeAuthority({ trustDomain: name }).der);
  const spki = Uint8Array.from(spkiOf(publicKey));
  return {
    trustDomain: name as TrustDomain,
    sequenceNumber,
    x509Authorities: [{ der, tainted }],
    jwtAuthorities: [{ keyId, spki, expiresAtS: 4_000_000_000, tainted }],
  };
}

function madeUntainted(bundle: TrustBundle): TrustBundle {
  return {
    ...bundle,
    x509Authorities: bundle.x509Authorities.map((each) => ({ ...each, tainted: false })),
    jwtAuthorities: bundle.jwtAuthorities.map((each) => ({ ...each, tainted: false })),
  };
}

function isTainted({ tainted }: Pick<X509Authority, "tainted">): boolean {
  return tainted;
}

/** Registers a workload that federates with another trust domain. Returns the entry's id. */
async function createEntry(api: SpireApi, own: string, other: string): Promise<string> {
  const { results } = await api.entry.batchCreateEntry({
    entries: [
      {
        spiffeId: { trustDomain: own, path: "/workload" },
        parentId: { trustDomain: own, path: "/node" },
        selectors: [{ type: "unix", value: "uid:1000" }],
        federatesWith: [other],
      },
    ],
  });
  expect(results[0]?.status).toMatchObject({ code: 0 });
  return results[0]?.entry?.id ?? "";
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + SOON_MS;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${SOON_MS} ms: ${what}`);
    await sleep(20);
  }
}
