/** The folder `conformance/`: what it must hold, by path. */
import { toUtf8 } from "../../src/core/std/bytes.ts";
import { CASES } from "./all-cases.ts";
import type { ConformanceCase } from "./conformance-case.ts";
import { receive } from "./receiver.ts";
import { CBOR, preimages } from "./vectors.ts";

export const FOLDER = "conformance";

/** Every file but README.md, relative to the folder. */
export function conformanceFiles(): ReadonlyMap<string, Uint8Array> {
  return new Map<string, Uint8Array>([
    ...CASES.flatMap(filesOf),
    ["vectors/cbor.json", json(CBOR)],
    ["vectors/preimages.json", json(preimages())],
  ]);
}

function filesOf(each: ConformanceCase): [path: string, bytes: Uint8Array][] {
  const { path, title, shows, carrier, nowS, trustDomain, pinned, arrivals } = each;
  const envelopes = arrivals.map(({ topic, outcome }, index) => ({
    file: fileName(index),
    topic,
    outcome,
  }));
  const { end } = receive(each);
  return [
    [
      `${path}/case.json`,
      json({ title, shows, carrier, now: nowS, trustDomain, pinned, envelopes, end }),
    ],
    ...arrivals.map(({ envelope }, index): [string, Uint8Array] => [
      `${path}/${fileName(index)}`,
      envelope,
    ]),
  ];
}

function fileName(index: number): string {
  return `${String(index + 1).padStart(2, "0")}.cbor`;
}

function json(value: unknown): Uint8Array {
  return toUtf8(`${JSON.stringify(value, undefined, 2)}\n`);
}
