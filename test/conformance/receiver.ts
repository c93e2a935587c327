/**
 * A receiver that has pinned one record of one trust domain, and nothing else: the core as it runs in
 * a daemon, with a disk that takes everything. What comes is brought by a node of that domain itself.
 */
import assert from "node:assert/strict";
import type { Answer, Effect } from "../../src/core/mesh/effect.ts";
import type { Input } from "../../src/core/mesh/input.ts";
import { type MeshState, newMeshState } from "../../src/core/mesh/mesh-state.ts";
import { start, step } from "../../src/core/mesh/step.ts";
import type { VerifiedRecord } from "../../src/core/record/verify.ts";
import type { Slot } from "../../src/core/resolver/slot.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import { sha256Hex } from "../../src/core/std/sha256.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import type { Arrival, ConformanceCase } from "./conformance-case.ts";
import { nodeKey } from "./fixed-keys.ts";
import { one } from "./fixed-records.ts";

/** What a case ends with, as its file says it. Keys and hashes in hex. */
export interface End {
  /** Nothing is held when the first record was refused. */
  readonly held: string | null;
  readonly sibling: string | null;
  readonly lineage: string | null;
  readonly version: { readonly epoch: number; readonly rev: number; readonly seq: string } | null;
  readonly nodes: readonly string[];
  readonly x509: readonly { readonly sha256: string; readonly tainted: boolean }[];
  readonly jwt: readonly {
    readonly kid: string;
    readonly expiresAt: number;
    readonly tainted: boolean;
  }[];
  /** The blocks that are kept of the held record. */
  readonly blocks: readonly {
    readonly node: string;
    readonly newAnchor: string;
    readonly signedAt: number;
  }[];
  readonly findings: readonly string[];
}

export interface Run {
  readonly outcomes: readonly string[];
  readonly end: End;
}

export function receive({ trustDomain, pinned, nowS, carrier, arrivals }: ConformanceCase): Run {
  const nowMs = nowS * 1_000;
  const name = trustDomain as TrustDomain;
  const state = newMeshState(
    {
      trustDomain: "receiver.test" as TrustDomain,
      nodePublicKey: nodeKey("receiver").publicKey,
      role: "publisher",
      unmanaged: new Set(),
    },
    {
      own: undefined,
      headCounter: 0n,
      lost: undefined,
      partners: [
        {
          slot: undefined,
          nodes: [one.publicKey],
          pin: {
            trustDomain: name,
            approvedRecordId: pinned,
            approvedAtMs: nowMs,
            awaitedRecordId: pinned,
            addressHints: [],
          },
        },
      ],
    },
    nowMs,
  );
  start(state);
  const outcomes = arrivals.map((arrival, ticket) =>
    outcomeOf(give(state, inputOf(arrival, carrier, ticket), nowMs)),
  );
  return { outcomes, end: endOf(state, name) };
}

function inputOf({ envelope, topic }: Arrival, carrier: "sync" | "gossip", ticket: number): Input {
  const from = toHex(one.publicKey);
  return topic === "head"
    ? { kind: "head-received", envelope, from, ticket }
    : { kind: "record-received", envelope, carrier, from, ticket };
}

/** Gives one input, and what the disk answers to it, to the core. */
function give(state: MeshState, input: Input, nowMs: number): Answer | undefined {
  const effects: Effect[] = [];
  let waiting: Input[] = [input];
  while (waiting.length > 0) {
    const made = waiting.flatMap((each) => step(state, each, nowMs, x509Proofs));
    effects.push(...made);
    waiting = made.flatMap((effect): Input[] => {
      if (effect.kind === "store-domain") return [{ kind: "domain-stored" }];
      if (effect.kind !== "wake-parked") return [];
      return [{ kind: "parked-woken", trustDomain: effect.trustDomain }];
    });
  }
  return effects.find((effect) => effect.kind === "answer")?.answer;
}

function outcomeOf(answer: Answer | undefined): string {
  assert(answer !== undefined, "whatever comes is answered");
  return answer.kind === "refused" ? answer.refusal.code : answer.kind;
}

function endOf(state: MeshState, trustDomain: TrustDomain): End {
  const slot = state.partners.get(trustDomain)?.slot;
  const findings = [...state.findings.values()]
    .map(({ code }) => code)
    .filter((code) => code !== "PIN_AWAITED" && code !== "SPIRE_UNREACHABLE")
    .sort();
  return { ...(slot === undefined ? NOTHING : endOfSlot(slot)), findings };
}

const NOTHING = {
  held: null,
  sibling: null,
  lineage: null,
  version: null,
  nodes: [],
  x509: [],
  jwt: [],
  blocks: [],
};

function endOfSlot({ held, sibling, effective }: Slot): Omit<End, "findings"> {
  const { version, lineage, nodes, x509Authorities, jwtAuthorities } = effective.state;
  return {
    held: held.record.idHex,
    sibling: sibling?.record.idHex ?? null,
    lineage: toHex(lineage),
    version: { epoch: version.epoch, rev: version.rev, seq: `${version.sequence}` },
    nodes: nodes.map(toHex),
    x509: x509Authorities.map(({ der, tainted }) => ({ sha256: sha256Hex(der), tainted })),
    jwt: jwtAuthorities.map(({ keyId, expiresAtS, tainted }) => ({
      kid: keyId,
      expiresAt: expiresAtS,
      tainted,
    })),
    blocks: blocksOf(held),
  };
}

function blocksOf({ blocks }: VerifiedRecord): End["blocks"] {
  return blocks.map(({ block, newAnchor }) => ({
    node: toHex(block.nodePublicKey),
    newAnchor: toHex(newAnchor),
    signedAt: block.signedAtS,
  }));
}
