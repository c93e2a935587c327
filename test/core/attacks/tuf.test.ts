/**
 * The cases of TUF's conformance suite (theupdateframework/tuf-conformance, names of its tests) where
 * they mean something here. TUF's client walks a chain of roots to what is signed below; ours holds one
 * record a trust domain, whose nodes and authorities sign the next. So its roles are mirrored by
 *
 *     root version, snapshot and targets versions ─▶ epoch, rev, sequence of a state
 *     root keys with a threshold                  ─▶ recovery keys, m of n
 *     keys of the other roles                     ─▶ nodes and authorities, old and new
 *     timestamp                                   ─▶ heads
 *     the trusted root that came with the client  ─▶ the fingerprint that came out of band
 */
import { describe, expect, test } from "vitest";
import { encodeCbor } from "../../../src/core/std/cbor.ts";
import { decodeEnvelope, encodeEnvelope } from "../../../src/core/record/envelope.ts";
import { desiredRow } from "../../../src/core/policy/row.ts";
import { makeAuthority } from "../../arbitraries/authority.ts";
import {
  NOW_S,
  type TestRecord,
  commitmentTo,
  makeNodeKey,
  makePublisher,
  makeRecord,
  makeRecoveredRecord,
  stateAfter,
  untainted,
} from "../../arbitraries/record.ts";
import { TestDaemon } from "../mesh/daemon.ts";
import {
  type Stage,
  deliver,
  headOf,
  hear,
  refusedUnharmed,
  setStage,
  setStageFor,
} from "./stage.ts";

const keys = [makeNodeKey(), makeNodeKey(), makeNodeKey()];
const recovery = commitmentTo(keys, 2);

/** A new epoch, signed by some recovery keys. */
function epoch({ victim }: Stage, signers: readonly (typeof keys)[number][]): TestRecord {
  const { genesis, node, svid } = victim;
  const version = { epoch: 1, rev: 0, sequence: 1n };
  const state = stateAfter(genesis, { version, recovery: undefined });
  return makeRecoveredRecord(state, [{ node, svids: [svid] }], signers);
}

type Case = readonly [names: readonly string[], what: string, mirror: () => Promise<void>];

const MIRRORED: readonly Case[] = [
  [
    ["test_root_rotation"],
    "each authority is led to the next by the one before; a link that is left out is not taken",
    async () => {
      const stage = await setStage();
      const { victim, daemon } = stage;
      const { mint, newCa, genesis } = victim;
      const steps: TestRecord[] = [];
      let [before, old] = [genesis, victim.svid];
      for (let turn = 0; turn < 4; turn += 1) {
        const ca = newCa();
        const next = mint(ca);
        before = victim.next(before, { x509Authorities: [untainted(ca)] }, [old, next]);
        old = next;
        steps.push(before);
      }
      expect(deliver(stage, steps[1] ?? genesis)).toBe("OLD_AUTHORITY_MISSING");
      for (const step of steps) expect(deliver(stage, step)).toBe("taken");
      expect(daemon.slot(victim.trustDomain).held.record.idHex).toBe(before.idHex);
    },
  ],
  [
    ["test_non_root_rotations", "test_targets_role_removal"],
    "a node goes and another comes, signed by both; the one that went is nobody",
    async () => {
      const stage = await setStage();
      const { victim } = stage;
      const came = makeNodeKey();
      const { node, svid, genesis } = victim;
      const version = { epoch: 0, rev: 1, sequence: 1n };
      const change = { version, nodes: [came.publicKey], removed: [node.publicKey] };
      const state = stateAfter(genesis, change);
      const alone = makeRecord(state, [{ node: came, svids: [svid] }]);
      refusedUnharmed(stage, alone, "NODE_NOT_LISTED");
      const both = makeRecord(state, [
        { node, svids: [svid] },
        { node: came, svids: [svid] },
      ]);
      expect(deliver(stage, both)).toBe("taken");
      expect(deliver(stage, victim.next(both))).toBe("NODE_REMOVED");
    },
  ],
  [
    [
      "test_new_timestamp_version_rollback",
      "test_snapshot_rollback",
      "test_targets_rollback",
      "test_timestamp_content_changes",
    ],
    "an older version is not taken, nor is an older head heard",
    async () => {
      const stage = await setStage();
      const { victim, daemon } = stage;
      const second = victim.next(victim.genesis);
      expect(deliver(stage, second)).toBe("taken");
      expect(deliver(stage, victim.genesis)).toBe("STALE");
      expect(hear(stage, headOf(victim.node, second, daemon.nowMs))).toBe("heard");
      expect(hear(stage, headOf(victim.node, second, daemon.nowMs - 1))).toBe("HEAD_STALE");
    },
  ],
  [
    [
      "test_new_timestamp_fast_forward_recovery",
      "test_new_snapshot_fast_forward_recovery",
      "test_targets_fast_forward_recovery",
    ],
    "the greatest sequence there is holds inside its rev, the greatest rev inside its epoch",
    async () => {
      const stage = await setStage({ recovery });
      const { victim } = stage;
      const far = victim.next(victim.genesis, {
        version: { epoch: 0, rev: 0, sequence: 2n ** 64n - 1n },
      });
      expect(deliver(stage, far)).toBe("taken");
      const healed = victim.next(far, { version: { epoch: 0, rev: 1, sequence: 3n } });
      expect(deliver(stage, healed)).toBe("taken");
      const leap = victim.next(healed, { version: { epoch: 0, rev: 1_026, sequence: 3n } });
      expect(deliver(stage, leap)).toBe("REV_JUMP");
      expect(deliver(stage, epoch(stage, keys.slice(0, 2)))).toBe("taken");
    },
  ],
  [
    ["test_snapshot_does_not_meet_threshold"],
    "fewer recovery keys than were committed begin no epoch",
    async () => {
      const stage = await setStage({ recovery });
      refusedUnharmed(stage, epoch(stage, keys.slice(0, 1)), "RECOVERY_COUNT");
      refusedUnharmed(stage, epoch(stage, []), "RECOVERY_COUNT");
    },
  ],
  [
    ["test_snapshot_has_too_few_keys", "test_duplicate_keys"],
    "a commitment to fewer keys than must sign, or to one of them twice, is none",
    async () => {
      const stage = await setStage();
      const [hash] = recovery.keyHashes;
      if (hash === undefined) throw new Error("there is one");
      const version = { epoch: 0, rev: 1, sequence: 1n };
      for (const keyHashes of [[hash], [hash, hash]]) {
        const change = { version, recovery: { threshold: 2, keyHashes } };
        refusedUnharmed(
          stage,
          stage.victim.next(stage.victim.genesis, change),
          "PAYLOAD_MALFORMED",
        );
      }
    },
  ],
  [
    ["test_duplicate_sig_keyids"],
    "one recovery key that signs twice is not two, and one block twice is no record",
    async () => {
      const stage = await setStage({ recovery });
      const [one] = keys;
      if (one === undefined) throw new Error("there is one");
      refusedUnharmed(stage, epoch(stage, [one, one]), "ENVELOPE_MALFORMED");
      const { node, svid, genesis } = stage.victim;
      const { envelope } = makeRecord(stateAfter(genesis), [{ node, svids: [svid] }]);
      const decoded = decodeEnvelope(envelope);
      if (!decoded.ok) throw new Error(decoded.reason);
      const { blocks } = decoded.value;
      const twice = encodeEnvelope({ ...decoded.value, blocks: [...blocks, ...blocks] });
      refusedUnharmed(stage, { envelope: twice }, "ENVELOPE_MALFORMED");
    },
  ],
  [
    ["test_unsigned_metadata", "test_unsigned_initial_root"],
    "what nobody signed is no record, not even with its fingerprint",
    async () => {
      const stage = await setStage();
      const unsigned = makeRecord(stateAfter(stage.victim.genesis), []);
      refusedUnharmed(stage, unsigned, "ENVELOPE_MALFORMED");
      const other = makePublisher("other.test");
      const first = makeRecord(other.genesis.state, []);
      expect(stage.daemon.import(first)).toBe("ENVELOPE_MALFORMED");
    },
  ],
  [
    ["test_invalid_sig_in_valid_metadata"],
    "a bad signature beside a good one is left out, and alone it is nothing",
    async () => {
      const stage = await setStage();
      const { node, svid, genesis, mint, ca, trustDomain } = stage.victim;
      const good = { node, svids: [svid] };
      const bad = { node, svids: [mint(ca)], nodeSignature: () => new Uint8Array(64).fill(1) };
      const state = stateAfter(genesis);
      refusedUnharmed(stage, makeRecord(state, [bad]), "NODE_SIGNATURE_INVALID");
      expect(deliver(stage, makeRecord(state, [good, bad]))).toBe("taken");
      expect(stage.daemon.slot(trustDomain).held.blocks).toHaveLength(1);
    },
  ],
  [
    ["test_invalid_initial_root"],
    "a first record that is not whole starts nothing, whatever its fingerprint",
    async () => {
      const { daemon } = await setStage();
      const { genesis, node, mint, newCa } = makePublisher("other.test");
      const wrong = makeRecord(genesis.state, [{ node, svids: [mint(newCa())] }]);
      expect(daemon.import(wrong)).toBe("NEW_AUTHORITY_MISSING");
      expect(daemon.disk.domains.has(wrong.state.trustDomain)).toBe(false);
    },
  ],
  [
    [
      "test_url_and_metadata_version_mismatch",
      "test_snapshot_hash_mismatch",
      "test_targets_hash_mismatch",
    ],
    "a record is named by the hash of all that it says: another one does not pass for it",
    async () => {
      const { daemon } = await setStage();
      const other = makePublisher("other.test");
      const { idHex: fingerprint } = other.next(other.genesis);
      expect(daemon.import(other.genesis, { fingerprint })).toBe("FINGERPRINT_MISMATCH");
    },
  ],
  [
    ["test_incorrect_metadata_type"],
    "a head is no state, and a state no head",
    async () => {
      const stage = await setStage();
      const { victim, daemon } = stage;
      const head = headOf(victim.node, victim.genesis, daemon.nowMs);
      refusedUnharmed(stage, { envelope: head }, "ENVELOPE_MALFORMED");
      expect(hear(stage, victim.next(victim.genesis).envelope)).toBe("HEAD_MALFORMED");
      const small = encodeCbor([1, Uint8Array.of(1), [], []]);
      expect(hear(stage, small)).toBe("HEAD_MALFORMED");
    },
  ],
  [
    ["test_custom_fields"],
    "what is not of the format is refused: nothing unknown is carried on (TUF lets it by)",
    async () => {
      const stage = await setStage();
      const decoded = decodeEnvelope(stage.victim.next(stage.victim.genesis).envelope);
      if (!decoded.ok) throw new Error(decoded.reason);
      const { kind, payload, recovery: none } = decoded.value;
      refusedUnharmed(
        stage,
        { envelope: encodeCbor([kind, payload, [], none, 1]) },
        "ENVELOPE_MALFORMED",
      );
    },
  ],
  [
    [
      "test_root_expired",
      "test_expired_local_root",
      "test_snapshot_expired",
      "test_targets_expired",
    ],
    "what has expired leads nobody on by itself, and its row stays as it was last written",
    async () => {
      const { stage, next } = await soonExpired();
      const { daemon, victim } = stage;
      daemon.nowMs += 20_000;
      expect(deliver(stage, next)).toBe("HELD_EXPIRED");
      expect(desiredRow(daemon.slot(victim.trustDomain), NOW_S + 20)).toBeUndefined();
      expect(daemon.orders).toEqual([]);
    },
  ],
  [
    ["test_timestamp_expired", "test_expired_local_timestamp"],
    "a head of long ago says nothing of now",
    async () => {
      const stage = await setStage();
      const { victim, daemon } = stage;
      const old = headOf(victim.node, victim.genesis, daemon.nowMs);
      daemon.nowMs += 301_000;
      expect(hear(stage, old)).toBe("HEAD_STALE");
    },
  ],
  [
    ["test_faketime"],
    "what is signed in the future of this clock is not taken before its time",
    async () => {
      const stage = await setStage();
      const { victim, daemon } = stage;
      const early = victim.next(victim.genesis, {}, [victim.svid], { signedAtS: NOW_S + 301 });
      refusedUnharmed(stage, early, "SIGNED_IN_FUTURE");
      daemon.nowMs += 1_000;
      expect(deliver(stage, early)).toBe("taken");
    },
  ],
  [
    ["test_cached_role_is_verified_against_current_delegator", "test_basic_refresh_trusted_data"],
    "what comes back from the disk is verified again: a changed one stops the start",
    async () => {
      const { daemon, victim } = await setStage();
      const { disk } = daemon;
      const domain = disk.domains.get(victim.trustDomain);
      if (domain === undefined) throw new Error("it is stored");
      const { envelope } = domain.held;
      const place = envelope.length - 40;
      const flipped = envelope.with(place, (envelope[place] ?? 0) ^ 1);
      disk.domains.set(victim.trustDomain, {
        ...domain,
        held: { ...domain.held, envelope: flipped },
      });
      await expect(TestDaemon.start(makePublisher("bravo.test"), { disk })).rejects.toMatchObject({
        code: "STORE_DAMAGED",
      });
    },
  ],
  [
    ["test_repository_substitutes_target_file"],
    "one trust domain's record is not another's, though one corporate root is above both",
    async () => {
      const stage = await setStage();
      const { victim, bystander } = stage;
      const { node, svid } = bystander;
      const forged = makeRecord(stateAfter(victim.genesis), [{ node, svids: [svid] }]);
      refusedUnharmed(stage, forged, "NODE_NOT_LISTED");
      const mixed = makeRecord(stateAfter(victim.genesis), [{ node: victim.node, svids: [svid] }]);
      refusedUnharmed(stage, mixed, "LEAF_NOT_PUBLISHER");
    },
  ],
];

/** A victim whose only authority ends in ten seconds, and the step that it made before that. */
async function soonExpired(): Promise<{ readonly stage: Stage; readonly next: TestRecord }> {
  const made = makePublisher("victim.test");
  const ca = makeAuthority({ trustDomain: "victim.test", notAfterS: NOW_S + 10 });
  const svid = made.mint(ca);
  const { node } = made;
  const state = { ...made.genesis.state, x509Authorities: [untainted(ca)] };
  const genesis = makeRecord(state, [{ node, svids: [svid] }]);
  const victim = { ...made, ca, svid, genesis };
  const stage = await setStageFor(victim);
  const later = made.newCa();
  const next = victim.next(genesis, { x509Authorities: [untainted(later)] }, [
    svid,
    made.mint(later),
  ]);
  return { stage, next };
}

/** Cases without a counterpart, and why. */
const APART: readonly (readonly [names: readonly string[], why: string])[] = [
  [
    [
      "test_artifact_cache",
      "test_client_downloads_expected_file",
      "test_client_downloads_expected_file_in_sub_dir",
      "test_download_with_hash_algorithms",
      "test_download_with_unknown_hash_algorithm",
      "test_multiple_changes_to_target",
      "test_targetfile_search",
    ],
    "there are no files below a record: it carries all that it says",
  ],
  [
    ["test_graph_traversal", "test_delegation_not_in_snapshot", "test_unusual_role_name"],
    "nothing is delegated: each trust domain speaks for itself alone",
  ],
  [
    ["test_snapshot_404", "test_targets_404", "test_timestamp_404", "test_basic_refresh_requests"],
    "nothing is fetched by a URL: what sync does not bring, ECLIPSED tells of (heads.test.ts)",
  ],
  [
    ["test_implicit_refresh", "test_static_repository", "test_metadata_bytes_match"],
    "they are about the command line of a client and about repositories of others",
  ],
  [
    [
      "test_basic_metadata_hash_support",
      "test_deprecated_keyid_hash_algorithms",
      "test_keytype_and_scheme",
    ],
    "there is one hash and one scheme for each kind of key; what else there is does not decode",
  ],
];

describe("TUF's cases", () => {
  test.each(MIRRORED)("%s: %s", async (_, __, mirror) => {
    await mirror();
  });

  test("are each named once, mirrored or not", () => {
    const names = [...MIRRORED, ...APART].flatMap(([each]) => each);
    expect(names).toEqual([...new Set(names)]);
    expect(names).toHaveLength(53);
  });
});
