/**
 * Rotations at one site, and how long the partners' SPIRE Servers take to hold the result: from just
 * before the call to the site's SPIRE Server, to the first read of a partner's that equals its bundle.
 * One rotation is one row of a table, which fills while it goes on.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { activate, prepare, revoke, taintOld } from "../rotation.ts";
import type { Site } from "../site.ts";
import { ownAuthorities, untilRowIs } from "../spire-rows.ts";
import { follow, formatMs, paint, say } from "./screen.ts";
import { nameOf } from "./three-sites.ts";

const STEPS = ["prepare", "activate", "taint", "revoke"] as const;
type Step = (typeof STEPS)[number];

/** How long partners took at one step; the times are NaN when it had nothing to carry. */
export interface StepSummary {
  readonly step: Step;
  readonly count: number;
  readonly medianMs: number;
  readonly slowestMs: number;
}

/** A partner at a step. `unchanged`: the step changed nothing that another SPIRE Server could hold. */
type Cell =
  | { readonly kind: "waiting"; readonly sinceMs: number }
  | { readonly kind: "unchanged" }
  | { readonly kind: "equal"; readonly tookMs: number };

/**
 * A daemon writes one row at most once a second, as SPIRE pushes each write to every workload. In
 * life hours lie between the steps, so the demo lets that second pass and does not measure it.
 */
const ROW_PAUSE_MS = 1_100;
/**
 * Steps start at any moment between two reads of the daemon, which come every 250 ms, as they do in
 * life. Back to back, each would start just after a read and wait longest.
 */
const READ_PAUSE_MS = 250;
const FIRST_WIDTH = 3;
const CELL_WIDTH = 9;

export class RotationTable {
  readonly #at: Site;
  readonly #partners: readonly Site[];
  readonly #tookMs = new Map<Step, number[]>();
  #cells = new Map<Step, Map<Site, Cell>>();
  #rowsWrittenMs = 0;

  constructor(at: Site, partners: readonly Site[]) {
    this.#at = at;
    this.#partners = partners;
  }

  printHead(): void {
    const width = CELL_WIDTH * this.#partners.length;
    say(paint("bold", " ".repeat(FIRST_WIDTH) + STEPS.map((s) => s.padStart(width)).join("")));
    say(row("#", () => this.#partners.map(nameOf)));
  }

  /** SPIRE's forced rotation, step by step. */
  async rotate(round: number): Promise<void> {
    this.#cells = new Map();
    const { api } = this.#at;
    await follow(
      () => row(`${round}`, (step) => this.#partners.map((site) => this.#text(step, site))),
      async () => {
        const prepared = await this.#take("prepare", async () => await prepare(api));
        await this.#take("activate", async () => await activate(api, prepared));
        const old = await this.#take("taint", async () => await taintOld(api));
        await this.#take("revoke", async () => await revoke(api, old));
      },
      () => `rotation ${round}`,
    );
  }

  /** All rotations and partners together, step by step. */
  summary(): readonly StepSummary[] {
    return STEPS.map((step) => {
      const all = (this.#tookMs.get(step) ?? []).toSorted((left, right) => left - right);
      const medianMs = all[Math.floor(all.length / 2)] ?? Number.NaN;
      return { step, count: all.length, medianMs, slowestMs: all.at(-1) ?? Number.NaN };
    });
  }

  async #take<Value>(step: Step, act: () => Promise<Value>): Promise<Value> {
    const restMs = Math.max(0, this.#rowsWrittenMs + ROW_PAUSE_MS - performance.now());
    await sleep(restMs + Math.random() * READ_PAUSE_MS);
    const before = await ownAuthorities(this.#at);
    const sinceMs = performance.now();
    const cells = new Map<Site, Cell>(
      this.#partners.map((site) => [site, { kind: "waiting", sinceMs }]),
    );
    this.#cells.set(step, cells);
    const value = await act();
    const after = await ownAuthorities(this.#at);
    await Promise.all(
      this.#partners.map(async (site) => {
        await untilRowIs(site, this.#at, after);
        const tookMs = performance.now() - sinceMs;
        cells.set(site, after === before ? { kind: "unchanged" } : { kind: "equal", tookMs });
        if (after !== before) this.#tookMs.set(step, [...(this.#tookMs.get(step) ?? []), tookMs]);
      }),
    );
    if (after !== before) this.#rowsWrittenMs = performance.now();
    return value;
  }

  #text(step: Step, site: Site): string {
    const cell = this.#cells.get(step)?.get(site);
    switch (cell?.kind) {
      case undefined:
        return "";
      case "waiting":
        return `${formatMs(performance.now() - cell.sinceMs)}…`;
      case "unchanged":
        return "-";
      case "equal":
        return formatMs(cell.tookMs);
    }
  }
}

function row(first: string, cells: (step: Step) => readonly string[]): string {
  const texts = STEPS.flatMap(cells).map((text) => text.padStart(CELL_WIDTH));
  return (first.padEnd(FIRST_WIDTH) + texts.join("")).trimEnd();
}
