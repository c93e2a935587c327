/** Reads a bundle that somebody typed or exported: PEM certificates, or a SPIFFE bundle document. */
import { createPublicKey } from "node:crypto";
import type { BundleSchema, MessageInitShape } from "../../../src/spire-api/services.ts";
import { CommandError, type Format } from "./output.ts";

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----([\sA-Za-z0-9+/=]+)-----END CERTIFICATE-----/g;

/** As far as it is read; whatever does not fit throws on the way. */
interface BundleDocument {
  readonly keys:
    | readonly (JsonWebKey & {
        readonly use?: string;
        readonly kid?: string;
        readonly x5c?: readonly string[];
      })[]
    | null;
  readonly spiffe_sequence?: number;
  readonly spiffe_refresh_hint?: number;
}

type ReadBundle = Omit<MessageInitShape<typeof BundleSchema> & object, "$typeName">;

/** Throws a `CommandError`. Keys of another `use` are left out, as go-spiffe does. */
export function readBundle(data: string, format: Format): ReadBundle {
  return format === "pem" ? readPem(data) : readDocument(data);
}

function readPem(data: string): ReadBundle {
  const blocks = [...data.matchAll(PEM_CERTIFICATE)].map(([, body = ""]) => body);
  if (blocks.length === 0) throw new CommandError("unable to parse bundle data: no PEM blocks");
  return { x509Authorities: blocks.map((body) => ({ asn1: Buffer.from(body, "base64") })) };
}

function readDocument(data: string): ReadBundle {
  try {
    const document = JSON.parse(data) as BundleDocument;
    const keys = document.keys ?? [];
    const { spiffe_sequence: sequence = 0, spiffe_refresh_hint: refreshHint = 0 } = document;
    if (!Number.isSafeInteger(sequence)) throw new Error("spiffe_sequence is not below 2^53");
    return {
      sequenceNumber: BigInt(sequence),
      refreshHint: BigInt(refreshHint),
      x509Authorities: keys
        .filter(({ use }) => use === "x509-svid")
        .map(({ x5c = [] }) => ({ asn1: onlyCertificate(x5c) })),
      jwtAuthorities: keys
        .filter(({ use }) => use === "jwt-svid")
        .map(({ kid = "", ...key }) => ({
          keyId: kid,
          publicKey: createPublicKey({ key, format: "jwk" }).export({
            type: "spki",
            format: "der",
          }),
        })),
    };
  } catch (error) {
    throw new CommandError(`unable to parse to spiffe bundle: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function onlyCertificate(x5c: readonly string[]): Uint8Array {
  const [certificate] = x5c;
  if (certificate === undefined || x5c.length > 1) {
    throw new Error(`expected exactly one certificate, got ${x5c.length}`);
  }
  return Buffer.from(certificate, "base64");
}
