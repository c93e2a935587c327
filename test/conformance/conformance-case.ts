/** One case: what a receiver has pinned, what reaches it, what becomes of each envelope, and the end. */
import type { RefusalCode } from "../../src/core/record/refusal.ts";
import { NOW_S, TRUST_DOMAIN } from "./fixed-certificates.ts";
import type { FixedRecord } from "./fixed-records.ts";

export type Outcome = "taken" | "unchanged" | "heard" | RefusalCode;

export interface Arrival {
  readonly envelope: Uint8Array;
  readonly topic: "state" | "head";
  readonly outcome: Outcome;
}

export interface ConformanceCase {
  /** Folder and name of the case, in kebab case. */
  readonly path: string;
  readonly title: string;
  /** What it shows, in a sentence. */
  readonly shows: string;
  /** How records came; heads always come by gossip. */
  readonly carrier: "sync" | "gossip";
  readonly nowS: number;
  readonly trustDomain: string;
  /** The id of the first record, as it came out of band. 64 hex digits. */
  readonly pinned: string;
  readonly arrivals: readonly Arrival[];
}

type Options = Partial<Pick<ConformanceCase, "carrier" | "nowS" | "pinned">>;

/** Makes the cases of one folder; each is a title, what it shows, and what arrives. */
export function casesIn(folder: string) {
  const cases: ConformanceCase[] = [];
  const add = (
    title: string,
    shows: string,
    arrivals: readonly (Arrival & { readonly idHex?: string })[],
    { carrier = "sync", nowS = NOW_S, pinned = arrivals[0]?.idHex ?? "" }: Options = {},
  ): void => {
    const path = `${folder}/${title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}`;
    const trustDomain = TRUST_DOMAIN;
    const bare = arrivals.map(({ envelope, topic, outcome }) => ({ envelope, topic, outcome }));
    cases.push({ path, title, shows, carrier, nowS, trustDomain, pinned, arrivals: bare });
  };
  return { cases, add };
}

export function taken(record: FixedRecord): Arrival & { readonly idHex: string } {
  const { envelope, idHex } = record;
  return { envelope, idHex, topic: "state", outcome: "taken" };
}

export function unchanged({ envelope }: FixedRecord): Arrival {
  return { envelope, topic: "state", outcome: "unchanged" };
}

export function refused(outcome: RefusalCode, record: FixedRecord | Uint8Array): Arrival {
  const envelope = record instanceof Uint8Array ? record : record.envelope;
  return { envelope, topic: "state", outcome };
}

export function head(outcome: Outcome, envelope: Uint8Array): Arrival {
  return { envelope, topic: "head", outcome };
}
