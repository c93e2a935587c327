/** What a read took from the disk, where how long it took says more of the machine. */
import { readFile } from "node:fs/promises";
import { expect } from "vitest";

/** A file of ours has 512 KiB at the most; the rest is of whatever else this process reads meanwhile. */
const LITTLE_BYTES = 64 * 1024 * 1024;

/** By this process since it began, of files, pipes and devices (proc(5), `rchar`). */
async function bytesRead(): Promise<number> {
  const counts = await readFile("/proc/self/io", "utf8");
  return Number(/^rchar: (\d+)$/m.exec(counts)?.[1]);
}

/** Runs `read`, which takes little, however much there is: 1 GiB, or a device without an end. */
export async function readingLittle<Value>(read: () => Promise<Value>): Promise<Value> {
  const before = await bytesRead();
  const value = await read();
  expect((await bytesRead()) - before).toBeLessThan(LITTLE_BYTES);
  return value;
}
