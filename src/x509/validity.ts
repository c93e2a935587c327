/**
 * Validity, as RFC 5280 (4.1.2.5) writes it and no other way: seconds are there, the zone is Z,
 * UTCTime until the end of 2049 and GeneralizedTime from then on.
 */
import { type DerCursor, DerProblem, TAG } from "./der.ts";

export interface Validity {
  /** Unix time in seconds, both inclusive. */
  readonly notBeforeS: number;
  readonly notAfterS: number;
}

export function readValidity(cursor: DerCursor): Validity {
  return cursor.within(TAG.sequence, (fields) => {
    const notBeforeS = readTime(fields);
    const notAfterS = readTime(fields);
    if (notAfterS < notBeforeS) throw new DerProblem("validity ends before it begins");
    return { notBeforeS, notAfterS };
  });
}

function readTime(cursor: DerCursor): number {
  if (cursor.sees(TAG.utcTime)) {
    const digits = Buffer.from(cursor.take(TAG.utcTime)).toString("latin1");
    return unixSeconds(`${digits >= "50" ? "19" : "20"}${digits}`);
  }
  const digits = Buffer.from(cursor.take(TAG.generalizedTime)).toString("latin1");
  if (digits < "2050") throw new DerProblem("a year before 2050 is not written as UTCTime");
  return unixSeconds(digits);
}

/** `YYYYMMDDHHMMSSZ` of a day and time that exist; leap seconds have no Unix time. */
function unixSeconds(digits: string): number {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits);
  if (parts === null) throw new DerProblem("time is not written in full, with seconds and Z");
  const [year, month, day, hour, minute, second] = parts.slice(1);
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const milliseconds = Date.parse(iso);
  if (Number.isNaN(milliseconds) || new Date(milliseconds).toISOString() !== iso) {
    throw new DerProblem("time does not exist");
  }
  return milliseconds / 1000;
}
