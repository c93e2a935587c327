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
    const saidAgain = KNOWS_NO_CORE.test(file) ? declared(text, name) : undefined;
    expect(isTakenFromHere ? value : saidAgain).toBe(value);
  });

  test("is what the page shows: `npm run docs` writes it", () => {
    expect(readFileSync(join(ROOT, LIMITS_PAGE), "utf8")).toBe(limitsPage());
  });
});

/** Rooms whose files say the number once more, as they know nothing of the core. */
const KNOWS_NO_CORE = /^(?:spire-api|admin)\//;

/**
 * The number under the same name, or under the last words of it: NAME_OF_IT, or nameOfIt in a table of
 * its own.
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
]);

/** A bound or a deadline, not how often something is done. */
const BOUND = /_(?:MAX|AT_ONCE|BUFFERED|DEADLINE_MS|TIMEOUT_MS)$|^(?:GRAYLISTED|BARRED)_MS$/;
const OUTCOME =
  /\b(?:Above|Below|After that|Then):|\b(?:refused?|dropped|closed|cut|cuts|ignored|forgotten|given up|left out|goes?|stays?|ends?|waits?|tried again|fails?|not read|never|repairs|slower)\b/;

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
    expect(silent.map(({ path, name }) => `${path} ${name}`)).toEqual([]);
  });
});
