/** No number bounds anything in secret: it is in the table, or says for itself why it is that one. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LIMITS, type Limit } from "../../src/core/std/limit-table.ts";
import { ROOT } from "../tidy/source.ts";
import { ownLimits } from "./own-limits.ts";
import { LIMITS_PAGE, limitsPage } from "./page.ts";

const table = Object.entries<Limit>(LIMITS);

describe("the table of limits", () => {
  test.each(table)("%s is kept by the file that it names", (name, { value, file }) => {
    const text = readFileSync(join(ROOT, "src", file), "utf8");
    const isTakenFromHere = new RegExp(`import {[^}]*\\b${name}\\b[^}]*} from .*/limits\\.ts`).test(
      text,
    );
    expect(isTakenFromHere ? value : declared(text, name)).toBe(value);
  });

  test("is what the page shows: `npm run docs` writes it", () => {
    expect(readFileSync(join(ROOT, LIMITS_PAGE), "utf8")).toBe(limitsPage());
  });
});

/**
 * The number under the same name, or under the last words of it, in a file of a room that knows
 * nothing of the core: NAME_OF_IT, or nameOfIt in a table of its own.
 */
function declared(text: string, name: string): number | undefined {
  const words = name.split("_");
  for (let from = 0; from < words.length - 1; from += 1) {
    const last = words.slice(from);
    const camel = last.map((word, index) => cased(word, index > 0)).join("");
    const found = new RegExp(`\\b(?:${last.join("_")} =|${camel}:) ([\\d_ *]+)[;,]`).exec(text);
    const factors = found?.[1]?.split("*");
    if (factors) return factors.reduce((all, each) => all * Number(each.replaceAll("_", "")), 1);
  }
  return undefined;
}

function cased(word: string, isCapital: boolean): string {
  const lower = word.toLowerCase();
  return isCapital ? `${lower[0]?.toUpperCase()}${lower.slice(1)}` : lower;
}

/** Numbers whose name alone says why: of a format, or the first of a row that is explained. */
const EXPLAINED_BY_NAME: ReadonlySet<string> = new Set([
  "src/runtime/mesh-loop.ts TICK_MS",
  "src/spire/pace.ts BACK_OFF_FIRST_MS",
  "src/x509/public-key.ts RSA_BITS_MIN",
  "src/x509/bundle-document.ts U64_MAX",
]);

/** A bound or a deadline, not how often something is done. */
const BOUND = /_(?:MAX|AT_ONCE|BUFFERED|DEADLINE_MS|TIMEOUT_MS)$|^(?:GRAYLISTED|BARRED)_MS$/;
const OUTCOME =
  /\b(?:Above|Below|After that|Then):|\b(?:refused?|dropped|closed|cut|cuts|ignored|forgotten|given up|left out|goes?|stays?|ends?|waits?|tried again|fails?|not read|never|repairs|slower)\b/;
/** Those that do not say it yet. Only ever fewer. */
const SILENT: ReadonlySet<string> = new Set([
  "src/admin-contract/exchange.ts PEERS_MAX",
  "src/admin-contract/exchange.ts PATH_LENGTH_MAX",
  "src/admin-contract/routes.ts READ_DEADLINE_MS",
  "src/admin-contract/routes.ts CHANGE_DEADLINE_MS",
  "src/admin/socket-path.ts PROBE_DEADLINE_MS",
  "src/config/config-schema.ts PEERS_MAX",
  "src/config/config-schema.ts ADDRESSES_MAX",
  "src/config/config-schema.ts PORT_MAX",
  "src/config/config.ts FILE_BYTES_MAX",
  "src/config/yaml-file.ts PROBLEMS_MAX",
  "src/core/record/chain.ts ANCHOR_KEYS_MAX",
  "src/core/record/export-file.ts EXPORT_ADDRESSES_MAX",
  "src/daemon/daemon.ts UNREADABLE_NAMES_MAX",
  "src/keys/node-key.ts FILE_BYTES_MAX",
  "src/keys/publisher-svid.ts SVID_LIFE_S_MAX",
  "src/keys/svid-files.ts FILE_BYTES_MAX",
  "src/keys/svid-files.ts FILES_MAX",
  "src/p2p/account.ts CONNECT_RATE",
  "src/p2p/account.ts LOOKUP_RATE",
  "src/p2p/account.ts REQUEST_RATE",
  "src/p2p/address.ts ADDRESS_LENGTH_MAX",
  "src/p2p/dialer.ts HINTS_A_PEER_MAX",
  "src/p2p/dialer.ts DIAL_DEADLINE_MS",
  "src/p2p/inbound.ts PENDING_UNKNOWN_MAX",
  "src/p2p/libp2p-network.ts PEERS_DIALED_MAX",
  "src/p2p/libp2p-node.ts INBOUND_A_SECOND_MAX",
  "src/p2p/libp2p-node.ts NEGOTIATION_TIMEOUT_MS",
  "src/p2p/libp2p-node.ts ADDRESS_DIAL_TIMEOUT_MS",
  "src/p2p/libp2p-node.ts DIALS_AT_ONCE",
  "src/p2p/strangers.ts STRANGERS_A_SUBNET_MAX",
  "src/p2p/sync-frames.ts REQUEST_BYTES_MAX",
  "src/p2p/sync-frames.ts FETCH_BYTES_MAX",
  "src/p2p/sync-round.ts FETCHES_MAX",
  "src/p2p/sync.ts INBOUND_SYNC_STREAMS_MAX",
  "src/p2p/sync.ts ROUNDS_AT_ONCE",
  "src/p2p/sync.ts OPEN_DEADLINE_MS",
  "src/p2p/wire.ts STREAM_WINDOW_BYTES_MAX",
  "src/p2p/wire.ts HANDSHAKE_BYTES_MAX",
  "src/p2p/wire.ts STRANGER_BYTES_MAX",
  "src/p2p/wire.ts STRANGER_FRAMES_MAX",
  "src/printable.ts TEXT_LENGTH_MAX",
  "src/private-files/private-directory.ts LINKS_MAX",
  "src/runtime/mesh-loop.ts FOLLOW_UPS_MAX",
  "src/spire-api/server.ts REQUEST_BYTES_MAX",
  "src/store/format-marker.ts BYTES_MAX",
  "src/store/store-database.ts CURRENT_BYTES_MAX",
  "src/store/store-fault.ts CAUSES_MAX",
  "src/telemetry/log-value.ts CAUSES_MAX",
  "src/telemetry/metrics.ts LABELLED_DOMAINS_MAX",
  "src/x509/certificate.ts SERIAL_NUMBER_BYTES_MAX",
  "src/x509/der.ts OID_ARC_MAX",
  "src/x509/ed25519.ts KEY_OBJECTS_MAX",
  "src/x509/public-key.ts RSA_BITS_MAX",
  "src/x509/public-key.ts RSA_EXPONENT_BYTES_MAX",
]);

const own = ownLimits().filter(
  ({ path, name }) =>
    !EXPLAINED_BY_NAME.has(`${path} ${name}`) &&
    !table.some(([each, { file }]) => path === `src/${file}` && each.endsWith(name)),
);

describe("a limit of one file", () => {
  test("is found, a rate as well", () => {
    expect(own.length).toBeGreaterThan(100);
    const rates = own.filter(({ isRate }) => isRate).map(({ name }) => name);
    expect(rates).toEqual(expect.arrayContaining(["GOSSIP_RATE", "ANSWER_RATE", "WORK"]));
    expect(rates.length).toBeGreaterThanOrEqual(7);
  });

  test("says why it is that one", () => {
    const silent = own.filter(({ said }) => said.trim().length < 15);
    expect(silent.map(({ path, name }) => `${path} ${name}`)).toEqual([]);
  });

  test("says what happens beyond it", () => {
    const silent = own.filter(({ name, said, isRate }) => {
      return (isRate || BOUND.test(name)) && !OUTCOME.test(said);
    });
    const unknown = silent
      .map(({ path, name }) => `${path} ${name}`)
      .filter((each) => !SILENT.has(each));
    expect(unknown).toEqual([]);
  });
});
