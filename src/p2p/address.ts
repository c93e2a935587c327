/**
 * Multiaddrs as people write them and peers pass them on. Only TCP over IP or DNS is spoken, so
 * everything else is refused here, before libp2p would try to resolve or relay it.
 */
import type { Ed25519PeerId } from "@libp2p/interface";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { type Result, no, ok } from "../core/std/result.ts";
import { Fault } from "../fault.ts";
import { readPeerId } from "./node-identity.ts";

/** Where one peer may be dialed. */
export interface PeerAddress {
  readonly peerId: Ed25519PeerId;
  /** With `/p2p/…`. */
  readonly address: Multiaddr;
}

/** The longest DNS name, a port and a peer id take about 330 characters. Above: refused. */
const ADDRESS_LENGTH_MAX = 512;
const SPOKEN = /^(?:ip4|ip6|dns|dns4|dns6)\/tcp(?:\/p2p)?$/;

/** Reads an address to listen on or to announce. The reason names the address. */
function readAddress(text: string): Result<Multiaddr, string> {
  if (text.length > ADDRESS_LENGTH_MAX) return no("a multiaddr of more than 512 characters");
  let address: Multiaddr;
  try {
    address = multiaddr(text);
  } catch {
    return no(`${text} is not a multiaddr`);
  }
  const names = address.getComponents().map(({ name }) => name);
  return SPOKEN.test(names.join("/"))
    ? ok(address)
    : no(`${text} is not of the form /ip4/ADDRESS/tcp/PORT or /dns4/NAME/tcp/PORT`);
}

/** Reads an address to dial, which ends in the peer's id. The reason names the address. */
export function readPeerAddress(text: string): Result<PeerAddress, string> {
  const address = readAddress(text);
  if (!address.ok) return address;
  const id = address.value.getComponents().find(({ name }) => name === "p2p")?.value;
  const peerId = id === undefined ? undefined : readPeerId(id);
  return peerId === undefined
    ? no(`${text} does not end in /p2p/ and the peer id of an Ed25519 key`)
    : ok({ peerId, address: address.value });
}

/** Throws `CONFIG_INVALID` with one line for each address of the configuration that is not one. */
export function checkConfigured(own: readonly string[], peers: readonly string[]): void {
  const addresses = [...own.map(readAddress), ...peers.map(readPeerAddress)];
  const problems = addresses.flatMap((read) => (read.ok ? [] : read.reason));
  if (problems.length > 0) throw new Fault("CONFIG_INVALID", problems);
}
