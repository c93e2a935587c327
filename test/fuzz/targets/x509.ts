/**
 * The strict readers of certificates, keys and chains. Their judge is held against OpenSSL, by way of
 * node:crypto: what we take it reads too, and reads the same.
 */
import { X509Certificate, createPublicKey, sign } from "node:crypto";
import * as fc from "fast-check";
import { findAnchor, judgeChain, readChain } from "../../../src/core/record/chain.ts";
import type { CertificateFacts } from "../../../src/core/record/proofs.ts";
import { type TrustDomain, publisherId } from "../../../src/core/spiffe/trust-domain.ts";
import { equalBytes } from "../../../src/core/std/bytes.ts";
import { decodeCbor, encodeCbor } from "../../../src/core/std/cbor.ts";
import { DerCursor, DerProblem, TAG, readDer } from "../../../src/x509/der.ts";
import { x509Proofs } from "../../../src/x509/proofs.ts";
import { type Authority, makeAuthority } from "../../arbitraries/authority.ts";
import { extensions, makeKeyPair, spkiOf } from "../../arbitraries/certificate.ts";
import { bitString, extension, sequence, tlv } from "../../arbitraries/der.ts";
import { mutatedDer } from "../../arbitraries/mutated-der.ts";
import { NOW_S } from "../../arbitraries/record.ts";
import { ACCEPTED } from "../../x509/accepted.ts";
import { REFUSED } from "../../x509/refused.ts";
import type { Random } from "../random.ts";
import { type Maker, type Outcome, type TargetSource, hold } from "../target.ts";

const TRUST_DOMAIN = "alpha.test" as TrustDomain;
const EITHER = ["taken", "refused"];

/** One or two damages deep within, with correct lengths around them. */
function mutated(ders: readonly Uint8Array[], random: Random): Buffer {
  const [mutant] = fc.sample(mutatedDer(fc.constantFrom(...ders)), {
    numRuns: 1,
    seed: random.below(2 ** 31),
  });
  return mutant ?? Buffer.of();
}

const bytesOf = (buffer: Uint8Array): Uint8Array => Uint8Array.from(buffer);

/** Text at which a pattern that looks back would take its time. */
function longText(random: Random): string {
  const part = random.pick([
    "a",
    "a.",
    ".",
    "-",
    "%41",
    "%",
    "/",
    ":",
    "@",
    "[",
    "::",
    "a@",
    "?",
    "#",
    "*.",
  ]);
  const length = random.pick([100, 1_000, 4_000]);
  const end = random.pick(["", "!", "\u0000", "/", ".test", "]"]);
  return `${random.pick(["", "spiffe://", "https://", "spiffe://["])}${part.repeat(length).slice(0, length)}${end}`;
}

function longNames(random: Random): Buffer {
  const text = longText(random);
  const names = extension("2.5.29.17", sequence(tlv(random.pick([0x81, 0x82, 0x86]), text)));
  const constraint = extension(
    "2.5.29.30",
    sequence(tlv(random.pick([0xa0, 0xa1]), sequence(tlv(random.pick([0x81, 0x82, 0x86]), text)))),
    true,
  );
  const ca = [extensions.keyUsage(5, 6), extensions.basicConstraints(true)];
  return makeAuthority({
    trustDomain: TRUST_DOMAIN,
    keys: longKeys,
    overrides: { extensions: [...ca, random.pick([names, constraint])] },
  }).der;
}

const longKeys = makeKeyPair();

const certificateTarget: TargetSource = {
  name: "certificate",
  inputs: 18_000,
  open: () => {
    const accepted = Object.values(ACCEPTED).map(bytesOf);
    return {
      setting: {},
      valid: accepted,
      makers: [
        { name: "right", expected: ["taken"], make: (random) => random.pick(accepted) },
        ...Object.entries(REFUSED).map(([name, [overrides]]): Maker => {
          const der = bytesOf(makeAuthority({ trustDomain: TRUST_DOMAIN, overrides }).der);
          return { name, expected: ["refused"], make: () => der };
        }),
        ...Array.from({ length: Object.keys(REFUSED).length }, (): Maker => ({
          name: "damaged deep within",
          expected: EITHER,
          make: (random) => bytesOf(mutated(accepted, random)),
        })),
        ...Array.from({ length: 8 }, (): Maker => ({
          name: "with a long name",
          expected: EITHER,
          make: (random) => bytesOf(longNames(random)),
        })),
      ],
      judge: judgeCertificate,
    };
  },
};

function judgeCertificate(der: Uint8Array): Outcome {
  const facts = x509Proofs.readCertificate(der);
  if ("malformed" in facts) return "refused";
  hold(equalBytes(facts.der, der), "the facts are of the bytes that were read");
  const theirs = new X509Certificate(der);
  hold(equalBytes(theirs.raw, der), "OpenSSL reads all of it");
  hold(theirs.validFromDate.getTime() === facts.notBeforeS * 1_000, "it begins at the same time");
  hold(theirs.validToDate.getTime() === facts.notAfterS * 1_000, "it ends at the same time");
  const spki = theirs.publicKey.export({ type: "spki", format: "der" });
  hold(equalBytes(spki, facts.key.spki), "it has the same key");
  const uris = (theirs.subjectAltName ?? "").split(", ").filter((each) => each.startsWith("URI:"));
  hold(uris.length === facts.uriSans.length, "it has as many URIs");
  if (facts.isCa && facts.keyUsage?.keyCertSign !== false) hold(theirs.ca, "it is a CA");
  if (!facts.isCa) hold(!theirs.ca, "it is no CA");
  return "taken";
}

const KEY_TYPES = ["ec-p256", "ec-p384", "ec-p521", "rsa-2048", "ed25519"] as const;
const REFUSED_KEY_TYPES = ["ec-p224", "ec-secp256k1", "rsa-1024"] as const;

const keyTarget: TargetSource = {
  name: "key",
  inputs: 10_000,
  open: () => {
    const accepted = KEY_TYPES.map((type) => bytesOf(spkiOf(makeKeyPair(type).publicKey)));
    const refused = REFUSED_KEY_TYPES.map((type) => bytesOf(spkiOf(makeKeyPair(type).publicKey)));
    return {
      setting: {},
      valid: accepted,
      makers: [
        { name: "right", expected: ["taken"], make: (random) => random.pick(accepted) },
        {
          name: "of a kind that is not on the list",
          expected: ["refused"],
          make: (random) => random.pick(refused),
        },
        ...Array.from({ length: 6 }, (): Maker => ({
          name: "damaged deep within",
          expected: EITHER,
          make: (random) => bytesOf(mutated(accepted, random)),
        })),
      ],
      judge: (spki) => {
        const facts = x509Proofs.readKey(spki);
        if ("malformed" in facts) return "refused";
        hold(equalBytes(facts.spki, spki), "the facts are of the bytes that were read");
        const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
        const theirs = key.export({ type: "spki", format: "der" });
        hold(equalBytes(theirs, spki), "OpenSSL reads the same key");
        const type = facts.type.startsWith("ec-") ? "ec" : facts.type;
        hold(key.asymmetricKeyType === type, "it is of the same kind");
        return "taken";
      },
    };
  },
};

/** The certificate with its signed part signed again, so that only what it says is wrong. */
function signedAgain(der: Uint8Array, issuer: Authority): Uint8Array {
  try {
    const [tbs, algorithm] = readDer(der, (whole) => {
      const fields = new DerCursor(whole.take(TAG.sequence));
      return [fields.takeWhole(TAG.sequence), fields.takeWhole(TAG.sequence)];
    });
    const signature = sign("sha256", tbs, issuer.keys.privateKey);
    return bytesOf(sequence(tbs, algorithm, bitString(signature)));
  } catch (error) {
    if (error instanceof DerProblem) return der;
    throw error;
  }
}

const chainTarget: TargetSource = {
  name: "chain",
  inputs: 10_000,
  open: (kept) => {
    const root = makeAuthority({ trustDomain: TRUST_DOMAIN });
    const setting = kept ?? { root: root.der.toString("base64") };
    const middle = root.issueIntermediate();
    const spiffeId = publisherId(TRUST_DOMAIN);
    const leaf = bytesOf(root.issueLeaf({ spiffeId }).der);
    const lowLeaf = bytesOf(middle.issueLeaf({ spiffeId }).der);
    const chainOf = (...ders: readonly Uint8Array[]): Uint8Array => encodeCbor(ders.map(bytesOf));
    const anchor = readAnchor(Buffer.from(setting["root"] ?? "", "base64"));
    return {
      setting,
      valid: [chainOf(leaf), chainOf(lowLeaf, middle.der)],
      makers: [
        {
          name: "right",
          expected: ["taken"],
          make: (random) => random.pick([chainOf(leaf), chainOf(lowLeaf, middle.der)]),
        },
        {
          name: "with a damaged leaf, signed again",
          expected: EITHER,
          make: (random) => chainOf(signedAgain(mutated([leaf], random), root)),
        },
        {
          name: "with a damaged intermediate, signed again",
          expected: EITHER,
          make: (random) => chainOf(lowLeaf, signedAgain(mutated([middle.der], random), root)),
        },
        {
          name: "with a damaged leaf below an intermediate, signed again",
          expected: EITHER,
          make: (random) => chainOf(signedAgain(mutated([lowLeaf], random), middle), middle.der),
        },
        {
          name: "with a damaged leaf, not signed again",
          expected: ["refused"],
          make: (random) => {
            const damaged = mutated([leaf], random);
            return equalBytes(damaged, leaf) ? chainOf(lowLeaf) : chainOf(damaged);
          },
        },
      ],
      judge: (input) => judgeChainAgainst(input, anchor),
    };
  },
};

function readAnchor(der: Uint8Array): CertificateFacts {
  const facts = x509Proofs.readCertificate(der);
  if ("malformed" in facts) throw new RangeError(facts.malformed);
  return facts;
}

function judgeChainAgainst(input: Uint8Array, anchor: CertificateFacts): Outcome {
  const decoded = decodeCbor(input);
  const ders = decoded.ok && Array.isArray(decoded.value) ? decoded.value : [];
  const chain = ders.filter((each): each is Uint8Array => each instanceof Uint8Array);
  const read = readChain(chain, x509Proofs);
  if (!read.ok) return "refused";
  const judged = judgeChain(read.value, TRUST_DOMAIN, NOW_S, x509Proofs);
  if (!judged.ok) return "refused";
  const found = findAnchor(
    read.value,
    [anchor],
    TRUST_DOMAIN,
    NOW_S,
    "NEW_AUTHORITY_MISSING",
    x509Proofs,
  );
  if (!found.ok) return "refused";
  expectAuthentic(chain, anchor);
  return "taken";
}

/** What OpenSSL says of a chain that we took. */
function expectAuthentic(chain: readonly Uint8Array[], anchor: CertificateFacts): void {
  const [leaf, ...above] = [...chain, anchor.der].map((der) => new X509Certificate(der));
  hold(leaf?.subjectAltName === `URI:${publisherId(TRUST_DOMAIN)}`, "the leaf is the publisher's");
  hold(!leaf.ca, "the leaf is no CA");
  let child = leaf;
  for (const parent of above) {
    hold(parent.ca, "who issues is a CA");
    hold(child.verify(parent.publicKey), "each signature is by the next one's key");
    hold(child.checkIssued(parent), "each is issued by the next one");
    hold(child.validFromDate.getTime() <= NOW_S * 1_000, "each was valid by then");
    hold(child.validToDate.getTime() >= NOW_S * 1_000, "each was still valid then");
    child = parent;
  }
}

export const x509Targets: readonly TargetSource[] = [certificateTarget, keyTarget, chainTarget];
