/**
 * A daemon of alpha.test with its partners, and all the keys, X509-SVIDs and authorities that records
 * of theirs are signed with: made once, as certificates are costly and signatures are not.
 */
import type { Pin } from "../../src/core/mesh/partner.ts";
import type { Self, Stored } from "../../src/core/mesh/mesh-state.ts";
import { type VerifiedRecord, readRecord, restoreRecord } from "../../src/core/record/verify.ts";
import type { State } from "../../src/core/record/state.ts";
import {
  type Slot,
  addSibling,
  advance,
  envelopeBytes,
  startSlot,
} from "../../src/core/resolver/slot.ts";
import { encodeFrame, restoreSlot } from "../../src/core/resolver/frame.ts";
import type { JwtAuthority } from "../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { fromHex, toHex } from "../../src/core/std/bytes.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import { type Authority, makeAuthority } from "../arbitraries/authority.ts";
import { extensions, makeKeyPair, spkiOf } from "../arbitraries/certificate.ts";
import { extension, sequence, tlv } from "../arbitraries/der.ts";
import {
  NOW_S,
  type NodeKey,
  type Publisher,
  type Svid,
  type TestRecord,
  commitmentTo,
  makeNodeKey,
  makePublisher,
  makeRecord,
  makeRecoveredRecord,
  stateAfter,
  tainted,
  untainted,
} from "../arbitraries/record.ts";
import type { Setting } from "./target.ts";
import { judgeAfter } from "../core/record/verdict.ts";

/** A publisher, and the record of it that the daemon holds. */
export interface Site {
  readonly publisher: Publisher;
  readonly first: TestRecord;
  readonly held: TestRecord;
}

export interface World {
  readonly alpha: Site;
  /** Everything that can be listed is in its held record. */
  readonly bravo: Bravo;
  /** An ordinary partner. */
  readonly charlie: Site;
  /** Every authority in its held record has expired. */
  readonly delta: Site;
  /** It was approved at epoch 2. */
  readonly echo: Site;
  /** It committed to recovery keys, both of which must sign. */
  readonly foxtrot: Recoverable;
  /** It contradicted itself once. */
  readonly golf: Site & { readonly sibling: TestRecord };
  /** Its recovery keys began epoch 1. */
  readonly hotel: Recoverable;
  /** Nobody approved it. */
  readonly stranger: Site;
}

export interface Recoverable extends Site {
  readonly keys: readonly [NodeKey, NodeKey];
}

export interface Bravo extends Site {
  /** Listed; the publisher's own is the first. */
  readonly nodes: readonly [NodeKey, ...NodeKey[]];
  readonly removedNode: NodeKey;
  readonly cas: {
    readonly second: Authority;
    readonly tainted: Authority;
    readonly expired: Authority;
    /** It names another trust domain. */
    readonly foreign: Authority;
    /** Its name constraints exclude bravo.test. */
    readonly constrained: Authority;
    /** Its path length is 0. */
    readonly short: Authority;
    /** Listed nowhere. */
    readonly next: Authority;
  };
  /** X509-SVIDs of the publisher under authorities that are held and may speak. */
  readonly svids: readonly [Svid, ...Svid[]];
  readonly jwt: readonly JwtAuthority[];
  /** Authorities that a record may list besides. */
  readonly extras: readonly Authority[];
}

function ordinary(name: string, first: Partial<State> = {}, change: Partial<State> = {}): Site {
  const publisher = makePublisher(name, first);
  return { publisher, first: publisher.genesis, held: publisher.next(publisher.genesis, change) };
}

function makeBravo(): Bravo {
  const trustDomain = "bravo.test" as TrustDomain;
  const others = [makeNodeKey(), makeNodeKey(), makeNodeKey()];
  const removedNode = makeNodeKey();
  const excluded = sequence(tlv(0xa1, sequence(tlv(0x86, trustDomain))));
  const cas = {
    second: makeAuthority({ trustDomain, keyType: "ec-p384" }),
    tainted: makeAuthority({ trustDomain }),
    expired: makeAuthority({ trustDomain, notAfterS: NOW_S - 10 }),
    foreign: makeAuthority({ trustDomain: "other.test" }),
    constrained: makeAuthority({
      trustDomain,
      overrides: {
        extensions: [
          extensions.keyUsage(5, 6),
          extensions.basicConstraints(true),
          extension("2.5.29.30", excluded, true),
          extensions.uriSans(`spiffe://${trustDomain}`),
        ],
      },
    }),
    short: makeAuthority({ trustDomain, pathLength: 0 }),
    next: makeAuthority({ trustDomain, keyType: "ed25519" }),
  };
  const publisher = makePublisher(trustDomain);
  const { node, ca, svid, genesis } = publisher;
  const jwt = (["ec-p256", "rsa-2048", "ed25519"] as const).map((type, index) => ({
    keyId: `jwt-${index}`,
    spki: Uint8Array.from(spkiOf(makeKeyPair(type).publicKey)),
    expiresAtS: index === 0 ? 0 : NOW_S + 3_600,
    tainted: index === 2,
  }));
  const nodes = [node, ...others] as const;
  const held = publisher.next(
    genesis,
    {
      version: { epoch: 0, rev: 3, sequence: 10n },
      nodes: nodes.map(({ publicKey }) => publicKey),
      removed: [removedNode.publicKey],
      x509Authorities: [
        ...[ca, cas.second, cas.expired, cas.foreign, cas.constrained, cas.short].map(untainted),
        tainted(cas.tainted),
      ],
      jwtAuthorities: jwt,
    },
    [svid],
    { signedAtS: NOW_S - 100 },
  );
  const extras = Array.from({ length: 57 }, () => makeAuthority({ trustDomain }));
  const svids = [svid, publisher.mint(cas.second), publisher.mint(cas.short)] as const;
  return { publisher, first: genesis, held, nodes, removedNode, cas, svids, jwt, extras };
}

/** A first record at epoch 2, approved by its id: its lineage began elsewhere. */
function makeEcho(): Site {
  const publisher = makePublisher("echo.test");
  const version = { epoch: 2, rev: 1, sequence: 5n };
  const { node, svid, genesis } = publisher;
  const first = makeRecord(stateAfter(genesis, { version }), [{ node, svids: [svid] }]);
  return { publisher, first, held: publisher.next(first) };
}

function makeDelta(): Site {
  const trustDomain = "delta.test" as TrustDomain;
  const ca = makeAuthority({ trustDomain, notAfterS: NOW_S - 10 });
  const made = makePublisher(trustDomain, { x509Authorities: [untainted(ca)] });
  const svid = made.mint(ca);
  const first = makeRecord(made.genesis.state, [
    { node: made.node, svids: [svid], signedAtS: NOW_S - 200 },
  ]);
  const publisher: Publisher = { ...made, ca, svid, genesis: first };
  const held = made.next(first, {}, [svid], { signedAtS: NOW_S - 150 });
  return { publisher, first, held };
}

function recoverable(name: string): Recoverable {
  const keys = [makeNodeKey(), makeNodeKey()] as const;
  return { ...ordinary(name, { recovery: commitmentTo(keys) }), keys };
}

/** Held is what its recovery keys signed. */
function makeHotel(): Recoverable {
  const { publisher, first, keys } = recoverable("hotel.test");
  return { publisher, first, keys, held: recovered({ publisher, first, keys }) };
}

/** What begins the epoch after a site's first record, signed by these keys. */
export function recovered(
  { publisher, first, keys }: Pick<Recoverable, "publisher" | "first" | "keys">,
  change: Partial<State> = {},
  signers: readonly NodeKey[] = keys,
): TestRecord {
  const version = { epoch: first.state.version.epoch + 1, rev: 0, sequence: 9n };
  const recovery = commitmentTo([makeNodeKey()]);
  const state = stateAfter(first, { version, recovery, ...change });
  const { node, svid } = publisher;
  return makeRecoveredRecord(state, [{ node, svids: [svid] }], signers);
}

function makeGolf(): World["golf"] {
  const publisher = makePublisher("golf.test");
  const { ca, newCa, genesis: first, next } = publisher;
  const both = [untainted(ca), untainted(newCa())];
  const held = next(first, { x509Authorities: both });
  const sibling = next(first, { x509Authorities: [...both, untainted(newCa())] });
  return { publisher, first, held, sibling };
}

export function makeWorld(): World {
  return {
    alpha: ordinary("alpha.test"),
    bravo: makeBravo(),
    charlie: ordinary("charlie.test"),
    delta: makeDelta(),
    echo: makeEcho(),
    foxtrot: recoverable("foxtrot.test"),
    golf: makeGolf(),
    hotel: makeHotel(),
    stranger: ordinary("stranger.test"),
  };
}

/** What a daemon keeps of all this, as `setting` writes it and `storedOf` reads it. */
export interface Scene {
  readonly self: Self;
  readonly stored: Stored;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

/** The daemon as strings: `self`, and what is held of each trust domain. */
export function settingOf(world: World): Setting {
  const { alpha, bravo, charlie, delta, echo, foxtrot, golf, hotel } = world;
  const sites = [alpha, bravo, charlie, delta, echo, foxtrot, golf, hotel].map((site) => {
    const first = startSlot(verified(site.first, undefined));
    const held = advance(first, verified(site.held, first.held), NOW_S);
    const slot = site === golf ? addSibling(held, verified(golf.sibling, first.held)) : held;
    return [site.publisher.trustDomain, writeSlot(slot)] as const;
  });
  return Object.fromEntries([["self", toHex(alpha.publisher.node.publicKey)], ...sites]);
}

function writeSlot(slot: Slot): string {
  const { held, sibling } = slot;
  const records = [held, sibling].map((record) => record && envelopeBytes(record));
  return [encodeFrame(slot), ...records].map((bytes) => (bytes ? base64(bytes) : "")).join(" ");
}

export function sceneOf({ self = "", ...domains }: Setting): Scene {
  const slots = Object.entries(domains).map(([name, text]) => {
    const [frame = "", ...records] = text.split(" ");
    const [held, sibling] = records.map(readWritten);
    if (held === undefined) throw new RangeError(`nothing is held of ${name}`);
    const slot = restoreSlot(
      held,
      sibling,
      Uint8Array.from(Buffer.from(frame, "base64")),
      x509Proofs,
    );
    if (!slot.ok) throw new RangeError(`a setting does not read: ${slot.reason}`);
    return { trustDomain: name as TrustDomain, slot: slot.value };
  });
  const [own, ...partners] = slots;
  if (own === undefined) throw new RangeError("a setting begins with the own trust domain");
  return {
    self: {
      trustDomain: own.trustDomain,
      nodePublicKey: fromHex(self),
      role: "publisher",
      unmanaged: new Set(),
    },
    stored: {
      own: own.slot,
      partners: partners.map(({ trustDomain, slot }) => ({ pin: pinOf(trustDomain, slot), slot })),
      headCounter: 0n,
      lost: undefined,
    },
  };
}

function readWritten(text: string): VerifiedRecord | undefined {
  if (text === "") return undefined;
  const restored = restoreRecord(Uint8Array.from(Buffer.from(text, "base64")), x509Proofs);
  if (restored.ok) return restored.value;
  throw new RangeError(`a setting does not read: ${restored.reason.code}`);
}

function pinOf(trustDomain: TrustDomain, { held }: Slot): Pin {
  return {
    trustDomain,
    approvedRecordId: toHex(held.record.lineage),
    approvedAtMs: (NOW_S - 3_600) * 1_000,
    awaitedRecordId: undefined,
    addressHints: [],
  };
}

function verified({ envelope }: TestRecord, held: VerifiedRecord | undefined): VerifiedRecord {
  const read = readRecord(envelope, "sync", x509Proofs);
  const judged = read.ok ? judgeAfter(read.value, held, NOW_S - 60) : read;
  if (judged.ok) return judged.value;
  throw new RangeError(`a good record is refused: ${judged.reason.code}, ${judged.reason.detail}`);
}
