/** The numbers of the limit table by name, for the files that keep them. */
import { LIMITS, type Limit } from "./limit-table.ts";

function numbersOf<Name extends string>(
  limits: Readonly<Record<Name, Limit>>,
): Readonly<Record<Name, number>> {
  const numbers: Partial<Record<Name, number>> = {};
  for (const name in limits) numbers[name] = limits[name].value;
  return numbers as Record<Name, number>;
}

export const {
  ADDRESS_HINTS_MAX,
  BLOCKS_MAX,
  CBOR_DEPTH_MAX,
  CBOR_ITEMS_MAX,
  CERTIFICATE_BYTES_MAX,
  CHAIN_CERTIFICATES_MAX,
  CLOCK_SKEW_S,
  DOMAIN_RECORDS_AT_ONCE_MAX,
  DOMAIN_RECORDS_A_SECOND_MAX,
  DOMAIN_WORK_AT_ONCE_MAX,
  DOMAIN_WORK_A_SECOND_MAX,
  ENVELOPE_BYTES_MAX,
  JWT_AUTHORITIES_MAX,
  KEY_ID_LENGTH_MAX,
  NODES_MAX,
  NODE_RECORDS_AT_ONCE_MAX,
  NODE_RECORDS_A_SECOND_MAX,
  PARKED_A_FORWARDER_MAX,
  PARKED_BYTES_MAX,
  PARKED_MS,
  PARKED_TRIES_MAX,
  PAYLOAD_BYTES_MAX,
  PINNED_DOMAINS_MAX,
  RECOVERY_KEYS_MAX,
  REMOTE_BYTES_MAX,
  REMOTE_INPUTS_MAX,
  REMOVED_NODES_MAX,
  REV_JUMP_MAX,
  ROW_PAUSE_MS,
  SIGNATURE_CHECKS_MAX,
  SIGNED_AT_SLACK_S,
  SPIRE_AUTHORITIES_MAX,
  SPIRE_PAGE_ROWS,
  SPIRE_WRITES_WAITING_MAX,
  SPKI_BYTES_MAX,
  STEP_BYTES_MAX,
  STEP_RECORDS_MAX,
  SVID_TTL_S,
  SYNC_REPLY_BYTES_MAX,
  SYNC_REPLY_RECORDS_MAX,
  X509_AUTHORITIES_MAX,
} = numbersOf(LIMITS);
