/** The signature algorithms of certificates, each with exactly its parameters. */
import type { KeyType } from "../core/record/proofs.ts";
import { type DerCursor, DerProblem, TAG, readOid } from "./der.ts";

type KeyFamily = "ec" | "rsa" | "ed25519";

export interface SignatureAlgorithm {
  readonly family: KeyFamily;
  /**
   * The digest as node:crypto names it, null where the algorithm has it built in. Undefined for
   * SHA-1: old roots carry it in their own signature, which nobody verifies, so they may be read;
   * it never verifies.
   */
  readonly digest: "sha256" | "sha384" | "sha512" | null | undefined;
}

const ALGORITHMS: ReadonlyMap<string, SignatureAlgorithm> = new Map<string, SignatureAlgorithm>([
  ["1.2.840.10045.4.3.2", { family: "ec", digest: "sha256" }],
  ["1.2.840.10045.4.3.3", { family: "ec", digest: "sha384" }],
  ["1.2.840.10045.4.3.4", { family: "ec", digest: "sha512" }],
  ["1.2.840.113549.1.1.5", { family: "rsa", digest: undefined }],
  ["1.2.840.113549.1.1.11", { family: "rsa", digest: "sha256" }],
  ["1.2.840.113549.1.1.12", { family: "rsa", digest: "sha384" }],
  ["1.2.840.113549.1.1.13", { family: "rsa", digest: "sha512" }],
  ["1.3.101.112", { family: "ed25519", digest: null }],
]);

/** Reads an AlgorithmIdentifier: NULL parameters for RSA, none for the others. */
export function readSignatureAlgorithm(cursor: DerCursor): SignatureAlgorithm {
  return cursor.within(TAG.sequence, (fields) => {
    const id = readOid(fields);
    const algorithm = ALGORITHMS.get(id);
    if (algorithm === undefined) {
      throw new DerProblem(`signature algorithm ${id} is not on the list`);
    }
    if (algorithm.family === "rsa" && fields.take(TAG.null).length > 0) {
      throw new DerProblem("NULL is not empty");
    }
    return algorithm;
  });
}

/** The family of algorithms that a kind of key can make signatures with. */
export function familyOf(type: KeyType): KeyFamily {
  return type === "rsa" || type === "ed25519" ? type : "ec";
}
