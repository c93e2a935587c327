/** Records carried by files: all of a daemon's out, many in, by the daemon's own core. */
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, asyncProperty, shuffledSubarray } from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ImportOutcome } from "../../src/admin-contract/exchange.ts";
import { decodeExportFile, encodeExportFile } from "../../src/core/record/export-file.ts";
import { FAULTS } from "../../src/fault.ts";
import { OperationsInMemory, partner, recordFile } from "../admin/operations-in-memory.ts";
import { type TestRecord, bundleOf, makePublisher, untainted } from "../arbitraries/record.ts";
import { TestDaemon } from "../core/mesh/daemon.ts";
import { operationsBy } from "../daemon/operations-by.ts";
import { said } from "./in-process.ts";
import { openRoom } from "./spire-mesh.ts";

const BAD = FAULTS.RECORD_REFUSED.exitCode;
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spire-mesh-files-"));
});
afterEach(async () => await rm(directory, { recursive: true }));

const at = (name: string): string => join(directory, name);

async function put(name: string, content: Uint8Array): Promise<string> {
  await writeFile(at(name), content);
  return at(name);
}

async function putRecord({ envelope, idHex }: TestRecord): Promise<string> {
  return await put(idHex, encodeExportFile({ envelope, addresses: [] }));
}

/** A trust domain whose every record is signed under an authority that only the one before it lists. */
function rotating(name: string, steps: number) {
  const publisher = makePublisher(name);
  const records = [publisher.genesis];
  let [ca, svid] = [publisher.ca, publisher.svid];
  for (let step = 0; step < steps; step += 1) {
    const [before] = records.slice(-1);
    if (before === undefined) break;
    const nextCa = publisher.newCa();
    const both = { x509Authorities: [untainted(ca), untainted(nextCa)] };
    const prepared = publisher.next(before, both, [svid]);
    [ca, svid] = [nextCa, publisher.mint(nextCa)];
    const rotated = publisher.next(prepared, { x509Authorities: [untainted(ca)] }, [svid]);
    records.push(prepared, rotated);
  }
  return { publisher, records };
}

describe("import of many files", () => {
  test("takes them in any order, as each follows on the step before it", async () => {
    const { publisher, records } = rotating("alpha.test", 3);
    const files = await Promise.all(records.slice(1).map(putRecord));
    const last = records.at(-1);
    await assert(
      asyncProperty(shuffledSubarray(files, { minLength: files.length }), async (shuffled) => {
        const daemon = await TestDaemon.start(makePublisher("bravo.test"));
        daemon.import(publisher.genesis);
        const room = await openRoom(operationsBy(daemon));
        try {
          const ended = await said(room.socketPath, "import", ...shuffled);
          expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
        } finally {
          await room.close();
        }
        expect(daemon.slot(publisher.trustDomain).held.record.idHex).toBe(last?.idHex);
      }),
      { numRuns: 10 },
    );
  });

  test("takes the good ones and lists the bad ones by file and code", async () => {
    const daemon = await TestDaemon.start(makePublisher("bravo.test"));
    const domains = ["a.test", "b.test", "c.test"].map((name) => rotating(name, 1));
    for (const { publisher } of domains) daemon.import(publisher.genesis);
    const [stranger, loose] = [makePublisher("stranger.test"), rotating("loose.test", 2)];
    daemon.import(loose.publisher.genesis);
    const good = domains.flatMap(({ records }) => records.slice(1));
    const [first] = good;
    const cut = await put(
      "cut",
      encodeExportFile({ envelope: first?.envelope ?? new Uint8Array(1), addresses: [] }).slice(
        0,
        -9,
      ),
    );
    const bad = new Map([
      [at("missing"), "DATA_INVALID"],
      [await put("text", Buffer.from("a letter")), "DATA_INVALID"],
      [cut, "DATA_INVALID"],
      [await put("empty", new Uint8Array()), "DATA_INVALID"],
      [await putRecord(stranger.genesis), "TRUST_DOMAIN_UNKNOWN"],
      [await putRecord(loose.records[4] ?? loose.publisher.genesis), "OLD_AUTHORITY_MISSING"],
    ]);
    const files = [...bad.keys(), ...(await Promise.all(good.toReversed().map(putRecord)))];
    const room = await openRoom(operationsBy(daemon));
    const [pretty, json] = [
      await said(room.socketPath, "import", ...files),
      await said(room.socketPath, "import", ...files, "-output", "json"),
    ];
    await room.close();
    expect([pretty.exitCode, json.exitCode]).toEqual([BAD, BAD]);
    const lines = pretty.stderr.trim().split("\n");
    expect(lines[0]).toMatch(/^RECORD_REFUSED: there are 6 problems\. Next: /);
    expect(lines.slice(1).map((line) => line.trim().split(":", 1)[0])).toEqual([...bad.values()]);
    for (const [index, file] of [...bad.keys()].entries()) expect(lines[index + 1]).toContain(file);
    const outcomes = JSON.parse(json.stdout) as ImportOutcome[];
    expect(outcomes.map(({ file }) => file)).toEqual(files);
    expect(outcomes.slice(0, bad.size).map(({ code }) => code)).toEqual([...bad.values()]);
    // What the first run took, the second finds; of each trust domain the last one stands.
    const rest = outcomes.slice(bad.size).map(({ outcome, code }) => code ?? outcome);
    expect(new Set(rest)).toEqual(new Set(["unchanged", "STALE"]));
    for (const { publisher, records } of domains) {
      const held = daemon.slot(publisher.trustDomain).held.record.idHex;
      expect(held).toBe(records.at(-1)?.idHex);
    }
  });

  test("ends when the daemon, and not a file, is at fault", async () => {
    const { records } = rotating("alpha.test", 1);
    const files = await Promise.all(records.map(putRecord));
    const ended = await said(at("none.sock"), "import", ...files);
    expect(ended.exitCode).toBe(69);
    expect(ended.stderr).toMatch(/^DAEMON_UNREACHABLE: .*\n$/);
  });
});

describe("export -all", () => {
  test("writes each record to a file of its own, which import takes elsewhere", async () => {
    const alpha = makePublisher("alpha.test");
    const sender = await TestDaemon.start(alpha);
    sender.exportOwn(bundleOf(alpha.genesis.state));
    const others = ["b.test", "c.test"].map((name) => makePublisher(name));
    for (const { genesis } of others) sender.import(genesis);
    const room = await openRoom(operationsBy(sender));
    const made = await said(room.socketPath, "export", "-all", "-o", at("all"), "-output", "json");
    const again = await said(room.socketPath, "export", "-all", "-o", at("all"));
    await room.close();
    expect([made.exitCode, again.exitCode]).toEqual([0, 0]);
    const files = (JSON.parse(made.stdout) as { readonly file: string }[]).map(({ file }) => file);
    expect((await readdir(at("all"))).map((name) => at(join("all", name)))).toEqual(
      files.toSorted(),
    );
    expect(files).toHaveLength(3);
    for (const file of files) expect(decodeExportFile(await readFile(file)).ok).toBe(true);

    const receiver = await TestDaemon.start(makePublisher("delta.test"));
    for (const { genesis } of [alpha, ...others]) receiver.import(genesis);
    const there = await openRoom(operationsBy(receiver));
    const taken = await said(there.socketPath, "import", ...files, "-output", "json");
    await there.close();
    expect(taken.exitCode).toBe(0);
  });

  test("goes through all pages", async () => {
    const operations = new OperationsInMemory(...["a.test", "b.test"].map((name) => partner(name)));
    const room = await openRoom(operations);
    const made = await said(room.socketPath, "export", "-all", "-o", at("all"));
    await room.close();
    expect(made.exitCode).toBe(0);
    const ids = ["a.test", "b.test"].map((name) => `${recordFile(name, 3n).recordId}.record`);
    expect(await readdir(at("all"))).toEqual(ids.toSorted());
  });

  test.each([
    ["no directory", () => [], 64],
    ["stdout", () => ["-o", "-"], 64],
    ["a file", () => ["-o", at("file")], 73],
    ["a directory that cannot be made", () => ["-o", at(join("none", "all"))], 73],
    ["the daemon's own directory", () => ["-o", at("data")], 73],
    ["one below it", () => ["-o", at(join("data", "all"))], 73],
  ])("to %s is refused", async (_, place, exitCode) => {
    await put("file", Buffer.from("something else"));
    const operations = new OperationsInMemory(partner("a.test"));
    const room = await openRoom(operations);
    await mkdir(at("data"));
    operations.privateDirectories = [at("data")];
    const ended = await said(room.socketPath, "export", "-all", ...place());
    await room.close();
    expect(ended.exitCode).toBe(exitCode);
    expect(ended.stderr).toMatch(/^(?:USAGE|CANNOT_CREATE): .* Next: .+\n$/);
    expect(await readdir(at("data"))).toEqual([]);
    expect(await readFile(at("file"), "utf8")).toBe("something else");
  });
});
