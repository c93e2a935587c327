/** What operators ask of a daemon's core, with a SPIRE Server and a keyring that answer at once. */
import { expect } from "vitest";
import type { Operations } from "../../src/admin/operations.ts";
import type { TrustBundle } from "../../src/core/spiffe/trust-bundle.ts";
import type { HistoryStore } from "../../src/daemon/bundle-history.ts";
import { createOperations } from "../../src/daemon/operations.ts";
import { x509Proofs } from "../../src/x509/proofs.ts";
import type { TestDaemon } from "../core/mesh/daemon.ts";

export interface Surroundings {
  /** Gets what is logged: level, fields, message. */
  readonly lines?: unknown[];
  /** Gets what is dialed besides what the core orders. */
  readonly dialed?: unknown[];
  /** What SPIRE holds for whoever is new. */
  readonly row?: TrustBundle | undefined;
  readonly store?: HistoryStore;
}

/** Longer than any order waits. */
const WAIT_S = 15;
/** One for the order, and what SPIRE says besides. */
const SIGNED_MAX = 8;
const EMPTY: HistoryStore = { history: async () => [], record: async () => undefined };

export function operationsBy(
  daemon: TestDaemon,
  { lines = [], dialed = [], row, store = EMPTY }: Surroundings = {},
): Operations {
  return createOperations({
    state: daemon.state,
    loop: {
      ask: async (makeInput) => {
        daemon.ask(makeInput);
        const ticket = daemon.lastTicket;
        for (let second = 0; ; second += 1) {
          while (daemon.orders.length > 0) daemon.endRow();
          for (let signed = 0; daemon.signing.length > 0; signed += 1) {
            expect(signed, "records signed for one order").toBeLessThan(SIGNED_MAX);
            daemon.sign();
          }
          const answer = daemon.answerOf(ticket);
          if (answer !== undefined || second === WAIT_S) return answer;
          if (daemon.state.own.ordered === undefined) return undefined;
          daemon.wait(1);
        }
      },
    },
    network: {
      peerId: "12D3KooWBravo",
      addresses: () => [],
      connections: () => [],
      dialFailures: () => [],
      dial: (trustDomain, addresses) => dialed.push([trustDomain, addresses]),
    },
    store,
    spire: {
      listFederationRelationships: async () => [],
      readFederatedBundle: async () => row,
    },
    readRows: async () => {},
    proofs: x509Proofs,
    nodeOf: () => undefined,
    isStopping: () => false,
    privateDirectories: [],
    watch: () => () => {},
    log: {
      info: (fields, message) => lines.push(["info", fields, message]),
      warn: (fields, message) => lines.push(["warn", fields, message]),
    },
    nowMs: () => daemon.nowMs,
  });
}
