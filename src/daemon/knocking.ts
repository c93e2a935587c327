/** Gives a record at the recovery door of every partner that may be found and is not connected. */
import type { MeshState } from "../core/mesh/mesh-state.ts";
import type { PeerNetwork } from "../ports/peer-network.ts";

/** Each takes 15 s at most. Above: they wait for one another. */
const KNOCKS_AT_ONCE = 8;

export interface KnockingPorts {
  readonly state: Pick<MeshState, "partners">;
  readonly network: Pick<PeerNetwork, "knock" | "connections">;
  /** Multiaddrs of the configuration. */
  readonly peers: () => readonly string[];
}

/** One pass at a time: what comes meanwhile is given in the next, a minute later. */
export function createKnocker(ports: KnockingPorts): (envelope: Uint8Array) => void {
  let isUnderWay = false;
  const pass = async (envelope: Uint8Array): Promise<void> => {
    const addresses = unconnected(ports);
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

function unconnected({ state, network, peers }: KnockingPorts): string[] {
  const hints = [...state.partners.values()].flatMap(({ pin }) => pin.addressHints);
  const connected = network.connections().map(({ peerId }) => `/p2p/${peerId}`);
  return [...new Set([...peers(), ...hints])].filter(
    (address) => !connected.some((peer) => address.endsWith(peer)),
  );
}
