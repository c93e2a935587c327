/** What SECURITY.md tells an operator to do when a partner is trusted no more, and what undoes it. */
import { expect, test } from "vitest";
import { bundleOf, makePublisher, untainted } from "../../arbitraries/record.ts";
import { TestDaemon, TestDisk } from "./daemon.ts";

const bravo = makePublisher("bravo.test");
const { ca, genesis, newCa, next, trustDomain } = makePublisher("alpha.test");
const second = next(genesis, { x509Authorities: [untainted(ca), untainted(newCa())] });

/** Bravo's daemon with alpha imported and its row written. */
async function holding(disk: TestDisk): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(bravo, { disk });
  expect(daemon.import(genesis)).toBe("taken");
  daemon.endRow();
  return daemon;
}

test("a partner that is unmanaged since a restart is not written again, whatever becomes of its row", async () => {
  const disk = new TestDisk();
  await holding(disk);
  const daemon = await TestDaemon.start(bravo, { disk, unmanaged: [trustDomain] });
  daemon.sync();
  daemon.readRows(bundleOf(genesis.state));
  expect(daemon.receive(second)).toBe("taken");
  daemon.wait(20);
  daemon.readRows(); // The operator deleted it.
  daemon.import(second, { fingerprint: undefined, replace: true });
  daemon.wait(20);
  expect(daemon.orders).toEqual([]);
  expect(daemon.forget(trustDomain)).toBe("done");
  expect(daemon.receive(second)).toBe("TRUST_DOMAIN_UNKNOWN");
  expect(daemon.orders).toEqual([]);
});

test("without that, the row of a partner comes back when the operator deletes it", async () => {
  const daemon = await holding(new TestDisk());
  daemon.readRows();
  expect(daemon.orders).toMatchObject([{ kind: "set", bundle: { trustDomain } }]);
});

test("an old export after forget brings back what it held, until the partner is heard", async () => {
  const daemon = await holding(new TestDisk());
  daemon.receive(second);
  daemon.endRow();
  expect(daemon.import(genesis)).toBe("STALE");
  daemon.forget(trustDomain);
  daemon.endRow();
  expect(daemon.import(genesis, { fingerprint: undefined })).toBe("TRUST_DOMAIN_UNKNOWN");
  expect(daemon.import(genesis)).toBe("taken");
  daemon.readRows();
  expect(daemon.orders).toMatchObject([{ bundle: { sequenceNumber: 1n } }]);
  daemon.endRow();
  daemon.receive(second);
  expect(daemon.orders).toMatchObject([{ bundle: { sequenceNumber: 2n } }]);
});
