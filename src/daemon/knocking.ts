/** Gives a record at the recovery door of every partner that may not have it. */
import type { MeshState } from "../core/mesh/mesh-state.ts";
import type { PeerNetwork } from "../ports/peer-network.ts";

/** Each takes 15 s at most. Above: they wait for one another. */
const KNOCKS_AT_ONCE = 8;

export interface KnockingPorts {
  readonly state: Pick<MeshState, "own" | "partners">;
  readonly network: Pick<PeerNetwork, "knock">;
  /** Multiaddrs of the configuration. */
  readonly peers: () => readonly string[];
}

/** One pass at a time: what comes meanwhile is given in the next, a minute later. */
export function createKnocker(ports: KnockingPorts): (envelope: Uint8Array) => void {
  let isUnderWay = false;
  const pass = async (envelope: Uint8Array): Promise<void> => {
    const addresses = toBeTold(ports);
    const knocker = async (): Promise<void> => {
      for (let next = addresses.pop(); next !== undefined; next = addresses.pop()) {
        await ports.network.knock(next, envelope);
      }
    };
    await Promise.all(Array.from({ length: KNOCKS_AT_ONCE }, knocker));
  };
  return (envelope) => {
    if (isUnderWay) return;
    isUnderWay = true;
    void pass(envelope).finally(() => (isUnderWay = false));
  };
}

/**
 * Whoever has not said that it holds the own record. A connection says nothing: whom a partner does not
 * admit is connected all the same, for 10 s.
 */
function toBeTold({ state, peers }: KnockingPorts): string[] {
  const ours = state.own.slot?.held.record.idHex;
  const hints = [...state.partners.values()]
    .filter(({ holdsOurs }) => holdsOurs === undefined || holdsOurs.recordId !== ours)
    .flatMap(({ pin }) => pin.addressHints);
  return [...new Set([...peers(), ...hints])];
}
