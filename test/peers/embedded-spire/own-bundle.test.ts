import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Datastore } from "../../../peers/embedded-spire/datastore.ts";
import { OwnBundle } from "../../../peers/embedded-spire/own-bundle.ts";
import { makeAuthority } from "../../arbitraries/authority.ts";
import { keyIdOf, makeKeyPair } from "../../arbitraries/certificate.ts";
import { withDirectory } from "./servers.ts";

const DAY_MS = 24 * 3_600_000;
const NOW_MS = 1_800_000_000_000;

const authorities = [1, 2, 3].map(() => {
  const keys = makeKeyPair();
  return { asn1: makeAuthority({ trustDomain: "a.test", keys }).der, id: keyIdOf(keys.publicKey) };
});

type Operation = readonly ["append" | "taint" | "revoke", number];

const operations = fc.array(
  fc.tuple(
    fc.constantFrom("append" as const, "taint" as const, "revoke" as const),
    fc.nat({ max: 2 }),
  ),
  { maxLength: 20 },
);

function carryOut(bundle: OwnBundle, [what, which]: Operation): "done" | "refused" {
  const { asn1 = Buffer.of(), id = Buffer.of() } = authorities[which] ?? {};
  try {
    if (what === "append") bundle.append({ x509Authorities: [{ asn1 }] });
    else bundle[what]("x509", id.toString("hex"));
    return "done";
  } catch {
    return "refused";
  }
}

function endingAt(notAfterMs: number): { readonly asn1: Uint8Array } {
  return { asn1: makeAuthority({ trustDomain: "a.test", notAfterS: notAfterMs / 1_000 }).der };
}

function keyEndingAt(ms: number, keyId: string) {
  return { keyId, expiresAt: BigInt(ms / 1_000) };
}

function openDatastore(path: string): Datastore {
  return new Datastore({ path, databaseType: "sqlite3" });
}

function contentOf(bundle: OwnBundle): string {
  const { x509Authorities = [] } = bundle.read() ?? {};
  return x509Authorities.map(({ asn1, tainted }) => `${asn1.join()} ${tainted}`).join("\n");
}

describe("the own bundle", () => {
  test("counts exactly the changes of its content", async () => {
    await withDirectory(async (directory) => {
      let run = 0;
      fc.assert(
        fc.property(operations, (steps) => {
          run += 1;
          const datastore = openDatastore(join(directory, `${run}.sqlite3`));
          const bundle = new OwnBundle("a.test", datastore, () => NOW_MS);
          let changes = -1n; // The first write makes number 0.
          for (const step of steps) {
            const before = contentOf(bundle);
            const outcome = carryOut(bundle, step);
            const changed = contentOf(bundle) !== before;
            if (outcome === "refused") expect(changed).toBe(false);
            if (changed) changes += 1n;
            expect(bundle.read()?.sequenceNumber ?? -1n).toBe(changes);
          }
          datastore.close();
        }),
        { numRuns: 30 },
      );
    });
  });

  test("of two servers with one datastore is one: what one writes the other reads a second later", async () => {
    await withDirectory(async (directory) => {
      let nowMs = NOW_MS;
      const open = () => openDatastore(join(directory, "shared.sqlite3"));
      const stores = [open(), open()] as const;
      const [one, other] = stores.map((store) => new OwnBundle("a.test", store, () => nowMs)) as [
        OwnBundle,
        OwnBundle,
      ];
      carryOut(one, ["append", 0]);
      expect(other.read()?.sequenceNumber).toBe(0n);
      carryOut(one, ["append", 1]);
      nowMs += 999;
      expect(other.read()?.sequenceNumber).toBe(0n);
      nowMs += 1;
      expect(other.read()?.sequenceNumber).toBe(1n);
      carryOut(other, ["append", 2]); // Its own write is seen at once, and none is lost.
      expect(other.read()?.sequenceNumber).toBe(2n);
      expect(other.read()?.x509Authorities).toHaveLength(3);
      for (const store of stores) store.close();
    });
  });

  test("drops what ended more than a day ago, and counts that once", async () => {
    await withDirectory(async (directory) => {
      const datastore = openDatastore(join(directory, "prune.sqlite3"));
      const bundle = new OwnBundle("a.test", datastore, () => NOW_MS);
      bundle.append({
        x509Authorities: [endingAt(NOW_MS - DAY_MS), endingAt(NOW_MS - DAY_MS + 1_000)],
        jwtAuthorities: [
          keyEndingAt(NOW_MS - DAY_MS, "old"),
          keyEndingAt(NOW_MS, "new"),
          { keyId: "endless" },
        ],
      });
      bundle.prune();
      bundle.prune();
      expect(bundle.read()?.sequenceNumber).toBe(1n);
      expect(bundle.read()?.x509Authorities).toHaveLength(1);
      expect(bundle.read()?.jwtAuthorities.map(({ keyId }) => keyId)).toEqual(["new", "endless"]);
      datastore.close();
    });
  });
});
