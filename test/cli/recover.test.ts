/** Recovery keys at the daemon: committed to, asked for, used once; what is bad is found before it is asked. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { encodeExportFile } from "../../src/core/record/export-file.ts";
import { encodeState } from "../../src/core/record/state.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import { encodeCommitment } from "../../src/keys/recovery-commitment.ts";
import { decodeRequest, encodeRequest } from "../../src/keys/recovery-request.ts";
import { encodeSignature, signRequest } from "../../src/keys/recovery-signature.ts";
import { OperationsInMemory } from "../admin/operations-in-memory.ts";
import { makePublisher } from "../arbitraries/record.ts";
import { ALPHA, KEYS, LINEAGE, commitmentOf, keyAt, stateOf } from "../keys/recovery-material.ts";
import { type Said, said } from "./in-process.ts";
import { type Room, openRoom } from "./spire-mesh.ts";

const operations = new OperationsInMemory();
const HELD = { epoch: 0, rev: 4, commitment: commitmentOf(2, KEYS.slice(0, 3)) };
const NEXT = commitmentOf(1, [keyAt(6)]);
const PAYLOAD = encodeState(stateOf({ recovery: NEXT }));
let room: Room;

const at = (name: string): string => join(room.directory, name);
const run = async (...args: readonly string[]): Promise<Said> =>
  await said(room.socketPath, ...args);

beforeAll(async () => {
  room = await openRoom(operations);
  const request = decodeRequest(encodeRequest({ payload: PAYLOAD, held: HELD }), "request");
  await writeFile(at("request"), encodeRequest({ payload: PAYLOAD, held: HELD }));
  for (const number of [0, 1, 2]) {
    const signed = signRequest(request, keyAt(number), "a key");
    await writeFile(at(`signature-${number}`), encodeSignature(signed));
  }
  const about = { trustDomain: ALPHA, lineage: LINEAGE };
  await writeFile(at("commitment"), encodeCommitment({ ...about, commitment: NEXT }));
  const { envelope } = makePublisher("alpha.test").genesis;
  await writeFile(at("alpha.record"), encodeExportFile({ envelope, addresses: [] }));
});
afterAll(async () => await room.close());
beforeEach(() => {
  operations.orders.length = 0;
  operations.commitment = null;
  operations.prepared = {
    payload: Buffer.from(PAYLOAD).toString("base64"),
    held: {
      epoch: 0,
      rev: 4,
      threshold: 2,
      key_hashes: HELD.commitment.keyHashes.map(toHex),
    },
  };
});

describe("recovery commit and recovery status", () => {
  test("publish which keys there are, and say so", async () => {
    expect((await run("recovery", "status")).stdout).toContain("commits to no recovery keys");
    expect(await run("recovery", "commit", at("commitment"))).toMatchObject({ exitCode: 0 });
    expect(operations.orders).toEqual([
      {
        kind: "commit-recovery",
        trust_domain: "alpha.test",
        lineage: toHex(LINEAGE),
        threshold: 1,
        key_hashes: NEXT.keyHashes.map(toHex),
      },
    ]);
    expect((await run("recovery", "status")).stdout).toContain("1 of these 1 recovery keys");
    const { stdout } = await run("recovery", "status", "-output", "json");
    expect(JSON.parse(stdout)).toMatchObject({ trust_domain: "alpha.test", threshold: 1 });
    expect((await run("status")).stdout).toMatch(/Recovery +1 of 1 offline keys/);
  });

  test("tell the daemon nothing of a file that is another", async () => {
    const { exitCode, stderr } = await run("recovery", "commit", at("request"));
    expect(exitCode).toBe(65);
    expect(stderr).toMatch(/^RECOVERY_FILE_KIND: .*is a recovery request, not/);
    expect(operations.orders).toEqual([]);
  });
});

describe("recovery request", () => {
  test("writes what is to be signed, shows it, and names the next commands", async () => {
    const out = at("new-request");
    const asked = await run("recovery", "request", "-commit", at("commitment"), "-out", out);
    expect(asked.exitCode).toBe(0);
    expect(asked.stderr).toContain("This is a RECOVERY.");
    expect(asked.stdout).toContain("signed by 2 of the recovery keys");
    expect(asked.stdout).toContain(`spire-mesh recover ${out} -signature`);
    expect(await readFile(out, "utf8")).toBe(await readFile(at("request"), "utf8"));
    expect(operations.orders).toMatchObject([
      { as: "recover", next: { threshold: 1, key_hashes: NEXT.keyHashes.map(toHex) } },
    ]);
  });

  test("of a daemon that lost all takes the last record, and of one that did not exchanges keys", async () => {
    const lost = ["-record", at("alpha.record"), "-without-keys", "-out", at("lost")];
    expect(await run("recovery", "request", ...lost)).toMatchObject({ exitCode: 0 });
    const other = ["-exchange", "-commit", at("commitment"), "-out", at("exchange")];
    expect(await run("recovery", "request", ...other)).toMatchObject({ exitCode: 0 });
    const record = (await readFile(at("alpha.record"))).toString("base64");
    expect(operations.orders).toMatchObject([
      { as: "recover", record, next: null },
      { as: "exchange" },
    ]);
  });

  test.each([
    ["without a word on the keys after it", [], 64, /^USAGE: .*-commit.*-without-keys/],
    ["with both words on them", ["-commit", "FILE", "-without-keys"], 64, /^USAGE: /],
    ["over a file that is there", ["-without-keys", "-out", "request"], 73, /^CANNOT_CREATE: /],
    ["with a record that is none", ["-without-keys", "-record", "nothing"], 65, /^DATA_INVALID: /],
  ])("%s is refused before the daemon is asked", async (_, args, exitCode, says) => {
    const before = await readFile(at("request"), "utf8");
    const files = args.map((each) => (/^[a-z]+$/.test(each) ? at(each) : each));
    const out = args.includes("-out") ? [] : ["-out", at("never")];
    const refused = await run("recovery", "request", ...files, ...out);
    expect(refused.exitCode).toBe(exitCode);
    expect(refused.stderr).toMatch(says);
    expect(operations.orders).toEqual([]);
    expect(await readFile(at("request"), "utf8")).toBe(before);
  });
});

describe("recover", () => {
  test("publishes what the keys signed, in whatever order their files are named", async () => {
    const signatures = [at("signature-2"), at("signature-0")];
    const ended = await run("recover", at("request"), "-signature", ...signatures);
    expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
    expect(ended.stdout).toContain("partners take it by themselves");
    const keys = [keyAt(0), keyAt(2)].map(({ publicKey }) => toHex(publicKey)).sort();
    expect(operations.orders).toMatchObject([
      {
        kind: "recover",
        payload: Buffer.from(PAYLOAD).toString("base64"),
        held: { epoch: 0, rev: 4, threshold: 2 },
        signatures: keys.map((public_key) => ({ public_key })),
      },
    ]);
  });

  test("takes -signature once for each file, too", async () => {
    const flags = ["-signature", at("signature-1"), "-signature", at("signature-0")];
    expect(await run("recover", ...flags, at("request"))).toMatchObject({ exitCode: 64 });
    expect(await run("recover", at("request"), ...flags)).toMatchObject({ exitCode: 0 });
  });

  test.each([
    ["too few", ["signature-0"], "RECOVERY_COUNT"],
    ["the same key twice", ["signature-0", "signature-0"], "RECOVERY_KEY_TWICE"],
    ["too many", ["signature-0", "signature-1", "signature-2"], "RECOVERY_COUNT"],
    ["another file", ["request", "signature-1"], "RECOVERY_FILE_KIND"],
    ["no file", ["nowhere", "signature-1"], "DATA_INVALID"],
  ])("of %s ends before the daemon sees a key", async (_, files, code) => {
    const { exitCode, stderr } = await run(
      "recover",
      at("request"),
      "-signature",
      ...files.map(at),
    );
    expect(exitCode).toBe(65);
    expect(stderr).toMatch(new RegExp(`^${code}: .* Next: .+\\n$`));
    expect(operations.orders).toEqual([]);
  });
});
