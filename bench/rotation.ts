/**
 * From an authority that was prepared at one SPIRE Server to the row in all partners' SPIRE Servers,
 * beside the floor and, on real servers, beside SPIRE's own federation.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { activate, prepare, revoke, taintOld } from "../peers/rotation.ts";
import type { TrustBundle } from "../src/core/spiffe/trust-bundle.ts";
import { Federation } from "./federation.ts";
import type { Figure, Part, Target } from "./figure.ts";
import { Floor } from "./floor.ts";
import { rowArrival } from "./row-arrival.ts";
import { type Bench, Sites, startPartners, untilEqual } from "./sites.ts";
import { medianOf } from "./spread.ts";
import { Stages } from "./stages.ts";

/** The daemon's default; it reads SPIRE's bundle this often. */
const POLL_INTERVAL_MS = 250;
/** A row may be written again a second after it was. */
const SETTLED_MS = 1_100;
const LIMIT_MS = 20_000;
const MEDIAN_TARGET_MS = 250;
const SLOWEST_TARGET_MS = 750;
const FEDERATION_TRIALS_MIN = 3;

export interface RotationOptions {
  readonly rotations: number;
  /** Path of a real `spire-server`; the embedded one without. */
  readonly spireServer: string | undefined;
}

export async function measureRotation(options: RotationOptions): Promise<Part> {
  return await Sites.with(async (sites) => await measureIn(sites, options));
}

async function measureIn(sites: Sites, options: RotationOptions): Promise<Part> {
  const { rotations, spireServer } = options;
  const names = ["alpha", "bravo", "charlie"];
  const [alpha, ...partners] = await startPartners(sites, names, { spireServer });
  if (alpha === undefined) throw new Error("no sites");
  const floor = new Floor(sites.directory);
  const stages = await Stages.begin([alpha, ...partners]);
  const native = new AbortController();
  const federated =
    spireServer === undefined ? undefined : measureFederation(sites, spireServer, native.signal);
  federated?.catch(() => undefined); // Told when the rotations are over.
  const all: number[] = [];
  const parts = { published: [] as number[], accepted: [] as number[], written: [] as number[] };
  for (let index = 0; index < rotations; index += 1) {
    // Later than the last poll by a random part of the interval.
    await sleep(SETTLED_MS + Math.random() * POLL_INTERVAL_MS);
    stages.reset();
    const { arrivedAfterMs, preparedAtUnixMs, bundle } = await rotate(alpha, partners, LIMIT_MS);
    all.push(arrivedAfterMs);
    noteStages(stages, parts, preparedAtUnixMs, alpha, partners);
    const [partner = alpha] = partners;
    await floor.measure(alpha, partner, bundle);
  }
  stages.end();
  await floor.close();
  native.abort();
  return {
    title: `rotation: prepared → row in both partners' SPIRE, ${spireServer === undefined ? "embedded" : "real"} SPIRE Servers`,
    figures: figuresOf(all, floor, parts, (await federated) ?? []),
    notes: [
      `${rotations} rotations at random moments of the poll interval of ${POLL_INTERVAL_MS} ms`,
      "floor: half the poll interval, one mint, one synced LevelDB batch, one BatchSetFederatedBundle",
      "the stages are told by the daemons to 1 ms; the slower partner counts",
    ],
  };
}

interface Rotated {
  /** Until the slower partner's SPIRE Server answered the prepared authority. */
  readonly arrivedAfterMs: number;
  readonly preparedAtUnixMs: number;
  readonly bundle: TrustBundle;
}

/** Prepares an authority, waits for it at the partners, and completes the rotation. */
export async function rotate(
  from: Bench,
  partners: readonly Bench[],
  limitMs: number,
): Promise<Rotated> {
  const authorityId = await prepare(from.api);
  const preparedAtMs = performance.now();
  const preparedAtUnixMs = Date.now();
  const bundle = await from.spire.readBundle();
  const arrivals = await Promise.all(
    partners.map(async (partner) => await rowArrival(partner, bundle, limitMs)),
  );
  await activate(from.api, authorityId);
  await revoke(from.api, await taintOld(from.api));
  await untilEqual([from, ...partners], limitMs);
  return { arrivedAfterMs: Math.max(...arrivals) - preparedAtMs, preparedAtUnixMs, bundle };
}

/** Trials until the rotations are over, and at least so many as say something. */
async function measureFederation(
  sites: Sites,
  spireServer: string,
  over: AbortSignal,
): Promise<number[]> {
  const federation = await Federation.start(sites, spireServer);
  const values: number[] = [];
  while (!over.aborted || values.length < FEDERATION_TRIALS_MIN) {
    values.push(await federation.rotate());
  }
  return values;
}

interface StageTimes {
  readonly published: number[];
  readonly accepted: number[];
  readonly written: number[];
}

function noteStages(
  stages: Stages,
  into: StageTimes,
  preparedAtMs: number,
  from: Bench,
  partners: readonly Bench[],
): void {
  const published = stages.timeOf(from, "bundle-published", from);
  const slowest = partners
    .map((at) => ({
      accepted: stages.timeOf(at, "record-accepted", from),
      written: stages.timeOf(at, "bundle-written", from),
    }))
    .toSorted((left, right) => (left.written ?? Infinity) - (right.written ?? Infinity))
    .at(-1);
  if (published === undefined || slowest?.accepted === undefined) return;
  if (slowest.written === undefined) return;
  into.published.push(published - preparedAtMs);
  into.accepted.push(slowest.accepted - published);
  into.written.push(slowest.written - slowest.accepted);
}

function figuresOf(
  all: readonly number[],
  floor: Floor,
  { published, accepted, written }: StageTimes,
  federated: readonly number[],
): Figure[] {
  const half = POLL_INTERVAL_MS / 2;
  const floorMs = floor.mintMs.map(
    (mint, index) => half + mint + (floor.batchMs[index] ?? 0) + (floor.setMs[index] ?? 0),
  );
  const arrived = inMs("prepared → all rows", all);
  const bare = inMs("floor", floorMs);
  const target: Target = {
    text: `median ≤ ${MEDIAN_TARGET_MS}, slowest ≤ ${SLOWEST_TARGET_MS}`,
    met: medianOf(all) <= MEDIAN_TARGET_MS && Math.max(...all) <= SLOWEST_TARGET_MS,
  };
  const figures: Figure[] = [
    { ...arrived, anchor: bare, target },
    bare,
    inMs("  mint", floor.mintMs),
    inMs("  synced batch", floor.batchMs),
    inMs("  BatchSetFederatedBundle", floor.setMs),
    inMs("stage prepared → published", published),
    inMs("stage published → accepted", accepted),
    inMs("stage accepted → written, read back", written),
    { ...inMs("SPIRE's own federation", federated), anchor: arrived },
  ];
  return figures.filter(({ values }) => values.length > 0);
}

function inMs(what: string, values: readonly number[]): Figure {
  return { what, unit: "ms", values };
}
