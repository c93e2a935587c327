/** What the commands print: SPIRE's JSON, PEM blocks, and the SPIFFE bundle document. */
import { createPublicKey, type KeyObject } from "node:crypto";
import process from "node:process";
import { type DescMessage, type JsonValue, type MessageShape, toJson } from "@bufbuild/protobuf";
import type { Bundle } from "../../../src/spire-api/services.ts";
import { parseCertificates } from "../go-parser.ts";

const RULE = "*".repeat(40);

export type Format = "pem" | "spiffe";

/** What stops a command; printed as `Error: …`, and the exit code is 1. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

export function print(text: string): void {
  process.stdout.write(text);
}

/** `-output json`: one line, snake_case, sorted keys, every field, as the real CLI prints messages. */
export function printJson<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): void {
  printValue(messageJson(schema, message));
}

export function messageJson<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): JsonValue {
  return toJson(schema, message, { alwaysEmitImplicit: true, useProtoFieldName: true });
}

export function printValue(value: JsonValue): void {
  print(`${JSON.stringify(sortKeys(addWitAuthorities(value)))}\n`);
}

export function isJson(output: string | undefined): boolean {
  if (output !== undefined && output !== "pretty" && output !== "json") {
    throw new CommandError(`invalid value "${output}" for flag -output`);
  }
  return output === "json";
}

export function readFormat(format: string | undefined): Format {
  if (format === undefined || format === "pem" || format === "spiffe") return format ?? "pem";
  throw new CommandError(`invalid format: "${format}"`);
}

/** One bundle, as PEM of its certificates or as a SPIFFE bundle document. */
export function formatBundle(bundle: Bundle, format: Format): string {
  if (format === "spiffe") return formatDocument(bundle);
  const certificates = bundle.x509Authorities.flatMap(({ asn1 }) => parseCertificates(asn1));
  return certificates.map((certificate) => certificate.toString()).join("");
}

/** Several bundles, each below its name. */
export function formatBundles(bundles: readonly Bundle[], format: Format): string {
  return bundles
    .map((bundle) => `${RULE}\n* ${bundle.trustDomain}\n${RULE}\n${formatBundle(bundle, format)}`)
    .join("\n");
}

/** A JWK Set; the number and the hint are left out when they are 0 (SPIRE). */
function formatDocument(bundle: Bundle): string {
  const keys = [
    ...bundle.x509Authorities.flatMap(({ asn1 }) =>
      parseCertificates(asn1).map(({ publicKey, raw }) =>
        toJwk(publicKey, { use: "x509-svid", x5c: [raw.toString("base64")] }),
      ),
    ),
    ...bundle.jwtAuthorities.map(({ publicKey, keyId }) =>
      toJwk(createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" }), {
        use: "jwt-svid",
        kid: keyId,
      }),
    ),
  ];
  const numbers = {
    spiffe_sequence: bundle.sequenceNumber,
    spiffe_refresh_hint: bundle.refreshHint,
  };
  // 64-bit numbers, which JSON.stringify could not write.
  const members = [
    `"keys": ${JSON.stringify(keys.length === 0 ? null : keys, undefined, 4).replaceAll("\n", "\n    ")}`,
    ...Object.entries(numbers).flatMap(([name, value]) =>
      value === 0n ? [] : [`"${name}": ${value}`],
    ),
  ];
  return `{\n${members.map((member) => `    ${member}`).join(",\n")}\n}\n`;
}

interface JwkMembers {
  readonly use: string;
  readonly kid?: string;
  readonly x5c?: readonly string[];
}

/** The members in the order in which the real CLI writes them; what is undefined is not written. */
function toJwk(key: KeyObject, { use, kid, x5c }: JwkMembers) {
  const { kty, crv, x, y, n, e } = key.export({ format: "jwk" });
  return { use, kty, kid, crv, x, y, n, e, x5c };
}

/** The third kind of authority, which is behind a feature flag and left out of our .proto files. */
function addWitAuthorities(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(addWitAuthorities);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([key, inner]) => [key, addWitAuthorities(inner)]);
  const extra = "x509_authorities" in value ? { wit_authorities: [] } : {};
  return { ...Object.fromEntries(members), ...extra };
}

function sortKeys(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, inner]) => [key, sortKeys(inner)]),
  );
}
