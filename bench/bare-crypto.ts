/**
 * The cryptography of one record's verification and nothing else: what a plain loop over node:crypto
 * has to do for it, with keys as they stand in certificates and signatures as they stand in records.
 */
import { createPublicKey, hash, verify } from "node:crypto";
import { decodeEnvelope } from "../src/core/record/envelope.ts";
import { nodePreimage, recordId, svidPreimage } from "../src/core/record/preimages.ts";
import { decodeState } from "../src/core/record/state.ts";
import { concatBytes, fromHex } from "../src/core/std/bytes.ts";
import { encodeCbor } from "../src/core/std/cbor.ts";
import { TAG, readDer, readWholeBytes } from "../src/x509/der.ts";
import { x509Proofs } from "../src/x509/proofs.ts";
import type { TestRecord } from "../test/arbitraries/record.ts";

/** Before the 32 bytes of a key in a SubjectPublicKeyInfo of Ed25519 (RFC 8410, 4). */
const ED25519_SPKI_HEAD = fromHex("302a300506032b6570032100");

/**
 * Takes a record of one block apart, outside of what is timed.
 *
 * @returns Makes the signature checks and hashes of the record; throws when one is wrong.
 */
export function bareVerification({ envelope: bytes }: TestRecord): () => void {
  const envelope = decodeEnvelope(bytes);
  if (!envelope.ok) throw new Error(envelope.reason);
  const { payload, blocks, recovery } = envelope.value;
  const [block] = blocks;
  const state = decodeState(payload);
  if (block === undefined || !state.ok) throw new Error("not a record of one block");
  const { nodePublicKey, signedAtS, chains, svidSignatures, nodeSignature } = block;
  const id = recordId(1, payload);
  const authorities = state.value.x509Authorities.map(({ der }) => der);
  const checks: (() => boolean)[] = [
    () => {
      const key = spki(concatBytes(ED25519_SPKI_HEAD, nodePublicKey));
      return verify(null, nodeInput, key, nodeSignature);
    },
  ];
  const nodeInput = nodePreimage(id, signedAtS, chains, svidSignatures, recovery);
  const hashed = [payload, encodeCbor([chains, svidSignatures, recovery]), ...authorities];
  for (const [index, chain] of chains.entries()) {
    const [leaf, svidSignature] = [chain[0], svidSignatures[index]];
    if (leaf === undefined || svidSignature === undefined) throw new Error("no leaf");
    const input = svidPreimage(id, nodePublicKey, signedAtS, chain);
    const leafSpki = spkiOf(leaf);
    const { tbs, signature } = split(leaf);
    const issuer = authorities
      .map(spkiOf)
      .find((each) => verify("sha256", tbs, spki(each), signature));
    // The old authority of a second chain is not in the record; its leaf's own key costs the same.
    const issuerSpki = issuer ?? leafSpki;
    hashed.push(encodeCbor(chain));
    checks.push(
      () => {
        const key = { key: spki(leafSpki), dsaEncoding: "ieee-p1363" } as const;
        return verify("sha256", input, key, svidSignature);
      },
      () => verify("sha256", tbs, spki(issuerSpki), signature) || issuer === undefined,
    );
  }
  return () => {
    for (const each of hashed) hash("sha256", each, "buffer");
    if (!checks.every((check) => check())) throw new Error("a signature is wrong");
  };
}

function spki(der: Uint8Array): ReturnType<typeof createPublicKey> {
  return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
}

function spkiOf(der: Uint8Array): Uint8Array {
  const facts = x509Proofs.readCertificate(der);
  if ("malformed" in facts) throw new Error(facts.malformed);
  return facts.key.spki;
}

function split(der: Uint8Array): { readonly tbs: Uint8Array; readonly signature: Uint8Array } {
  return readDer(der, (whole) =>
    whole.within(TAG.sequence, (fields) => {
      const tbs = fields.takeWhole(TAG.sequence);
      fields.takeWhole(TAG.sequence);
      return { tbs, signature: readWholeBytes(fields) };
    }),
  );
}
