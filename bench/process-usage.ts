/** What a running process uses, from /proc (proc(5)). */
import { readFile } from "node:fs/promises";

/** USER_HZ: 100 on every Linux that Node runs on. */
const TICKS_A_SECOND = 100;
const KIB = 1_024;

export interface Usage {
  /** VmRSS, in bytes. */
  readonly rssBytes: number;
  /** User and system time since its start, in milliseconds. */
  readonly cpuMs: number;
}

export async function usageOf(pid: number): Promise<Usage> {
  const [status, stat] = await Promise.all(
    ["status", "stat"].map(async (name) => await readFile(`/proc/${pid}/${name}`, "utf8")),
  );
  const rssKiB = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status ?? "")?.[1]);
  // The second field, the program's name, may hold anything; utime and stime are 14 and 15.
  const fields = (stat ?? "").slice((stat ?? "").lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { rssBytes: rssKiB * KIB, cpuMs: (ticks * 1_000) / TICKS_A_SECOND };
}
