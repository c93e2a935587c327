/** Metrics and health, read from the mesh state when somebody asks, and the listeners for them. */
import type { Config } from "../config/config.ts";
import type { MeshEvent } from "../core/mesh/effect.ts";
import type { MeshState } from "../core/mesh/mesh-state.ts";
import type { Libp2pNetwork } from "../p2p/libp2p-network.ts";
import { HttpListener } from "../telemetry/http-listener.ts";
import type { Logger } from "../telemetry/log.ts";
import { type MetricSources, type Metrics, createMetrics } from "../telemetry/metrics.ts";
import { type SubsystemHealth, healthPages, metricsPages } from "../telemetry/monitoring-pages.ts";
import { healthOf } from "./status.ts";

interface MonitoringPorts {
  readonly state: MeshState;
  readonly network: Pick<Libp2pNetwork, "connections" | "edgeCounts" | "gossipCounts">;
  readonly isStopping: () => boolean;
  readonly log: Logger;
  readonly nowMs: () => number;
}

export interface Monitoring {
  onEvent(event: MeshEvent): void;
  /** Opens the listeners that the configuration names. Throws `CANNOT_CREATE`. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export function createMonitoring(
  config: Pick<Config, "prometheus" | "healthChecks">,
  ports: MonitoringPorts,
): Monitoring {
  const { state, log, isStopping } = ports;
  const listeners: HttpListener[] = [];
  let metrics: Metrics | undefined; // Collecting costs 0.3 % of a core, so only when somebody asks.
  if (config.prometheus !== undefined) {
    metrics = createMetrics(metricSources(ports));
    listeners.push(new HttpListener(config.prometheus, metricsPages(metrics), log));
  }
  if (config.healthChecks !== undefined) {
    const pages = healthPages(() => subsystems(state, isStopping()));
    listeners.push(new HttpListener(config.healthChecks, pages, log));
  }
  return {
    onEvent: (event) => metrics && count(metrics, event),
    start: async () => {
      for (const listener of listeners) await listener.start();
    },
    stop: async () => {
      await Promise.all(listeners.map(async (listener) => await listener.stop()));
    },
  };
}

function metricSources({ state, network, nowMs }: MonitoringPorts): MetricSources {
  return {
    isSpireUp: () => state.own.read !== undefined && state.spireAway === undefined,
    connectedPeers: () => network.connections().length,
    graylistedPeers: () => network.connections().filter(({ graylisted }) => graylisted).length,
    edgeCounts: () => ({
      connection_refused: network.edgeCounts.refused,
      connection_cut_off: network.edgeCounts.cutOff,
      message_over_budget: network.gossipCounts.overBudget,
      message_overload: network.gossipCounts.overload,
    }),
    findings: () => state.findings.values(),
    ownSequenceNumber: () => state.own.slot?.held.record.state.version.sequence,
    rowProvenEqualAgeS: function* () {
      for (const [trustDomain, { row, pin }] of state.partners) {
        yield [trustDomain, (nowMs() - (row.provenEqualAtMs ?? pin.approvedAtMs)) / 1_000];
      }
    },
  };
}

function count(metrics: Metrics, event: MeshEvent): void {
  if (event.kind === "record-accepted") metrics.recordAccepted(event.trustDomain);
  else if (event.kind === "record-refused") metrics.recordRefused(event.refusal.code);
  else if (event.kind === "domain-forgotten") metrics.forget(event.trustDomain);
  else if (event.kind === "bundle-written") {
    if (event.overwritten !== undefined) metrics.rowRewritten(event.trustDomain);
    else metrics.bundleWritten(event.trustDomain);
  }
}

/**
 * `/ready` turns when the daemon has started and when it stops, not with what degrades it meanwhile:
 * it goes on serving what it holds, and without traffic partners would lose that too.
 */
export function subsystems(
  state: MeshState,
  isStopping: boolean,
): ReadonlyMap<string, SubsystemHealth> {
  const { ready, state: is, problems } = healthOf(state, isStopping);
  const isReady = ready || is === "degraded";
  const error = state.spireAway ?? null;
  return new Map([
    [
      "mesh",
      { isLive: true, isReady, details: { state: is, ready, problem: problems[0] ?? null } },
    ],
    [
      "spire",
      {
        isLive: true,
        isReady: state.own.read !== undefined,
        details: { read: state.own.read !== undefined, error },
      },
    ],
  ]);
}
