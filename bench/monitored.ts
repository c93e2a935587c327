/** Sites whose daemons tell Prometheus what they do. */
import { fileURLToPath } from "node:url";
import { type SiteOptions, freePort } from "../peers/site.ts";
import { type Bench, type Sites, startPartners } from "./sites.ts";

export interface Watched extends Bench {
  readonly metricsPort: number;
  /** Of its daemon, which is never restarted. */
  readonly pid: number;
}

/** For a daemon that is asked to collect its garbage: collecting.ts. */
export const COLLECTING: Partial<SiteOptions> = {
  nodeOptions: [
    "--expose-gc",
    "--import",
    fileURLToPath(new URL("collecting.ts", import.meta.url)),
  ],
};

/** Starts a SPIRE Server and a daemon that knows nobody yet. */
export async function startWatched(
  sites: Sites,
  name: string,
  options: Partial<SiteOptions> = {},
): Promise<Watched> {
  const metricsPort = await freePort();
  const extraConfig = `telemetry: { prometheus: { host: 127.0.0.1, port: ${metricsPort} } }\n`;
  const [bench] = await startPartners(sites, [name], { ...options, extraConfig });
  const pid = bench?.site.daemon?.pid;
  if (bench === undefined || pid === undefined) throw new Error("no site");
  return { ...bench, metricsPort, pid };
}

/** Everything it tells, in Prometheus' text format. */
export async function metricsOf({ metricsPort }: Watched): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
}

/** How many records it refused, by code. */
export async function refusedBy(at: Watched): Promise<ReadonlyMap<string, number>> {
  const page = await metricsOf(at);
  const lines = page.matchAll(/^spire_mesh_records_refused_total\{code="(\w+)"\} (\d+)$/gm);
  return new Map([...lines].map(([, code = "", count]) => [code, Number(count)]));
}
