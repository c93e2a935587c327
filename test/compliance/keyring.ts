/**
 * What every keyring does, beside whatever SPIRE: a receiver that judges by the protocol takes each
 * record it signs, through any rotation.
 */
import { describe, expect, test } from "vitest";
import { anchorsOf, readAuthorities } from "../../src/core/record/authority.ts";
import { type Block, encodeEnvelope } from "../../src/core/record/envelope.ts";
import { recordId } from "../../src/core/record/preimages.ts";
import type { SigningOutcome } from "../../src/core/record/signing.ts";
import { type State, encodeState, noLineage } from "../../src/core/record/state.ts";
import { type VerifiedRecord, readRecord } from "../../src/core/record/verify.ts";
import type { X509Authority } from "../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import type { Keyring } from "../../src/ports/keyring.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { judgeAfter } from "../core/record/verdict.ts";

/** The SPIRE Server that a keyring mints from, as an operator turns its authorities over. */
export interface KeyringSpire {
  readonly trustDomain: TrustDomain;
  readonly sequenceNumber: bigint;
  readonly authorities: readonly X509Authority[];
  prepare(): void | Promise<void>;
  activate(): void | Promise<void>;
  taintOld(): void | Promise<void>;
  revokeOld(): void | Promise<void>;
}

export interface KeyringUnderTest {
  readonly keyring: Keyring;
  /** Of the node key that it signs with. 32 bytes. */
  readonly nodePublicKey: Uint8Array;
  readonly spire: KeyringSpire;
  readonly nowMs: () => number;
}

/** A publisher's core and one partner in miniature: signs what SPIRE has and judges what comes. */
export class Publishing {
  readonly #parts: KeyringUnderTest;
  held: VerifiedRecord | undefined;

  constructor(parts: KeyringUnderTest) {
    this.#parts = parts;
  }

  /** Signs SPIRE's bundle as the next record, or the first. */
  async sign(): Promise<SigningOutcome> {
    const { keyring, nowMs } = this.#parts;
    const next = this.#next();
    const authorities = readAuthorities(next, x509Proofs);
    if (!authorities.ok) throw new Error(authorities.reason.detail);
    return await keyring.sign(
      {
        recordId: recordId(1, encodeState(next)),
        recovery: [],
        heldAuthorities: this.held === undefined ? [] : anchorsOf(this.held.authorities),
        newAuthorities: anchorsOf(authorities.value),
      },
      nowMs(),
    );
  }

  /** Signs, judges as a receiver does, applies, and lets the keyring mint ahead. */
  async publish(): Promise<Block> {
    const { keyring, nowMs } = this.#parts;
    const payload = encodeState(this.#next());
    const outcome = await this.sign();
    if (outcome.kind !== "signed") throw new Error(JSON.stringify(outcome));
    const { block } = outcome;
    const bytes = encodeEnvelope({ kind: 1, payload, blocks: [block], recovery: [] });
    const read = readRecord(bytes, "gossip", x509Proofs);
    if (!read.ok) throw new Error(`${read.reason.code} ${read.reason.detail}`);
    const verified = judgeAfter(read.value, this.held, Math.floor(nowMs() / 1_000));
    if (!verified.ok) throw new Error(`${verified.reason.code} ${verified.reason.detail}`);
    this.held = verified.value;
    await keyring.mintAhead(nowMs());
    return block;
  }

  #next(): State {
    const { nodePublicKey, spire } = this.#parts;
    const held = this.held?.record;
    return {
      trustDomain: spire.trustDomain,
      lineage: held?.lineage ?? noLineage(),
      version: { epoch: 0, rev: 0, sequence: spire.sequenceNumber },
      nodes: [nodePublicKey],
      removed: [],
      recovery: undefined,
      x509Authorities: spire.authorities,
      jwtAuthorities: [],
    };
  }
}

/** Runs the suite; `open` starts a keyring that has not minted yet beside a fresh SPIRE. */
export function keyringSuite(name: string, open: () => Promise<KeyringUnderTest>): void {
  describe(`${name}: a keyring`, () => {
    test("signs a first record with one chain", async () => {
      const { chains } = await new Publishing(await open()).publish();
      expect(chains).toHaveLength(1);
    });

    test("signs with one chain while one authority is in both records", async () => {
      const parts = await open();
      const publishing = new Publishing(parts);
      await publishing.publish();
      await parts.spire.prepare();
      const { chains } = await publishing.publish();
      expect(chains).toHaveLength(1);
    });

    test("carries continuity through a rotation that is published step by step", async () => {
      const parts = await open();
      const { spire } = parts;
      const publishing = new Publishing(parts);
      await publishing.publish();
      await spire.prepare();
      await publishing.publish();
      await spire.activate();
      await spire.taintOld();
      await publishing.publish();
      await spire.revokeOld();
      await publishing.publish();
    });

    test("carries continuity through a rotation that passes within one poll", async () => {
      const parts = await open();
      const { spire } = parts;
      const publishing = new Publishing(parts);
      await publishing.publish();
      await spire.prepare();
      await spire.activate();
      await spire.taintOld();
      await spire.revokeOld();
      const { chains, svidSignatures } = await publishing.publish();
      expect(chains).toHaveLength(2);
      expect(svidSignatures).toHaveLength(2);
    });

    test("signs a record twice under the same authorities when asked to", async () => {
      const parts = await open();
      const publishing = new Publishing(parts);
      await publishing.publish();
      expect(await publishing.sign()).toMatchObject({ kind: "signed" });
    });

    test("says so when it has no SVID of the held authorities, and mints none for them", async () => {
      const before = new Publishing(await open());
      await before.publish();
      const after = new Publishing(await open());
      after.held = before.held;
      expect(await after.sign()).toEqual({ kind: "no-old-chain" });
    });
  });
}
