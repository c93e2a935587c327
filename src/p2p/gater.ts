/** Who may connect, asked by libp2p at each step of a connection. */
import type { ConnectionGater, MultiaddrConnection, PeerId } from "@libp2p/interface";
import type { Account } from "./account.ts";
import type { Admission } from "./admission.ts";
import { resetOnceClosed } from "./closed-socket.ts";
import type { InboundGate } from "./inbound.ts";
import type { Strangers } from "./strangers.ts";
import type { Wires } from "./wires.ts";

/**
 * Of one member: one each way when both dial at once, and as many again while the old ones are not
 * known to be dead yet. Above: refused, so that one member never takes the room of the others.
 */
const CONNECTIONS_A_PEER_MAX = 4;
/**
 * Of all nodes of one trust domain: one each, and half as many again while some restart or are
 * dialed by both. Above: refused, so that it takes more than twenty hostile partners to fill the
 * node. A node that two trust domains list may come while either has room.
 */
const CONNECTIONS_A_DOMAIN_MAX = 24;

export interface GaterPorts {
  readonly admission: Admission;
  readonly strangers: Strangers;
  readonly gate: InboundGate;
  readonly wires: Wires;
  /** A clock that never goes backwards. */
  readonly nowMs: () => number;
  /** Whether we knock at the peer's door now. */
  knocksAt(peerId: PeerId): boolean;
  /** How many connections there are with the peer. */
  connectionsWith(peerId: PeerId): number;
}

export function createGater(ports: GaterPorts): ConnectionGater {
  const { admission, strangers, gate, wires, nowMs } = ports;
  const hasRoom = ({ nodes }: Account): boolean => {
    const connections = [...nodes.values()].map((peerId) => ports.connectionsWith(peerId));
    return connections.reduce((sum, each) => sum + each, 0) < CONNECTIONS_A_DOMAIN_MAX;
  };
  const mayConnect = (peerId: PeerId, { remoteAddr }: MultiaddrConnection): boolean => {
    const member = admission.member(peerId);
    if (member === undefined) return strangers.hasRoom(remoteAddr);
    return (
      ports.connectionsWith(peerId) < CONNECTIONS_A_PEER_MAX &&
      [...member.accounts.values()].some(hasRoom) &&
      !member.conduct.barred(nowMs()) &&
      member.connectBudget.take(nowMs())
    );
  };
  return {
    denyDialPeer: (peerId) =>
      admission.member(peerId)?.conduct.barred(nowMs()) ?? !ports.knocksAt(peerId),
    denyInboundConnection: (connection) => {
      if (!gate.begin(connection)) return true;
      resetOnceClosed(connection);
      wires.begin(connection);
      return false;
    },
    denyOutboundConnection: (_, connection) => {
      resetOnceClosed(connection);
      return false;
    },
    denyInboundEncryptedConnection: (peerId, connection) => {
      const may = mayConnect(peerId, connection);
      gate.proved(connection, may && admission.admits(peerId) ? "member" : "nothing");
      return !may;
    },
    denyOutboundEncryptedConnection: (peerId, connection) => {
      if (admission.admits(peerId)) gate.onMemberAt(connection);
      return false;
    },
  };
}
