import { createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import {
  type Bundle,
  type BundleSchema,
  Code,
  DeleteMode,
  type MessageInitShape,
} from "../../../src/spire-api/services.ts";
import { makeAuthority } from "../../arbitraries/authority.ts";
import { makeKeyPair, spkiOf } from "../../arbitraries/certificate.ts";
import { rawCall } from "./raw-call.ts";
import { describeServers } from "./servers.ts";

type BundleInit = MessageInitShape<typeof BundleSchema> & { $typeName?: never };

const authority = makeAuthority({ trustDomain: "bravo.test" });
const other = makeAuthority({ trustDomain: "bravo.test" });
const leaf = authority.issueLeaf({ spiffeId: "spiffe://bravo.test/web" });
const expired = makeAuthority({ trustDomain: "bravo.test", notAfterS: 1_600_000_000 });
const stranger = makeAuthority({ trustDomain: "charlie.test" });
const spki = spkiOf(makeKeyPair().publicKey);
const jwt = { keyId: "one", publicKey: spki, expiresAt: 4_000_000_000n };
const spkiOfType = (type: "ed448" | "x25519"): Buffer => {
  const { publicKey } =
    type === "ed448" ? generateKeyPairSync("ed448") : generateKeyPairSync("x25519");
  return spkiOf(publicKey);
};

/** What a row may be made of, and the item status that SPIRE Server answers. */
const ROWS: readonly (readonly [string, BundleInit, Code | 0])[] = [
  ["a good bundle", { x509Authorities: [{ asn1: authority.der }], jwtAuthorities: [jwt] }, 0],
  ["no authorities at all", {}, 0],
  ["two certificates glued", { x509Authorities: [{ asn1: glue(authority.der, other.der) }] }, 0],
  ["a certificate of no bytes", { x509Authorities: [{ asn1: Buffer.of() }] }, 0],
  ["an expired CA", { x509Authorities: [{ asn1: expired.der }] }, 0],
  ["a leaf", { x509Authorities: [{ asn1: leaf.der }] }, 0],
  ["a CA of another trust domain", { x509Authorities: [{ asn1: stranger.der }] }, 0],
  ["one CA twice", { x509Authorities: [{ asn1: authority.der }, { asn1: authority.der }] }, 0],
  ["one key id twice", { jwtAuthorities: [jwt, { ...jwt, publicKey: spkiOfType("x25519") }] }, 0],
  ["a P-224 key", { jwtAuthorities: [{ ...jwt, publicKey: keyOf("ec-p224") }] }, 0],
  ["an RSA key of 1024 bits", { jwtAuthorities: [{ ...jwt, publicKey: keyOf("rsa-1024") }] }, 0],
  ["the highest number", { sequenceNumber: 2n ** 64n - 1n }, 0],
  ["a negative hint", { refreshHint: -1n }, 0],
  ["a name with its scheme", { trustDomain: "spiffe://bravo.test" }, 0],
  ["a name of 300 characters", { trustDomain: "b".repeat(300) }, 0],
  ["a name that is no JavaScript key", { trustDomain: "__proto__" }, 0],
  ["bytes after the certificate", { x509Authorities: [{ asn1: glue(authority.der, "x") }] }, 3],
  ["half a certificate", { x509Authorities: [{ asn1: authority.der.subarray(0, 200) }] }, 3],
  ["PEM", { x509Authorities: [{ asn1: Buffer.from(pemOf(authority.der)) }] }, 3],
  ["text", { x509Authorities: [{ asn1: Buffer.from("no certificate") }] }, 3],
  ["a key of no bytes", { jwtAuthorities: [{ ...jwt, publicKey: Buffer.of() }] }, 3],
  ["bytes after the key", { jwtAuthorities: [{ ...jwt, publicKey: glue(spki, "x") }] }, 3],
  ["a PEM key", { jwtAuthorities: [{ ...jwt, publicKey: Buffer.from(pemKey()) }] }, 3],
  ["a key without an id", { jwtAuthorities: [{ ...jwt, keyId: "" }] }, 3],
  ["an Ed448 key", { jwtAuthorities: [{ ...jwt, publicKey: spkiOfType("ed448") }] }, 3],
  ["a secp256k1 key", { jwtAuthorities: [{ ...jwt, publicKey: keyOf("ec-secp256k1") }] }, 3],
  ["the server's own name", { trustDomain: "alpha.test" }, 3],
  ["the server's own ID", { trustDomain: "spiffe://alpha.test" }, 3],
  ["no name", { trustDomain: "" }, 3],
  ["capitals in the name", { trustDomain: "Bravo.test" }, 3],
  ["a path in the name", { trustDomain: "bravo.test/x" }, 3],
];

describeServers("rows", (use) => {
  async function setRow(bundle: BundleInit): Promise<number | undefined> {
    const { results } = await use.api.bundle.batchSetFederatedBundle({ bundle: [bundle] });
    return results[0]?.status?.code;
  }

  test("a fresh server has one CA and one JWT key, at number 1", async () => {
    const bundle = await use.api.bundle.getBundle({});
    expect(bundle).toMatchObject({ trustDomain: "alpha.test", sequenceNumber: 1n });
    expect(bundle.x509Authorities).toHaveLength(1);
    expect(bundle.jwtAuthorities).toHaveLength(1);
  });

  test.each(ROWS)("a row with %s is answered as SPIRE does", async (_, fields, status) => {
    const bundle = { trustDomain: "bravo.test", ...fields };
    expect(await setRow(bundle)).toBe(status);
    if (status !== 0) return;
    const row = await use.api.bundle.getFederatedBundle({ trustDomain: bundle.trustDomain });
    expect(summaryOf(row)).toEqual(summaryOf({ ...EMPTY, ...bundle }));
  });

  test("a row's number may fall, and its taint is dropped", async () => {
    const x509Authorities = [{ asn1: authority.der, tainted: true }];
    const jwtAuthorities = [{ ...jwt, tainted: true }];
    const bundle = { trustDomain: "bravo.test", x509Authorities, jwtAuthorities };
    expect(await setRow({ ...bundle, sequenceNumber: 9n })).toBe(0);
    expect(await setRow({ ...bundle, sequenceNumber: 3n })).toBe(0);
    const row = await use.api.bundle.getFederatedBundle({ trustDomain: "bravo.test" });
    expect(row.sequenceNumber).toBe(3n);
    const tainted = [...row.x509Authorities, ...row.jwtAuthorities].map((one) => one.tainted);
    expect(tainted).toEqual([false, false]);
  });

  test("one bad item of a batch leaves the others alone", async () => {
    const good = { trustDomain: "delta.test" };
    const bad = { trustDomain: "alpha.test" };
    const { results } = await use.api.bundle.batchSetFederatedBundle({ bundle: [good, bad, good] });
    expect(results.map(({ status }) => status?.code)).toEqual([0, Code.InvalidArgument, 0]);
    await use.api.bundle.batchDeleteFederatedBundle({ trustDomains: ["delta.test"] });
  });

  test("create and update take a row that is missing and one that is there", async () => {
    const bundle = [{ trustDomain: "delta.test" }];
    const codes = async (call: "batchCreateFederatedBundle" | "batchUpdateFederatedBundle") =>
      (await use.api.bundle[call]({ bundle })).results.map(({ status }) => status?.code);
    expect(await codes("batchUpdateFederatedBundle")).toEqual([Code.NotFound]);
    expect(await codes("batchCreateFederatedBundle")).toEqual([0]);
    expect(await codes("batchCreateFederatedBundle")).toEqual([Code.AlreadyExists]);
    expect(await codes("batchUpdateFederatedBundle")).toEqual([0]);
    await use.api.bundle.batchDeleteFederatedBundle({ trustDomains: ["delta.test"] });
  });

  test("a row that entries federate with is deleted by force only", async () => {
    const entry = {
      spiffeId: { trustDomain: "alpha.test", path: "/web" },
      parentId: { trustDomain: "alpha.test", path: "/host" },
      selectors: [{ type: "unix", value: "uid:0" }],
      federatesWith: ["echo.test"],
    };
    const createEntry = async () =>
      (await use.api.entry.batchCreateEntry({ entries: [entry] })).results[0];
    const remove = async (mode: DeleteMode) =>
      (await use.api.bundle.batchDeleteFederatedBundle({ trustDomains: ["echo.test"], mode }))
        .results[0]?.status;
    const entries = async () => (await use.api.entry.listEntries({})).entries;

    expect((await createEntry())?.status).toMatchObject({ code: Code.Internal });
    await setRow({ trustDomain: "echo.test" });
    expect((await createEntry())?.status).toMatchObject({ code: 0 });
    expect((await createEntry())?.status).toMatchObject({ code: Code.AlreadyExists });
    expect(await remove(DeleteMode.RESTRICT)).toMatchObject({
      code: Code.FailedPrecondition,
      message: expect.stringContaining(
        "cannot delete bundle; federated with 1 registration entries",
      ),
    });
    expect(await remove(DeleteMode.DISSOCIATE)).toMatchObject({ code: 0 });
    expect((await entries()).map(({ federatesWith }) => federatesWith)).toEqual([[]]);
    expect(await remove(DeleteMode.RESTRICT)).toMatchObject({ code: Code.NotFound });

    await use.api.entry.batchDeleteEntry({ ids: (await entries()).map(({ id }) => id) });
    await setRow({ trustDomain: "echo.test" });
    await createEntry();
    expect(await remove(DeleteMode.DELETE)).toMatchObject({ code: 0 });
    expect(await entries()).toEqual([]);
  });

  test("a page is cut before the server's own row is taken out of it", async () => {
    for (const name of ["golf.test", "hotel.test", "india.test"])
      await setRow({ trustDomain: name });
    const whole = await use.api.bundle.listFederatedBundles({});
    const names = whole.bundles.map(({ trustDomain }) => trustDomain);
    expect(whole.nextPageToken).toBe("");
    expect(names).not.toContain("alpha.test");

    const paged: string[] = [];
    const sizes: number[] = [];
    let pageToken = "";
    do {
      const page = await use.api.bundle.listFederatedBundles({ pageSize: 2, pageToken });
      paged.push(...page.bundles.map(({ trustDomain }) => trustDomain));
      sizes.push(page.bundles.length);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(paged).toEqual(names);
    expect(sizes[0]).toBe(1); // The own row was made first.
    expect(sizes.at(-1)).toBe(0); // Only an empty page ends the list.
    const { count } = await use.api.bundle.countBundles({});
    expect(count).toBe(names.length + 1);
  });

  test("the largest request is 4 MiB", async () => {
    const { socketPath } = use.server;
    const path = "/spire.api.server.svid.v1.SVID/MintX509SVID";
    const largest = 4 * 1024 * 1024;
    const invalid = String(Code.InvalidArgument);
    expect(await rawCall(socketPath, path, mintRequest(largest))).toBe(invalid);
    const tooLarge = String(Code.ResourceExhausted);
    expect(await rawCall(socketPath, path, mintRequest(largest + 1))).toBe(tooLarge);
  });

  test.each([
    ["method", "/spire.api.server.bundle.v1.Bundle/Nothing"],
    ["service", "/spire.api.server.nothing.v1.Nothing/Nothing"],
  ])("an unknown %s is UNIMPLEMENTED", async (_, path) => {
    const status = await rawCall(use.server.socketPath, path, Buffer.of());
    expect(status).toBe(String(Code.Unimplemented));
  });

  test("health is told for the whole server only", async () => {
    await expect(use.api.health.check({ service: "" })).resolves.toMatchObject({ status: 1 });
    await expect(use.api.health.check({ service: "bundle" })).rejects.toThrow();
  });

  test("relationships are kept, and an existing one is INTERNAL", async () => {
    const relationship = {
      trustDomain: "kilo.test",
      bundleEndpointUrl: "https://kilo.test/",
      bundleEndpointProfile: { case: "httpsWeb" as const, value: {} },
      trustDomainBundle: { trustDomain: "kilo.test", x509Authorities: [{ asn1: stranger.der }] },
    };
    const createOne = async (changes: object) => {
      const federationRelationships = [{ ...relationship, ...changes }];
      const { results } = await use.api.trustDomain.batchCreateFederationRelationship({
        federationRelationships,
      });
      return results[0]?.status?.code;
    };
    const bad = Code.InvalidArgument;
    expect(await createOne({ bundleEndpointUrl: "http://kilo.test/" })).toBe(bad);
    expect(await createOne({ bundleEndpointUrl: "https://a:b@kilo.test/" })).toBe(bad);
    expect(await createOne({ trustDomain: "alpha.test" })).toBe(bad);
    expect(await createOne({ bundleEndpointProfile: { case: undefined } })).toBe(bad);
    expect(await createOne({})).toBe(0);
    expect(await createOne({})).toBe(Code.Internal);
    const { federationRelationships } = await use.api.trustDomain.listFederationRelationships({});
    expect(federationRelationships.map(({ trustDomain }) => trustDomain)).toEqual(["kilo.test"]);
    const remove = async () => {
      const trustDomains = ["kilo.test"];
      return (await use.api.trustDomain.batchDeleteFederationRelationship({ trustDomains }))
        .results[0]?.status?.code;
    };
    expect(await remove()).toBe(0);
    expect(await remove()).toBe(Code.NotFound);
    // The bundle that came with it stays.
    await expect(
      use.api.bundle.getFederatedBundle({ trustDomain: "kilo.test" }),
    ).resolves.toBeDefined();
  });
});

const EMPTY = { sequenceNumber: 0n, refreshHint: 0n, x509Authorities: [], jwtAuthorities: [] };

/** What has to come back as it went in. */
function summaryOf(bundle: BundleInit | Bundle) {
  const { trustDomain = "", sequenceNumber, refreshHint } = bundle;
  return {
    trustDomain: trustDomain.replace("spiffe://", ""),
    sequenceNumber,
    refreshHint,
    x509: bundle.x509Authorities?.map(({ asn1 = Buffer.of() }) => hex(asn1)),
    jwt: bundle.jwtAuthorities?.map((key) => [key.keyId, hex(key.publicKey), key.expiresAt]),
  };
}

function keyOf(type: "ec-p224" | "ec-secp256k1" | "rsa-1024"): Buffer {
  return spkiOf(makeKeyPair(type).publicKey);
}

function glue(...parts: readonly (Uint8Array | string)[]): Buffer {
  return Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)));
}

function pemOf(der: Uint8Array): string {
  return new X509Certificate(der).toString();
}

function pemKey(): string {
  const key: KeyObject = createPublicKey({ key: spki, format: "der", type: "spki" });
  return key.export({ type: "spki", format: "pem" }).toString();
}

function hex(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString("hex");
}

/** A message of so many bytes: field 1, a length of four bytes, and a CSR that nobody can read. */
function mintRequest(bytes: number): Buffer {
  const length = bytes - 5;
  const septets = [0, 7, 14, 21].map((shift) => (length >> shift) & 0x7f);
  const varint = septets.map((septet, index) => (index < 3 ? septet | 0x80 : septet));
  return Buffer.concat([Buffer.of(0x0a, ...varint), Buffer.alloc(length)]);
}
