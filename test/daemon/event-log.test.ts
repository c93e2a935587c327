/** What an operator reads of a row that somebody else wrote. */
import { expect, test } from "vitest";
import type { MeshEvent } from "../../src/core/mesh/effect.ts";
import { logEvent, watchEvent } from "../../src/daemon/event-log.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { makePublisher } from "../arbitraries/record.ts";

const { trustDomain } = makePublisher("alpha.test");
const written = {
  kind: "bundle-written",
  trustDomain,
  sequenceNumber: 7n,
  x509Sha256: ["a".repeat(64)],
  overwritten: undefined,
} as const satisfies MeshEvent;
const putBack = {
  ...written,
  overwritten: { foreignX509Sha256: ["b".repeat(64), "c".repeat(64)], by: "another program" },
} as const satisfies MeshEvent;

function logged(event: MeshEvent): unknown {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  logEvent(createLogger({ level: "debug", format: "json", destination }), event, String);
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? "");
}

test("a row that was written by us is no warning", () => {
  expect(logged(written)).toMatchObject({ level: "info", msg: "Bundle refreshed" });
  expect(watchEvent(written, String, 0).message).toBeUndefined();
});

test("a row that somebody else overwrote is a warning, with what was found there and by whom", () => {
  expect(logged(putBack)).toMatchObject({
    level: "warning",
    trust_domain_id: "alpha.test",
    sequence_number: "7",
    x509_authorities_asn1_sha256: "a".repeat(64),
    found_x509_authorities_asn1_sha256: `${"b".repeat(64)},${"c".repeat(64)}`,
    overwritten_by: "another program",
  });
  expect(watchEvent(putBack, String, 0)).toMatchObject({
    event: "bundle-written",
    message: expect.stringContaining("overwritten by another program"),
  });
});
