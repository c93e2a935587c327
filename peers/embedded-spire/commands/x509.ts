/** `x509 mint`: an X509-SVID for a fresh key. */
import { type KeyObject, X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { SpireApi } from "../../../src/spire-api/client.ts";
import { readDuration, readOptions } from "../arguments.ts";
import { makeCsr } from "../certificates.ts";
import { readSpiffeId } from "../spiffe-id.ts";
import { CLIENT_OPTIONS, withApi } from "./client.ts";
import { CommandError, isJson, print } from "./output.ts";

const OPTIONS = {
  ...CLIENT_OPTIONS,
  spiffeID: "text",
  ttl: "text",
  dns: "list",
  write: "text",
} as const;

interface Order {
  readonly spiffeId: string;
  readonly dnsNames: readonly string[];
  readonly ttlMs: number;
}

interface Minted {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly privateKey: KeyObject;
  readonly rootCas: readonly Uint8Array[];
}

export async function x509Mint(args: readonly string[]): Promise<void> {
  const options = readOptions(args, OPTIONS);
  const { spiffeID: spiffeId, ttl = "0s", dns: dnsNames = [], write } = options;
  if (spiffeId === undefined) throw new CommandError("spiffeID must be specified");
  readSpiffeId(spiffeId);
  const order = { spiffeId, dnsNames, ttlMs: readDuration(ttl) };
  const output = async (api: SpireApi): Promise<void> => {
    const minted = await mint(api, order);
    if (write !== undefined) writeFiles(write, minted);
    else if (isJson(options.output)) printJson(minted);
    else printPem(minted);
  };
  await withApi(options, output, "unable to mint SVID");
}

async function mint(api: SpireApi, { spiffeId, dnsNames, ttlMs }: Order): Promise<Minted> {
  const { csr, privateKey } = await makeCsr(spiffeId, dnsNames);
  const endMs = Date.now() + ttlMs;
  const { svid } = await api.svid.mintX509SVID({ csr, ttl: Math.ceil(ttlMs / 1_000) });
  if (svid === undefined) throw new CommandError("server response missing SVID");
  const expiresMs = Number(svid.expiresAt) * 1_000;
  if (ttlMs > 0 && expiresMs < endMs) {
    const expires = `${new Date(expiresMs).toISOString().slice(0, 19)}Z`;
    const warning = `X509-SVID lifetime was capped shorter than specified ttl; expires "${expires}"`;
    process.stderr.write(`${warning}\n`);
  }
  const { x509Authorities } = await api.bundle.getBundle({});
  return { chain: svid.certChain, privateKey, rootCas: x509Authorities.map(({ asn1 }) => asn1) };
}

function printPem({ chain, privateKey, rootCas }: Minted): void {
  print(`X509-SVID:\n${formatCertificates(chain)}\n`);
  print(`Private key:\n${formatKey(privateKey)}\n`);
  print(`Root CAs:\n${formatCertificates(rootCas)}\n`);
}

function printJson({ chain, privateKey, rootCas }: Minted): void {
  const json = {
    x509_svid: chain.map(toBase64),
    private_key: toBase64(privateKey.export({ type: "pkcs8", format: "der" })),
    root_cas: rootCas.map(toBase64),
  };
  print(`${JSON.stringify(json)}\n`);
}

function writeFiles(directory: string, { chain, privateKey, rootCas }: Minted): void {
  const files = [
    { what: "X509-SVID", name: "svid.pem", text: formatCertificates(chain), mode: 0o644 },
    { what: "Private key", name: "key.pem", text: formatKey(privateKey), mode: 0o600 },
    { what: "Root CAs", name: "bundle.pem", text: formatCertificates(rootCas), mode: 0o644 },
  ];
  for (const { what, name, text, mode } of files) {
    const path = join(directory, name);
    writeFileSync(path, text, { mode });
    print(`${what} written to ${path}\n`);
  }
}

function formatCertificates(certificates: readonly Uint8Array[]): string {
  return certificates.map((der) => new X509Certificate(der).toString()).join("");
}

function formatKey(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
