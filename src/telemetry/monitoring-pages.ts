/** `/metrics` for Prometheus; `/live` and `/ready` as SPIRE Server answers them, for a kubelet. */
import { printableJson } from "../printable.ts";
import type { Page, Pages } from "./http-listener.ts";
import type { Metrics } from "./metrics.ts";

/** One part of the daemon, as its name stands in the answer. */
export interface SubsystemHealth {
  /** False: only a restart helps. */
  readonly isLive: boolean;
  /** False: it waits for something, such as SPIRE Server. */
  readonly isReady: boolean;
  /** For people; stands in the answer as JSON. */
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

/** By name, such as `spire` or `store`, as they are when asked. Must not throw or wait. */
export type HealthSource = () => ReadonlyMap<string, SubsystemHealth>;

export function metricsPages(metrics: Metrics): Pages {
  const page = async (): Promise<Page> => ({
    status: 200,
    contentType: metrics.contentType,
    body: await metrics.text(),
  });
  return new Map([["/metrics", page]]);
}

/** 200 when every subsystem is well, else 500; the body has the details of each (SPIRE, health.go). */
export function healthPages(source: HealthSource): Pages {
  const page = (isWell: (health: SubsystemHealth) => boolean) => (): Page => {
    const subsystems = [...source()];
    return {
      status: subsystems.every(([, health]) => isWell(health)) ? 200 : 500,
      contentType: "application/json",
      body: `${printableJson(Object.fromEntries(subsystems.map(([name, { details }]) => [name, details])))}\n`,
    };
  };
  return new Map([
    ["/live", page(({ isLive }) => isLive)],
    ["/ready", page(({ isReady }) => isReady)],
  ]);
}
