/** The envelope around a payload: its signature blocks (docs/protocol.md 2). */

/** One node's signature over a record: both factors. */
export interface Block {
  /** Ed25519, 32 bytes. */
  readonly nodePublicKey: Uint8Array;
  /** Unix time in seconds. */
  readonly signedAtS: number;
  /** `[old, new]`, or one chain that is both. A chain is 1 to 4 DER certificates, leaf first. */
  readonly chains: readonly (readonly Uint8Array[])[];
  /** One for each chain: ECDSA P-256, 64 bytes r‖s, s ≤ n/2. */
  readonly svidSignatures: readonly Uint8Array[];
  /** Ed25519, 64 bytes. */
  readonly nodeSignature: Uint8Array;
}
