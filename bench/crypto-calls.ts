/** The calls of node:crypto that some work makes, so that they can be made again without the rest. */
import crypto, { KeyObject, type VerifyKeyObjectInput } from "node:crypto";
import { syncBuiltinESMExports } from "node:module";

export type Call = () => unknown;

/**
 * The calls of node:crypto that `work` makes, each to be made again with the same arguments. A key
 * that was made in between is made anew and then used, as a key's first use costs more than a later.
 */
export function cryptoCallsOf(work: () => unknown): Call[] {
  const calls: Call[] = [];
  const { verify, createPublicKey, hash } = crypto;
  const anew = new Map<unknown, KeyObject>();
  const taken = {
    createPublicKey(...args: Parameters<typeof createPublicKey>) {
      const made = createPublicKey(...args);
      calls.push(() => anew.set(made, createPublicKey(...args)));
      return made;
    },
    verify(algorithm: string | null, data: Uint8Array, given: VerifyKey, signature: Uint8Array) {
      const options = given instanceof KeyObject ? { key: given } : given;
      calls.push(() => {
        const key = anew.get(options.key) ?? options.key;
        return verify(algorithm, data, { ...options, key }, signature);
      });
      return verify(algorithm, data, options, signature);
    },
    hash(...args: Parameters<typeof hash>) {
      calls.push(() => hash(...args));
      return hash(...args);
    },
  };
  Object.assign(crypto, taken);
  syncBuiltinESMExports();
  try {
    work();
  } finally {
    Object.assign(crypto, { verify, createPublicKey, hash });
    syncBuiltinESMExports();
  }
  return calls;
}

type VerifyKey = KeyObject | VerifyKeyObjectInput;
