import { generateKeyPairSync } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Authority, AuthoritySlots } from "../../../peers/embedded-spire/authority-slots.ts";

const HOUR_MS = 3_600_000;
const { privateKey } = generateKeyPairSync("ed25519");

let made = 0;

function makeAuthority(issuedAtMs: number, lifeMs: number): Authority {
  made += 1;
  const notAfterMs = issuedAtMs + lifeMs;
  return { id: String(made), privateKey, listed: Buffer.of(made), issuedAtMs, notAfterMs };
}

/** Rotates as the server's timer does; says what happened. */
function rotate(slots: AuthoritySlots, nowMs: number, lifeMs: number): readonly string[] {
  const done: string[] = [];
  if (slots.shouldPrepare(nowMs)) {
    slots.prepare(makeAuthority(nowMs, lifeMs));
    done.push("prepare");
  }
  if (slots.shouldActivate(nowMs)) {
    slots.activate();
    done.push("activate");
  }
  return done;
}

describe("the slots of one kind of authority", () => {
  test("always sign with a valid authority when they are looked at often enough", () => {
    const steps = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 60 });
    fc.assert(
      fc.property(fc.integer({ min: 60, max: 100_000 }), steps, (life, shares) => {
        const lifeMs = life * 1_000;
        const slots = new AuthoritySlots();
        let nowMs = 0;
        rotate(slots, nowMs, lifeMs);
        for (const share of shares) {
          nowMs += (lifeMs * share) / 31; // At most a sixth of the life, which is the margin.
          rotate(slots, nowMs, lifeMs);
          expect(slots.current?.status).toBe("ACTIVE");
          expect(slots.current?.authority.notAfterMs).toBeGreaterThan(nowMs);
        }
      }),
    );
  });

  test("prepare at half of a day's life, activate at five sixths", () => {
    const lifeMs = 24 * HOUR_MS;
    const slots = new AuthoritySlots();
    expect(rotate(slots, 0, lifeMs)).toEqual(["prepare", "activate"]);
    expect(rotate(slots, 12 * HOUR_MS, lifeMs)).toEqual([]);
    expect(rotate(slots, 12 * HOUR_MS + 1, lifeMs)).toEqual(["prepare"]);
    expect(rotate(slots, 20 * HOUR_MS, lifeMs)).toEqual([]);
    expect(rotate(slots, 20 * HOUR_MS + 1, lifeMs)).toEqual(["activate"]);
    expect(slots.next?.status).toBe("OLD");
  });

  test("prepare 30 days and activate 7 days before the end of a life of a year", () => {
    const dayMs = 24 * HOUR_MS;
    const lifeMs = 365 * dayMs;
    const slots = new AuthoritySlots();
    rotate(slots, 0, lifeMs);
    expect(rotate(slots, 335 * dayMs, lifeMs)).toEqual([]);
    expect(rotate(slots, 335 * dayMs + 1, lifeMs)).toEqual(["prepare"]);
    expect(rotate(slots, 358 * dayMs + 1, lifeMs)).toEqual(["activate"]);
  });

  test("use A and B in turn, and put a new prepared authority in the place of the last", () => {
    const slots = new AuthoritySlots();
    rotate(slots, 0, HOUR_MS);
    expect(slots.current?.name).toBe("A");
    const lost = slots.prepare(makeAuthority(0, HOUR_MS));
    const kept = slots.prepare(makeAuthority(0, HOUR_MS));
    expect([lost.name, kept.name]).toEqual(["B", "B"]);
    expect(slots.activate().authority).toBe(kept.authority);
    expect(slots.prepare(makeAuthority(0, HOUR_MS)).name).toBe("A");
  });

  test("go on after a restart with what was kept, and start afresh without an active one", () => {
    const slots = new AuthoritySlots();
    rotate(slots, 0, HOUR_MS);
    slots.prepare(makeAuthority(0, HOUR_MS));
    const again = new AuthoritySlots(slots.all());
    expect([again.current, again.next]).toEqual([slots.current, slots.next]);
    const prepared = slots.all().filter(({ status }) => status === "PREPARED");
    expect(new AuthoritySlots(prepared).all()).toEqual([]);
  });
});
