/**
 * The cases of x509-limbo (C2SP), when the vectors are beside the checkout: path validation as a web
 * browser's profile of RFC 5280 wants it.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const VECTORS = fileURLToPath(
  new URL("../../../shared/vectors/x509-limbo/limbo-part.json", import.meta.url),
);

/** One case; certificates are PEM. */
export interface LimboCase {
  readonly id: string;
  readonly trusted_certs: readonly string[];
  readonly untrusted_intermediates: readonly string[];
  readonly peer_certificate: string;
  /** RFC 3339; null is now. */
  readonly validation_time: string | null;
  readonly expected_result: "SUCCESS" | "FAILURE";
}

/** Every case; none without the vectors. */
export function limboCases(): readonly LimboCase[] {
  if (!existsSync(VECTORS)) return [];
  const { testcases } = JSON.parse(readFileSync(VECTORS, "utf8")) as {
    readonly testcases: readonly LimboCase[];
  };
  return testcases;
}

export function derOf(pem: string): Buffer {
  return Buffer.from(pem.replaceAll(/-----[^-]+-----/g, ""), "base64");
}

/** The peer's certificate, the intermediates and the trusted ones. */
export function certificatesOf(each: LimboCase): readonly string[] {
  return [each.peer_certificate].concat(each.untrusted_intermediates, each.trusted_certs);
}
