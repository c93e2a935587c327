/**
 * Records that a member's daemon signs to be refused, each kind at one step of docs/protocol.md 3,
 * and to cost as much as it can until then. All differ, as gossipsub knows one that comes again.
 */
import { randomBytes, sign } from "node:crypto";
import { encodeExportFile } from "../src/core/record/export-file.ts";
import { decodeEnvelope, encodeEnvelope } from "../src/core/record/envelope.ts";
import { nodePreimage } from "../src/core/record/preimages.ts";
import type { State } from "../src/core/record/state.ts";
import type { X509Authority } from "../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../src/core/spiffe/trust-domain.ts";
import { encodeCbor } from "../src/core/std/cbor.ts";
import { X509_AUTHORITIES_MAX } from "../src/core/std/limits.ts";
import { sha256 } from "../src/core/std/sha256.ts";
import { callAdmin } from "../src/admin-contract/client.ts";
import { type Authority, makeAuthority } from "../test/arbitraries/authority.ts";
import { extensions } from "../test/arbitraries/certificate.ts";
import { bitString, name } from "../test/arbitraries/der.ts";
import {
  type BlockParts,
  NOW_S,
  type NodeKey,
  type Svid,
  type TestRecord,
  makePublisher,
  makeRecord,
  mintSvid,
  nodeKeyFromSeed,
  stateAfter,
  untainted,
} from "../test/arbitraries/record.ts";
import type { Bench } from "./sites.ts";

/** A trust domain whose one daemon is the rogue. */
export interface HostileDomain {
  readonly trustDomain: TrustDomain;
  /** Of its node key. 32 bytes. */
  readonly seed: Uint8Array;
  readonly node: NodeKey;
  readonly svid: Svid;
  /** Its authority, and the genesis record that lists it. */
  readonly ca: Authority;
  readonly genesis: TestRecord;
}

export function makeHostileDomain(label: string): HostileDomain {
  const seed = randomBytes(32);
  const node = nodeKeyFromSeed(seed);
  const { trustDomain, ca, svid, genesis } = makePublisher(`${label}.test`);
  const first = { ...genesis.state, nodes: [node.publicKey] };
  return {
    trustDomain,
    seed,
    node,
    svid,
    ca,
    genesis: makeRecord(first, [{ node, svids: [svid] }]),
  };
}

/** What a daemon is told to hold, the first one by its fingerprint, and what is then sent to it. */
export interface Hostile {
  readonly held: readonly TestRecord[];
  readonly envelopes: readonly Uint8Array[];
}

type MakeHostile = (domain: HostileDomain, count: number) => Hostile;

/** By the step that refuses them. */
export const HOSTILE: Readonly<Record<string, MakeHostile>> = {
  "1 junk of 200 bytes": ({ genesis }, count) => ({
    held: [genesis],
    envelopes: times(count, () => randomBytes(200)),
  }),
  "1 a payload of 95 KiB, then a wrong end": ({ genesis }, count) => ({
    held: [genesis],
    envelopes: times(count, () => encodeCbor([1, randomBytes(95 * 1024), [], []])),
  }),
  "2 wrong node signature, 64 authorities": (domain, count) => {
    const change = { x509Authorities: many(domain.trustDomain) };
    const flawed = next(domain, domain.genesis, change, { nodeSignature: flipped });
    return { held: [domain.genesis], envelopes: resigned(flawed, undefined, count) };
  },
  "3 unknown trust domain": ({ genesis, node }, count) => {
    const stranger = makePublisher("nobody.test");
    const foreign = makeRecord({ ...stranger.genesis.state, nodes: [node.publicKey] }, [
      { node, svids: [stranger.svid] },
    ]);
    return { held: [genesis], envelopes: resigned(foreign, node, count) };
  },
  "5 wrong lineage": ({ trustDomain, genesis, node }, count) => {
    const anew = makePublisher(trustDomain);
    const other = makeRecord(anew.genesis.state, [{ node, svids: [anew.svid] }]);
    return { held: [genesis], envelopes: resigned(other, node, count) };
  },
  "5 stale": (domain, count) => ({
    held: [domain.genesis, next(domain, domain.genesis)],
    envelopes: resigned(domain.genesis, domain.node, count),
  }),
  "5 held, another block each time": (domain, count) => ({
    held: [domain.genesis],
    envelopes: resigned(domain.genesis, domain.node, count),
  }),
  "5 fork of the held version": (domain, count) => ({
    held: [domain.genesis, next(domain, domain.genesis)],
    envelopes: times(
      count,
      () => next(domain, domain.genesis, { removed: [randomBytes(32)] }).envelope,
    ),
  }),
  "6 node not listed": (domain, count) => {
    const node = nodeKeyFromSeed(randomBytes(32));
    return ahead(domain, count, {}, { node });
  },
  "6 good, each newer than the last": (domain, count) => ahead(domain, count),
  "7 the last of 64 new authorities malformed": (domain, count) => {
    const authorities = [...many(domain.trustDomain), { der: lastMalformed(), tainted: false }];
    return ahead(domain, count, { x509Authorities: authorities });
  },
  "8 chain of four, its third signature wrong": (domain, count) => {
    const server = domain.ca.issueIntermediate();
    const flawed = server.issueIntermediate({ overrides: { signature: NO_SIGNATURE } });
    const last = flawed.issueIntermediate();
    const sent = [last, flawed, server];
    return ahead(domain, count, {}, { svids: [mintSvid(domain.trustDomain, last, { sent })] });
  },
  "8 expired": (domain, count) => {
    const expired = mintSvid(domain.trustDomain, domain.ca, { notAfterS: NOW_S - 1 });
    return ahead(domain, count, {}, { svids: [expired] });
  },
  "9 none of 63 authorities of one name and P-521 key": (domain, count) => {
    const { trustDomain, ca, node, svid, genesis } = domain;
    const [unlisted = ca, ...listed] = times(X509_AUTHORITIES_MAX, () => namesake(trustDomain));
    const x509Authorities = [ca, ...listed].map(untainted);
    const first = makeRecord({ ...genesis.state, x509Authorities }, [{ node, svids: [svid] }]);
    const svids = [mintSvid(trustDomain, unlisted)];
    return ahead({ ...domain, genesis: first }, count, {}, { svids });
  },
  "10 wrong SVID signature": (domain, count) =>
    ahead(domain, count, {}, { svidSignature: flipped }),
  "10 the last signature wrong, 64 new authorities, 2 chains of four": (domain, count) =>
    worst(domain, count),
};

/** All is right but the last signature that is looked at. */
export function worst(domain: HostileDomain, count: number): Hostile {
  const { trustDomain, ca } = domain;
  const first = ca.issueIntermediate();
  const second = first.issueIntermediate();
  const third = second.issueIntermediate();
  const svids = times(2, () => mintSvid(trustDomain, third, { sent: [third, second, first] }));
  const x509Authorities = [...many(trustDomain), untainted(ca)];
  let signature = 0;
  const svidSignature = (bytes: Uint8Array): Uint8Array =>
    (signature += 1) % svids.length === 0 ? flipped(bytes) : bytes;
  return ahead(domain, count, { x509Authorities }, { svids, svidSignature });
}

/** A record again, each time as if signed at another second; by no node when its key is not given. */
export function resigned(
  { id, envelope }: TestRecord,
  node: NodeKey | undefined,
  count: number,
): readonly Uint8Array[] {
  const read = decodeEnvelope(envelope);
  const block = read.ok ? read.value.blocks[0] : undefined;
  if (!read.ok || block === undefined) throw new Error("no record");
  return times(count, (index) => {
    const signedAtS = NOW_S + index;
    const { chains, svidSignatures } = block;
    const preimage = nodePreimage(id, signedAtS, chains, svidSignatures, []);
    const nodeSignature = node ? sign(null, preimage, node.privateKey) : block.nodeSignature;
    return encodeEnvelope({ ...read.value, blocks: [{ ...block, signedAtS, nodeSignature }] });
  });
}

/** Imports records; the first with its fingerprint, which approves the trust domain. */
export async function importRecords(at: Bench, records: readonly TestRecord[]): Promise<void> {
  for (const [index, { idHex, envelope }] of records.entries()) {
    const file = encodeExportFile({ envelope, addresses: [] });
    const { outcome, code } = await callAdmin(at.site.adminSocket, "import", {
      file: "rogue",
      content: Buffer.from(file).toString("base64"),
      ...(index === 0 && { fingerprint: idHex }),
    });
    if (outcome !== "accepted") throw new Error(`import ${outcome}: ${code}`);
  }
}

/** Records ahead of the genesis, that change the same and differ in their sequence. */
function ahead(
  domain: HostileDomain,
  count: number,
  change: Partial<State> = {},
  block: Partial<BlockParts> = {},
): Hostile {
  const { genesis } = domain;
  const envelopes = times(count, (index) => {
    const version = { epoch: 0, rev: 0, sequence: BigInt(10 + index) };
    return next(domain, genesis, { version, ...change }, block).envelope;
  });
  return { held: [genesis], envelopes };
}

function next(
  { node, svid }: HostileDomain,
  before: TestRecord,
  change: Partial<State> = {},
  block: Partial<BlockParts> = {},
): TestRecord {
  return makeRecord(stateAfter(before, change), [{ node, svids: [svid], ...block }]);
}

/** One authority less than the most, none of which was ever held. */
function many(trustDomain: TrustDomain): X509Authority[] {
  return times(X509_AUTHORITIES_MAX - 1, () => untainted(makeAuthority({ trustDomain })));
}

/** An authority that no name or key id tells from its like, of the costliest key. */
function namesake(trustDomain: TrustDomain): Authority {
  return makeAuthority({
    trustDomain,
    keyType: "ec-p521",
    subject: name([["2.5.4.10", "SPIFFE"]]),
    overrides: {
      extensions: [
        extensions.keyUsage(5, 6),
        extensions.basicConstraints(true),
        extensions.uriSans(`spiffe://${trustDomain}`),
      ],
    },
  });
}

const NO_SIGNATURE = bitString(Buffer.from("3006020101020101", "hex"));
const HASH_BYTE_MAX = 0xff;

/** Its hash is above nearly all, so that it is read last. */
function lastMalformed(): Uint8Array {
  for (;;) {
    const der = Buffer.concat([Uint8Array.of(0x30, 8), randomBytes(8)]);
    const [first, second] = sha256(der);
    if (first === HASH_BYTE_MAX && second === HASH_BYTE_MAX) return der;
  }
}

function flipped(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, index) => (index === 5 ? byte ^ 1 : byte));
}

function times<Value>(count: number, make: (index: number) => Value): Value[] {
  return Array.from({ length: count }, (_, index) => make(index));
}
