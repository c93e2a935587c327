import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { TrustBundle } from "../../src/core/spiffe/trust-bundle.ts";
import { Fault } from "../../src/fault.ts";
import type { SpireServer } from "../../src/ports/spire-server.ts";
import { BundleWatcher } from "../../src/spire/bundle-watcher.ts";
import { connectSpireServer } from "../../src/spire/spire-server.ts";
import { BundleSchema, create } from "../../src/spire-api/services.ts";
import { MadeUpPace } from "./made-up-pace.ts";
import { SpireStandIn } from "./spire-stand-in.ts";

const POLL_MS = 250;

let spire: SpireStandIn;
let server: SpireServer;
let pace: MadeUpPace;
let watcher: BundleWatcher;
let events: string[];

beforeEach(async () => {
  spire = await SpireStandIn.make();
  server = connectSpireServer({ socketPath: spire.socketPath, deadlineMs: 1_000 });
  events = [];
  start();
});

afterEach(async () => {
  await watcher.stop();
  server.close();
  await spire.remove();
});

function start(random?: () => number): void {
  pace = new MadeUpPace(random);
  watcher = new BundleWatcher({ pollIntervalMs: POLL_MS, pace }, server, {
    onBundleRead: (bundle) => events.push(summary(bundle)),
    onSpireAway: ({ code }) => events.push(code),
    onSpireBack: () => events.push("back"),
  });
}

/** Number and authorities, `!` behind a tainted one. */
function summary({ sequenceNumber, x509Authorities }: TrustBundle): string {
  const authorities = x509Authorities.map(
    ({ der, tainted }) => `${Buffer.from(der).toString()}${tainted ? "!" : ""}`,
  );
  return `${sequenceNumber}:${authorities.join(",")}`;
}

function serve(sequenceNumber: bigint, authorities: string): void {
  spire.bundle = create(BundleSchema, {
    trustDomain: "alpha.test",
    sequenceNumber,
    x509Authorities: authorities.split(",").map((text) => ({
      asn1: Uint8Array.from(Buffer.from(text.replace("!", ""))),
      tainted: text.endsWith("!"),
    })),
  });
}

describe("the own bundle is told", () => {
  beforeEach(async () => {
    await spire.start();
    serve(1n, "a");
    watcher.start();
    await pace.asleep();
  });

  test("at the first read, and not again while it stays the same", async () => {
    await pace.advance(10 * POLL_MS);
    expect(events).toEqual(["1:a"]);
    expect(spire.called("GetBundle")).toHaveLength(11);
  });

  test.for([
    ["its authorities and number", 2n, "a,b"],
    ["its number alone", 2n, "a"],
    ["its authorities alone, as after a restore", 1n, "b"],
    ["its taint alone", 1n, "a!"],
    ["a number that went back", 0n, "a"],
  ] as const)("within one interval when it changes in %s", async ([, sequence, authorities]) => {
    serve(sequence, authorities);
    await pace.advance(POLL_MS);
    expect(events).toEqual(["1:a", `${sequence}:${authorities}`]);
  });

  test("by reads that never overlap, however slow the server is", async () => {
    let reading = 0;
    let most = 0;
    spire.before = async () => {
      reading += 1;
      most = Math.max(most, reading);
      await new Promise((resolve) => setTimeout(resolve, 20));
      reading -= 1;
    };
    await pace.advance(5 * POLL_MS);
    expect(most).toBe(1);
  });

  test("no more after stop, not even by the read under way", async () => {
    const { promise: asked, resolve: onAsked } = Promise.withResolvers<void>();
    const { promise: answer, resolve: onAnswer } = Promise.withResolvers<void>();
    spire.before = async () => {
      onAsked();
      await answer;
    };
    serve(2n, "b");
    void pace.advance(POLL_MS);
    await asked;
    const stopped = watcher.stop();
    onAnswer();
    await stopped;
    expect(events).toEqual(["1:a"]);
  });
});

describe("SPIRE being away is told", () => {
  test("once at the start, and its return once, before the bundle", async () => {
    watcher.start();
    await pace.advance(60_000);
    expect(events).toEqual(["SPIRE_UNREACHABLE"]);
    await spire.start();
    await pace.advance(2_000);
    expect(events).toEqual(["SPIRE_UNREACHABLE", "back", "1:"]);
  });

  test("once for each outage; a bundle that did not change is not told again", async () => {
    await spire.start();
    watcher.start();
    await pace.asleep();
    for (let outage = 0; outage < 2; outage += 1) {
      await spire.stop();
      await pace.advance(30_000);
      await spire.start();
      await pace.advance(2_000);
    }
    const outages = ["SPIRE_UNREACHABLE", "back", "SPIRE_UNREACHABLE", "back"];
    expect(events).toEqual(["1:", ...outages]);
  });

  test("again when something else helps, and only then", async () => {
    let fault = new Fault("SPIRE_UNREACHABLE", "there is no socket");
    const away = { readBundle: async () => await Promise.reject(fault) };
    watcher = new BundleWatcher({ pollIntervalMs: POLL_MS, pace }, away, {
      onBundleRead: () => undefined,
      onSpireAway: ({ message }) => events.push(message),
      onSpireBack: () => undefined,
    });
    watcher.start();
    await pace.advance(10_000);
    fault = new Fault("SPIRE_UNREACHABLE", "nobody listens");
    await pace.advance(10_000);
    fault = new Fault("SPIRE_REFUSED", "may not");
    await pace.advance(10_000);
    expect(events).toEqual(["there is no socket", "may not"]);
  });

  test.for([
    ["longest", 0, [250, 750, 1_750, 3_750, 5_750]],
    ["shortest", 0.999_999, [125, 375, 875, 1_875, 2_875]],
  ] as const)(
    "while it is tried after 250 ms, then up to 2 s: %s jitter",
    async ([, random, triesMs]) => {
      start(() => random);
      let tries = 0;
      const away = {
        readBundle: async () => {
          tries += 1;
          return await server.readBundle();
        },
      };
      watcher = new BundleWatcher({ pollIntervalMs: POLL_MS, pace }, away, {
        onBundleRead: () => undefined,
        onSpireAway: () => undefined,
        onSpireBack: () => undefined,
      });
      watcher.start();
      await pace.asleep();
      for (const [index, atMs] of triesMs.entries()) {
        await pace.advance(atMs - pace.nowMs() - 1);
        expect(tries, `before ${atMs} ms`).toBe(index + 1);
        await pace.advance(2);
        expect(tries, `after ${atMs} ms`).toBe(index + 2);
      }
    },
  );
});
