/**
 * Where an attack happens: a daemon that approved two partners, of whom one is the victim. What stands
 * is what its disk holds, what SPIRE was ordered to write, and what is held of both.
 */
import { sign } from "node:crypto";
import { expect } from "vitest";
import type { FindingCode } from "../../../src/core/mesh/finding.ts";
import {
  type Head,
  encodeHead,
  encodeHeadPayload,
  headSigningBytes,
} from "../../../src/core/record/head.ts";
import { desiredRow } from "../../../src/core/policy/row.ts";
import { toHex } from "../../../src/core/std/bytes.ts";
import type { State } from "../../../src/core/record/state.ts";
import {
  NOW_S,
  type NodeKey,
  type Publisher,
  type TestRecord,
  makePublisher,
} from "../../arbitraries/record.ts";
import { TestDaemon } from "../mesh/daemon.ts";

export interface Stage {
  readonly daemon: TestDaemon;
  readonly victim: Publisher;
  readonly bystander: Publisher;
}

/** The daemon of bravo.test holds the first records of the victim and of a bystander; its rows are right. */
export async function setStage(change: Partial<State> = {}): Promise<Stage> {
  const victim = makePublisher("victim.test", change);
  return await setStageFor(victim);
}

export async function setStageFor(victim: Publisher, first = victim.genesis): Promise<Stage> {
  const bystander = makePublisher("bystander.test");
  const daemon = await TestDaemon.start(makePublisher("bravo.test"), { nowMs: NOW_S * 1_000 });
  daemon.sync();
  expect(daemon.import(first)).toBe("taken");
  expect(daemon.import(bystander.genesis)).toBe("taken");
  while (daemon.orders.length > 0) daemon.endRow();
  return { daemon, victim, bystander };
}

/** By the victim's own node, so that no relay pays for it. */
export function deliver({ daemon, victim }: Stage, record: Pick<TestRecord, "envelope">): string {
  return daemon.receive(record, "sync", toHex(victim.node.publicKey));
}

/** Everything that a refused attack must leave as it was. */
export function whatStands({ daemon }: Stage): unknown {
  const { partners, own } = daemon.state;
  return structuredClone({
    disk: [...daemon.disk.domains],
    pins: [...daemon.disk.pins],
    orders: daemon.orders,
    own: own.slot,
    partners: [...partners].map(([trustDomain, { pin, slot, row }]) => ({
      trustDomain,
      pin,
      slot,
      row: { ...row },
    })),
  });
}

/** What is refused changes nothing that stands; other findings than these are not raised. */
export function refusedUnharmed(
  stage: Stage,
  record: Pick<TestRecord, "envelope">,
  code: string,
  findings: readonly FindingCode[] = [],
): void {
  const before = whatStands(stage);
  expect(deliver(stage, record)).toBe(code);
  expect(stage.daemon.receive(record, "gossip", toHex(stage.victim.node.publicKey))).not.toBe(
    "taken",
  );
  expect(whatStands(stage)).toEqual(before);
  expect(stage.daemon.findings).toEqual(findings);
}

/** SHA-256 digests say little: what SPIRE's row of the victim shall hold, as hex of the DER. */
export function rowOf({ daemon, victim }: Stage): readonly string[] {
  const slot = daemon.slot(victim.trustDomain);
  const row = desiredRow(slot, Math.floor(daemon.nowMs / 1_000));
  return (row?.x509Authorities ?? []).map(({ der }) => toHex(der)).toSorted();
}

export function derOf(...authorities: readonly { readonly der: Uint8Array }[]): readonly string[] {
  return authorities.map(({ der }) => toHex(Uint8Array.from(der))).toSorted();
}

/** What a node says that it stands on. */
export function headOf(
  node: NodeKey,
  { state, lineage, id }: Pick<TestRecord, "state" | "lineage" | "id">,
  nowMs: number,
  change: Partial<Head> = {},
): Uint8Array {
  const payload = encodeHeadPayload({
    trustDomain: state.trustDomain,
    lineage,
    version: state.version,
    recordId: id,
    counter: BigInt(nowMs),
    issuedAtMs: nowMs,
    ...change,
  });
  const signature = Uint8Array.from(sign(null, headSigningBytes(payload), node.privateKey));
  return encodeHead(payload, node.publicKey, signature);
}

/** Gives a head to the daemon. Returns `heard`, `done` or the code of the refusal. */
export function hear({ daemon }: Pick<Stage, "daemon">, envelope: Uint8Array): string {
  const answer = daemon.ask((ticket) => ({
    kind: "head-received",
    envelope,
    from: "f0".repeat(32),
    ticket,
  }));
  return answer?.kind === "refused" ? answer.refusal.code : (answer?.kind ?? "no answer");
}
