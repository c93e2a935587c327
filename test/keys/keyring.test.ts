import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { nodePreimage, svidPreimage } from "../../src/core/record/preimages.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { Fault } from "../../src/fault.ts";
import { type NodeKey, openNodeKey } from "../../src/keys/node-key.ts";
import { openPublisher } from "../../src/keys/publisher.ts";
import { KEPT_SVIDS_MAX } from "../../src/keys/svid-cache.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { type KeyringUnderTest, Publishing, keyringSuite } from "../compliance/keyring.ts";
import { RotatingSpire } from "./rotating-spire.ts";

const TRUST_DOMAIN = "alpha.test" as TrustDomain;
const START_MS = 1_790_000_000_000;
const HOUR_MS = 3_600_000;

let directory: string;
let nodeKey: NodeKey;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spire-mesh-keys-"));
  nodeKey = await openNodeKey(directory);
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** A keyring in memory beside a SPIRE of its own, with a clock that tests turn. */
interface World extends KeyringUnderTest {
  readonly spire: RotatingSpire;
  readonly passMs: (milliseconds: number) => void;
}

async function openWorld(): Promise<World> {
  let ms = START_MS;
  const nowMs = (): number => ms;
  const spire = new RotatingSpire(TRUST_DOMAIN, () => Math.floor(ms / 1_000));
  const svidCache = { policy: "memory", runtimeDir: directory, dataDir: directory } as const;
  const ports = { mint: spire.mint, warn: expect.unreachable };
  const keyring = await openPublisher({ trustDomain: TRUST_DOMAIN, nodeKey, svidCache }, ports);
  const { publicKey: nodePublicKey } = nodeKey;
  return { keyring, nodePublicKey, spire, nowMs, passMs: (passed) => (ms += passed) };
}

type Turn = (world: World, publishing: Publishing) => unknown;

const TURNS: Readonly<Record<string, Turn>> = {
  prepare: ({ spire }) => spire.prepare(),
  activate: ({ spire }) => spire.activate(),
  taint: ({ spire }) => spire.taintOld(),
  revoke: ({ spire }) => spire.revokeOld(),
  restart: ({ spire }) => spire.restartWithVolatileKeys(),
  wait: ({ passMs }) => passMs(60_000),
  "mint ahead": async ({ keyring, nowMs }) => await keyring.mintAhead(nowMs()),
  publish: async (_, publishing) => await publishing.publish(),
};

describe("the keyring, as a law", () => {
  test("receivers take every record, whatever SPIRE does in the hour after the last one", async () => {
    const turns = fc.array(fc.constantFrom(...Object.keys(TURNS)), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(turns, async (names) => {
        const world = await openWorld();
        const publishing = new Publishing(world);
        await publishing.publish();
        for (const name of names) await TURNS[name]?.(world, publishing);
        await publishing.publish();
      }),
      { numRuns: 60 },
    );
  });

  test("signatures of SVIDs have the smaller s, and both kinds verify", async () => {
    const { keyring, spire, nowMs } = await openWorld();
    const newAuthorities = spire.authorities.flatMap(({ der }) => {
      const facts = x509Proofs.readCertificate(der);
      return "malformed" in facts ? [] : [facts];
    });
    const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const bytes64 = fc.uint8Array({ minLength: 64, maxLength: 64 });
    await fc.assert(
      fc.asyncProperty(
        bytes32,
        fc.array(fc.tuple(bytes32, bytes64), { maxLength: 2 }),
        async (recordId, recovery) => {
          const order = { recordId, recovery, heldAuthorities: [], newAuthorities };
          const outcome = await keyring.sign(order, nowMs());
          if (outcome.kind !== "signed") throw new Error(outcome.kind);
          const { nodePublicKey, signedAtS, chains, svidSignatures, nodeSignature } = outcome.block;
          const [chain = []] = chains;
          const [svidSignature = Buffer.of()] = svidSignatures;
          const leaf = x509Proofs.readCertificate(chain[0] ?? Buffer.of());
          if ("malformed" in leaf) throw new Error(leaf.malformed);
          expect(signedAtS).toBe(START_MS / 1_000);
          // n/2 of P-256 begins with 7f ff ff ff 80.
          expect(Buffer.from(svidSignature.subarray(32, 36)).readUInt32BE()).toBeLessThan(2 ** 31);
          const svidBytes = svidPreimage(recordId, nodePublicKey, signedAtS, chain);
          expect(x509Proofs.verifiesSvid(leaf.key, svidBytes, svidSignature)).toBe(true);
          const nodeBytes = nodePreimage(recordId, signedAtS, chains, svidSignatures, recovery);
          expect(x509Proofs.verifiesNode(nodePublicKey, nodeBytes, nodeSignature)).toBe(true);
        },
      ),
    );
  });
});

keyringSuite("beside a small SPIRE", openWorld);

describe("the keyring", () => {
  test("signs old under the kept SVID and new under the fresh one", async () => {
    const world = await openWorld();
    const { spire } = world;
    const publishing = new Publishing(world);
    await publishing.publish();
    const oldKeyId = spire.active.keyId;
    spire.prepare();
    spire.activate();
    spire.taintOld();
    const { chains } = await publishing.publish();
    expect(chains.map(anchorKeyId)).toEqual([oldKeyId, spire.active.keyId].map(hex));
  });

  test("has one chain for both after a restart of SPIRE that kept the old authority listed", async () => {
    const world = await openWorld();
    const publishing = new Publishing(world);
    await publishing.publish();
    const oldKeyId = world.spire.active.keyId;
    world.spire.restartWithVolatileKeys();
    const { chains } = await publishing.publish();
    expect(chains.map(anchorKeyId)).toEqual([hex(oldKeyId)]);
  });

  test("gives each minted SVID a key of its own", async () => {
    const world = await openWorld();
    const publishing = new Publishing(world);
    const first = await publishing.publish();
    const second = await publishing.sign();
    if (second.kind !== "signed") throw new Error(second.kind);
    expect(spkiOf(second.block.chains)).not.toEqual(spkiOf(first.chains));
    expect(world.spire.minted).toBe(2);
  });

  test("mints ahead at start, at half life and after signing, and not in between", async () => {
    const world = await openWorld();
    const { keyring, spire, nowMs, passMs } = world;
    const mintsAhead = async (): Promise<number> => {
      const before = spire.minted;
      await keyring.mintAhead(nowMs());
      return spire.minted - before;
    };
    expect(await mintsAhead()).toBe(1);
    passMs(HOUR_MS * 0.49);
    expect(await mintsAhead()).toBe(0);
    passMs(HOUR_MS * 0.02);
    expect(await mintsAhead()).toBe(1);
    await new Publishing(world).publish();
    expect(await mintsAhead()).toBe(0);
    expect(spire.minted).toBe(3);
  });

  test("lets a signature wait for the SVID that is being minted ahead", async () => {
    const world = await openWorld();
    const publishing = new Publishing(world);
    const [, outcome] = await Promise.all([
      world.keyring.mintAhead(world.nowMs()),
      publishing.sign(),
    ]);
    expect(outcome.kind).toBe("signed");
    expect(world.spire.minted).toBe(1);
  });

  test("does not speak for the held authorities with an SVID that has ended", async () => {
    const world = await openWorld();
    const publishing = new Publishing(world);
    await publishing.publish();
    world.spire.prepare();
    world.spire.activate();
    world.passMs(HOUR_MS + 60_000);
    expect(await publishing.sign()).toEqual({ kind: "no-old-chain" });
  });

  test("uses no SVID for more than an hour, however long SPIRE let it live", async () => {
    const world = await openWorld();
    world.spire.svidLifeS = (48 * HOUR_MS) / 1_000;
    const publishing = new Publishing(world);
    await publishing.publish();
    world.passMs(HOUR_MS + 60_000);
    expect(await publishing.sign()).toEqual({ kind: "no-old-chain" });
  });

  test.each([HOUR_MS + 60_000, -24 * HOUR_MS])(
    "carries continuity after a wall clock that was %d ms wrong when SPIRE rotated",
    async (aheadMs) => {
      const world = await openWorld();
      const publishing = new Publishing(world);
      await publishing.publish();
      world.passMs(aheadMs);
      await world.keyring.mintAhead(world.nowMs()); // SPIRE's clock, too, is wrong by as much.
      world.spire.prepare();
      world.spire.activate();
      world.spire.taintOld();
      world.spire.revokeOld();
      world.passMs(-aheadMs);
      await publishing.publish();
    },
  );

  test("says so when SPIRE signs with an authority that its bundle does not list", async () => {
    const world = await openWorld();
    world.spire.signUnlisted();
    const outcome = await new Publishing(world).sign();
    expect(outcome).toEqual({ kind: "no-new-chain", problem: expect.any(String) });
  });

  test("passes on SPIRE's fault, and works again when SPIRE is back", async () => {
    const world = await openWorld();
    const publishing = new Publishing(world);
    const away = new Fault("SPIRE_UNREACHABLE", "the server is away");
    world.spire.failure = away;
    await expect(world.keyring.mintAhead(world.nowMs())).rejects.toBe(away);
    await expect(publishing.sign()).rejects.toBe(away);
    world.spire.failure = undefined;
    await publishing.publish();
  });

  test("refuses an SVID that was minted for something else", async () => {
    const { spire, nowMs } = await openWorld();
    const svidCache = { policy: "memory", runtimeDir: directory, dataDir: directory } as const;
    const trustDomain = "bravo.test" as TrustDomain;
    const keyring = await openPublisher(
      { trustDomain, nodeKey, svidCache },
      { mint: spire.mint, warn: expect.unreachable },
    );
    await expect(keyring.mintAhead(nowMs())).rejects.toMatchObject({ code: "SPIRE_REFUSED" });
  });

  test("keeps the SVID of the published authority when more anchors come than it keeps", async () => {
    const world = await openWorld();
    const publishing = new Publishing(world);
    await publishing.publish();
    for (let restarts = 0; restarts < KEPT_SVIDS_MAX + 4; restarts += 1) {
      world.spire.restartWithVolatileKeys();
      await publishing.sign(); // Minted for: the next mint ahead is due.
      await world.keyring.mintAhead(world.nowMs());
    }
    await publishing.publish();
  });
});

function anchorKeyId([leaf = Buffer.of()]: readonly Uint8Array[]): string {
  const facts = x509Proofs.readCertificate(leaf);
  return hex("malformed" in facts ? Buffer.of() : (facts.authorityKeyId ?? Buffer.of()));
}

function spkiOf([chain]: readonly (readonly Uint8Array[])[]): string {
  const facts = x509Proofs.readCertificate(chain?.[0] ?? Buffer.of());
  return "malformed" in facts ? facts.malformed : hex(facts.key.spki);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
