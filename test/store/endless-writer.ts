/**
 * A process that opens the store of its first argument and accepts records without end, counting up
 * from its second; says each number when its write is acknowledged, "marked" and the number when that
 * is in the marks, and the code when one failed.
 */
import { writeSync } from "node:fs";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { Fault } from "../../src/fault.ts";
import { openRecordStore } from "../../src/store/level-record-store.ts";
import { domainNamed, pinNamed, stored } from "../compliance/record-store.ts";

const STDOUT = 1;
const AFTER_FAILURE_MS = 20;
const [dataDir = "", first = "1"] = process.argv.slice(2);
const store = await openRecordStore(dataDir);
writeSync(STDOUT, "open\n");
const envelope = crypto.getRandomValues(new Uint8Array(3_000));
let sequence = BigInt(first);
let marking: Promise<void> | undefined;
/** As a daemon: it never waits for the marks before it accepts. */
async function mark(upTo: bigint): Promise<void> {
  try {
    await store.marked();
    writeSync(STDOUT, `marked ${upTo}\n`);
  } catch {
    // The next accept says what is wrong.
  } finally {
    marking = undefined;
  }
}
for (;;) {
  const name = `domain-${sequence % 3n}.test`;
  try {
    const held = stored(sequence, { envelope });
    await store.accept(domainNamed(name, held), pinNamed(name), false);
    writeSync(STDOUT, `${sequence}\n`);
    marking ??= mark(sequence);
    sequence += 1n;
  } catch (error) {
    writeSync(STDOUT, `${error instanceof Fault ? error.code : String(error)}\n`);
    await setTimeout(AFTER_FAILURE_MS);
  }
}
