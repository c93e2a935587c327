import { describe, expect, test } from "vitest";
import type { Fault } from "../../src/fault.ts";
import { Code, ConnectError } from "../../src/spire-api/services.ts";
import { Outage } from "../../src/spire/outage.ts";
import { spireFault } from "../../src/spire/spire-fault.ts";

/** A call that failed, as connect tells of it. */
async function failed(code: Code, errno?: string, call = "GetBundle"): Promise<Fault> {
  const cause = errno && Object.assign(new Error(errno), { code: errno });
  const error = new ConnectError("said so", code, undefined, undefined, cause);
  return await spireFault(error, call, "/nonexistent/api.sock");
}

/** The messages of those that are told. */
async function told(...failures: readonly Promise<Fault>[]): Promise<string[]> {
  const outage = new Outage();
  const faults = await Promise.all(failures);
  return faults.filter((fault) => outage.fail(fault)).map(({ message }) => message);
}

const noSocket = failed(Code.Unavailable, "ENOENT");
const refused = failed(Code.Unavailable, "EOTHER");
const silent = failed(Code.DeadlineExceeded);

describe("of an outage is told", () => {
  test("the first failure alone while the reason stays, whichever call it met", async () => {
    const other = failed(Code.Unavailable, "ENOENT", "MintX509SVID");
    expect(await told(noSocket, noSocket, other, noSocket)).toHaveLength(1);
  });

  test("another reason once it came twice, though the same would help", async () => {
    expect(await told(noSocket, refused, refused, refused, silent, silent)).toEqual([
      "there is no socket at /nonexistent/api.sock",
      "SPIRE Server failed in GetBundle: said so",
      "SPIRE Server did not answer GetBundle in time",
    ]);
  });

  test("nothing of reasons that take turns", async () => {
    expect(await told(noSocket, refused, silent, refused, noSocket, silent)).toHaveLength(1);
  });

  test("the first failure of the next one", async () => {
    const outage = new Outage();
    expect(outage.fail(await noSocket)).toBe(true);
    outage.end();
    expect(outage.fail(await noSocket)).toBe(true);
  });
});
