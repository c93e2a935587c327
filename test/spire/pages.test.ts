import { describe, expect, test } from "vitest";
import { bytesOf } from "../../src/spire/bundle-message.ts";
import { allPages } from "../../src/spire/pages.ts";
import {
  BundleSchema,
  FederationRelationshipSchema,
  create,
} from "../../src/spire-api/services.ts";

const MIB = 1_024 ** 2;

/** Reads pages of these sizes, of which one row is kept; resolves with how many were asked for. */
async function read(sizes: readonly number[], rows = 1): Promise<number> {
  const kept = await allPages(async ({ pageToken }) => {
    const page = Number(pageToken);
    const nextPageToken = page + 1 < sizes.length ? `${page + 1}` : "";
    return { kept: [page], rows, bytes: sizes[page] ?? 0, nextPageToken };
  });
  expect(kept).toEqual(sizes.map((_, page) => page));
  return kept.length;
}

describe("a list", () => {
  test("is given up after 256 MiB, whatever its pages", async () => {
    expect(await read([64, 64, 64, 64].map((size) => size * MIB))).toBe(4);
    expect(await read([64, 64, 64, 64, 0].map((size) => size * MIB))).toBe(5);
    await expect(read([64 * MIB, 64 * MIB, 64 * MIB, 64 * MIB + 1, 0])).rejects.toMatchObject({
      code: "SPIRE_REFUSED",
      message: expect.stringContaining("256 MiB"),
      advice: expect.stringContaining("spire-server bundle list"),
    });
  });

  test("is given up at a page of 51 rows", async () => {
    expect(await read([1, 1], 50)).toBe(2);
    await expect(read([1, 1], 51)).rejects.toMatchObject({ code: "SPIRE_REFUSED" });
  });

  test("is given up after 800 pages", async () => {
    expect(await read(Array.from({ length: 800 }, () => 1))).toBe(800);
    await expect(read(Array.from({ length: 801 }, () => 1))).rejects.toMatchObject({
      code: "SPIRE_REFUSED",
    });
  });
});

test("a page takes what its names, addresses, certificates and keys take, and 64 bytes for each entry", () => {
  const bundle = {
    trustDomain: "a.test",
    x509Authorities: [{ asn1: new Uint8Array(1_000) }, { asn1: new Uint8Array(500) }],
    jwtAuthorities: [{ keyId: "k".repeat(70), publicKey: new Uint8Array(30) }],
  };
  expect(bytesOf([create(BundleSchema, bundle), create(BundleSchema, bundle)])).toBe(
    2 * (1_606 + 4 * 64),
  );
  const relationship = create(FederationRelationshipSchema, {
    trustDomain: "b.test",
    bundleEndpointUrl: "u".repeat(200),
    trustDomainBundle: bundle,
  });
  expect(bytesOf([relationship])).toBe(206 + 64 + 1_606 + 4 * 64);
});
