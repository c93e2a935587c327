/**
 * The server's own X.509 CA and JWT signing key: made, listed in the bundle, rotated, and with key
 * manager `disk` kept for the next run. With `memory` every start makes new ones that sign at once,
 * before any partner can know them, and the old ones stay in the bundle (measured: sequence + 2).
 */
import { createPrivateKey, generateKeyPairSync, randomInt } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { sync as writeFileAtomic } from "write-file-atomic";
import { type Authority, AuthoritySlots, type Slot } from "./authority-slots.ts";
import { expiryOf, selfSignCa, subjectKeyIdOf } from "./certificates.ts";
import type { Log } from "./log.ts";
import type { AuthorityKind, OwnBundle } from "./own-bundle.ts";
import type { UpstreamAuthority } from "./upstream-authority.ts";

const KEY_ID_LENGTH = 32;
const KEY_ID_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LOG_NAME = { x509: "X509 CA", jwt: "JWT key" } as const;

export interface CaManagerOptions {
  readonly trustDomain: string;
  readonly caTtlMs: number;
  /** Where key manager `disk` keeps the keys; undefined is key manager `memory`. */
  readonly keysPath: string | undefined;
}

export interface CaManagerPorts {
  readonly ownBundle: OwnBundle;
  /** Of a nested server, which then has no CA of its own. */
  readonly upstream: UpstreamAuthority | undefined;
  readonly log: Log;
  readonly nowMs: () => number;
}

export class CaManager {
  readonly #options: CaManagerOptions;
  readonly #ports: CaManagerPorts;
  readonly #slots: Record<AuthorityKind, AuthoritySlots>;

  constructor(options: CaManagerOptions, ports: CaManagerPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#slots = { x509: this.#load("x509"), jwt: this.#load("jwt") };
  }

  slots(kind: AuthorityKind): AuthoritySlots {
    return this.#slots[kind];
  }

  /** Makes the next authority, and lists it in the bundle. */
  async prepare(kind: AuthorityKind): Promise<Slot> {
    const authority = kind === "x509" ? await this.#makeCa() : await this.#makeJwtKey();
    const slot = this.#slots[kind].prepare(authority);
    this.#save();
    this.#note(`${LOG_NAME[kind]} prepared`, slot);
    return slot;
  }

  /** Lets the prepared authority sign. The bundle does not change. */
  activate(kind: AuthorityKind): Slot {
    const slot = this.#slots[kind].activate();
    this.#save();
    this.#note(`${LOG_NAME[kind]} activated`, slot);
    return slot;
  }

  /** Prepares and activates what is due; for a server without keys, both kinds at once. */
  async rotate(): Promise<void> {
    const kinds =
      this.#ports.upstream === undefined ? (["x509", "jwt"] as const) : (["jwt"] as const);
    for (const kind of kinds) {
      const slots = this.#slots[kind];
      if (slots.shouldPrepare(this.#ports.nowMs())) await this.prepare(kind);
      if (slots.shouldActivate(this.#ports.nowMs())) this.activate(kind);
    }
  }

  async #makeCa(): Promise<Authority> {
    const { trustDomain, caTtlMs } = this.#options;
    const nowMs = this.#ports.nowMs();
    const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const listed = await selfSignCa({ trustDomain, ...keys, nowMs, ttlMs: caTtlMs });
    this.#ports.ownBundle.append({ x509Authorities: [{ asn1: listed }] });
    return {
      id: subjectKeyIdOf(listed),
      privateKey: keys.privateKey,
      listed,
      issuedAtMs: nowMs,
      notAfterMs: expiryOf(listed),
    };
  }

  async #makeJwtKey(): Promise<Authority> {
    const nowMs = this.#ports.nowMs();
    const notAfterMs = nowMs + this.#options.caTtlMs;
    const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const listed = keys.publicKey.export({ type: "spki", format: "der" });
    const id = randomKeyId();
    const expiresAt = BigInt(Math.floor(notAfterMs / 1_000));
    const jwtAuthorities = [{ keyId: id, publicKey: listed, expiresAt }];
    const { ownBundle, upstream } = this.#ports;
    if (upstream === undefined) ownBundle.append({ jwtAuthorities });
    else await upstream.publish(jwtAuthorities);
    return { id, privateKey: keys.privateKey, listed, issuedAtMs: nowMs, notAfterMs };
  }

  /** A kept authority that the bundle does not list is dropped: nobody could verify what it signs. */
  #load(kind: AuthorityKind): AuthoritySlots {
    const { keysPath } = this.#options;
    if (keysPath === undefined || !existsSync(keysPath)) return new AuthoritySlots();
    const kept = JSON.parse(readFileSync(keysPath, "utf8")) as KeptKeys;
    const bundle = this.#ports.ownBundle.read();
    const listed = [
      ...(bundle?.x509Authorities ?? []).map(({ asn1 }) => asn1),
      ...(bundle?.jwtAuthorities ?? []).map(({ publicKey }) => publicKey),
    ];
    const slots = kept[kind].map(fromKept);
    return new AuthoritySlots(
      slots.filter(({ authority }) =>
        listed.some((bytes) => Buffer.compare(bytes, authority.listed) === 0),
      ),
    );
  }

  #save(): void {
    const { keysPath } = this.#options;
    if (keysPath === undefined) return;
    const kept: KeptKeys = {
      x509: this.#slots.x509.all().map(toKept),
      jwt: this.#slots.jwt.all().map(toKept),
    };
    mkdirSync(dirname(keysPath), { recursive: true, mode: 0o750 });
    writeFileAtomic(keysPath, JSON.stringify(kept), { mode: 0o600 });
  }

  #note(message: string, { name, authority }: Slot): void {
    this.#ports.log("info", message, {
      subsystem_name: "ca_manager",
      slot: name,
      local_authority_id: authority.id,
      issued_at: new Date(authority.issuedAtMs).toISOString(),
      expiration: new Date(authority.notAfterMs).toISOString(),
    });
  }
}

/** The keys file of key manager `disk`. */
type KeptKeys = Readonly<Record<AuthorityKind, readonly KeptSlot[]>>;

interface KeptSlot extends Omit<Slot, "authority"> {
  readonly authority: Omit<Authority, "privateKey" | "listed"> & {
    readonly privateKeyPem: string;
    readonly listedBase64: string;
  };
}

function toKept({ authority, ...slot }: Slot): KeptSlot {
  const { privateKey, listed, ...rest } = authority;
  return {
    ...slot,
    authority: {
      ...rest,
      privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      listedBase64: Buffer.from(listed).toString("base64"),
    },
  };
}

function fromKept({ authority, ...slot }: KeptSlot): Slot {
  const { privateKeyPem, listedBase64, ...rest } = authority;
  return {
    ...slot,
    authority: {
      ...rest,
      privateKey: createPrivateKey(privateKeyPem),
      listed: Buffer.from(listedBase64, "base64"),
    },
  };
}

function randomKeyId(): string {
  return Array.from({ length: KEY_ID_LENGTH }, () =>
    KEY_ID_CHARACTERS.charAt(randomInt(KEY_ID_CHARACTERS.length)),
  ).join("");
}
