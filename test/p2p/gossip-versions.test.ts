/** What we change around libp2p's packages is read again before another version of them is taken. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { GOSSIPSUB_VERSION } from "../../src/p2p/gossipsub-inside.ts";
import { NOISE_VERSION } from "../../src/p2p/noise-messages.ts";

const ROOT = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const PAGE = read("docs/decisions/0010-around-gossipsub-and-yamux.md");
const { dependencies } = JSON.parse(read("package.json")) as {
  readonly dependencies: Readonly<Record<string, string>>;
};
const NAMED = ["@libp2p/gossipsub", "@libp2p/yamux", "@libp2p/noise", "@libp2p/tcp", "libp2p"];
const CITED = [...PAGE.matchAll(/`(test\/[\w/.-]+\.ts)`: ([^;|]+?)(?:;| \|)/g)].map(
  ([, file = "", name = ""]) => [file, name] as const,
);

describe("the page on what we change around gossipsub, yamux, Noise and TCP", () => {
  test("is about the versions that are installed", () => {
    expect(dependencies["@libp2p/gossipsub"]).toBe(GOSSIPSUB_VERSION);
    expect(dependencies["@libp2p/noise"]).toBe(NOISE_VERSION);
    for (const name of NAMED) {
      expect(PAGE).toContain(`${name.replace("@libp2p/", "")} ${dependencies[name]}`);
    }
  });

  test.each(CITED)("names a test of %s: %s", (file, name) => {
    expect(read(file)).toContain(name);
  });

  test("names one for each change", () => {
    expect(CITED.length).toBeGreaterThan(12);
  });
});
