/** What one holder of addresses usually has of them: a /24 of IPv4, a /48 of IPv6. */
import type { Multiaddr } from "@multiformats/multiaddr";
import { toHex } from "../core/std/bytes.ts";

/** Multicodec codes, one byte each, with which the address begins. */
const IP4 = 0x04;
const IP6 = 0x29;
/** ::ffff:0:0/96 (RFC 4291, 2.5.5.2): how an IPv4 peer looks on a socket that takes both. */
const IP4_MAPPED = "00000000000000000000ffff";
const IP4_PREFIX_BYTES = 3;
const IP6_PREFIX_BYTES = 6;

/** A key for the subnet. All that is neither IPv4 nor IPv6 counts as one. */
export function subnetOf({ bytes }: Multiaddr): string {
  const address = bytes.subarray(1);
  if (bytes[0] === IP4) return toHex(address.subarray(0, IP4_PREFIX_BYTES));
  if (bytes[0] !== IP6) return "";
  const mapped = toHex(address.subarray(0, IP4_MAPPED.length / 2)) === IP4_MAPPED;
  return mapped
    ? toHex(address.subarray(IP4_MAPPED.length / 2, IP4_MAPPED.length / 2 + IP4_PREFIX_BYTES))
    : toHex(address.subarray(0, IP6_PREFIX_BYTES));
}
