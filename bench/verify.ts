/** Records verified in a second of one core, against the same calls of node:crypto in a bare loop. */
import { type VerifiedRecord, readRecord } from "../src/core/record/verify.ts";
import { x509Proofs } from "../src/x509/proofs.ts";
import { type TestRecord, makePublisher, untainted } from "../test/arbitraries/record.ts";
import { bareVerification } from "./bare-crypto.ts";
import type { Figure, Part } from "./figure.ts";
import { medianOf } from "./spread.ts";
import { judgeAfter } from "../test/core/record/verdict.ts";

/** Long enough that a timer's grain and one collection of garbage do not count. */
const ROUND_RECORDS = 400;
const RATIO_TARGET = 0.7;

export function measureVerify({ runs }: { readonly runs: number }): Part {
  const publisher = makePublisher("alpha.test");
  const { ca, genesis, svid, newCa, mint, next } = publisher;
  const held = verified(genesis, undefined);
  const fresh = newCa();
  const prepared = next(genesis, { x509Authorities: [untainted(ca), untainted(fresh)] });
  const revoked = next(genesis, { x509Authorities: [untainted(fresh)] }, [svid, mint(fresh)]);
  return {
    title: "verify: readRecord and verifyRecord against a held record, one core",
    figures: [
      ...compare("one chain, as after a prepare", prepared, held, runs),
      ...compare("two chains, as after a revoke", revoked, held, runs),
    ],
    notes: [
      "bare: one createPublicKey and one verify for each signature, and the hashes, in a plain loop",
    ],
  };
}

function compare(what: string, record: TestRecord, held: VerifiedRecord, runs: number): Figure[] {
  const verify = (): unknown => verified(record, held);
  const plain = bareVerification(record);
  rate(verify); // Both are compiled by then.
  rate(plain);
  const ours: number[] = [];
  const bare: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    ours.push(rate(verify));
    bare.push(rate(plain));
  }
  const anchor: Figure = { what: "  bare", unit: "a second", values: bare };
  const ratio = medianOf(ours) / medianOf(bare);
  return [
    {
      what,
      unit: "a second",
      values: ours,
      anchor,
      target: { text: `≥ ${RATIO_TARGET} ×`, met: ratio >= RATIO_TARGET },
    },
    anchor,
  ];
}

function verified({ envelope }: TestRecord, held: VerifiedRecord | undefined): VerifiedRecord {
  const read = readRecord(envelope, "gossip", x509Proofs);
  const judged = read.ok ? judgeAfter(read.value, held) : read;
  if (!judged.ok) throw new Error(`refused: ${judged.reason.code}`);
  return judged.value;
}

/** A second of this process's own time: what else runs on the machine does not count. */
function rate(work: () => unknown): number {
  const before = process.cpuUsage();
  for (let index = 0; index < ROUND_RECORDS; index += 1) work();
  const { user, system } = process.cpuUsage(before);
  return (1_000_000 * ROUND_RECORDS) / (user + system);
}
