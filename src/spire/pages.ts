/**
 * A list of SPIRE Server's, page by page. It may come from a datastore that anybody writes to, so it
 * is bounded in rows, bytes and time, and of each page only what is needed is kept before the next.
 */
import {
  SPIRE_LIST_BYTES_MAX,
  SPIRE_LIST_DEADLINE_MS,
  SPIRE_LIST_PAGES_MAX,
  SPIRE_PAGE_ROWS,
} from "../core/std/limits.ts";
import { Fault } from "../fault.ts";

export interface Page<Kept> {
  readonly kept: readonly Kept[];
  /** How many came, whether kept or not. */
  readonly rows: number;
  /** What the page took before it was reduced. */
  readonly bytes: number;
  readonly nextPageToken: string;
}

export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/**
 * Reads until the token is empty: a page may be empty and have one (read in SPIRE).
 *
 * @param deadlineMs No page is asked for later; the last one has the deadline of its call besides.
 */
export async function allPages<Kept>(
  readPage: (page: PageRequest) => Promise<Page<Kept>>,
  deadlineMs: number = SPIRE_LIST_DEADLINE_MS,
): Promise<Kept[]> {
  const endsMs = performance.now() + deadlineMs;
  const all: Kept[] = [];
  let bytesLeft = SPIRE_LIST_BYTES_MAX;
  let pageToken = "";
  for (let pages = 0; pages < SPIRE_LIST_PAGES_MAX; pages += 1) {
    if (performance.now() > endsMs) {
      const message = `SPIRE Server's list did not end within ${deadlineMs / 1_000} s`;
      throw new Fault("SPIRE_UNREACHABLE", message);
    }
    const page = await readPage({ pageSize: SPIRE_PAGE_ROWS, pageToken });
    const { kept, rows, bytes, nextPageToken } = page;
    if (rows > SPIRE_PAGE_ROWS) {
      const message = `SPIRE Server answered ${rows} rows where ${SPIRE_PAGE_ROWS} were asked for`;
      throw new Fault("SPIRE_REFUSED", message);
    }
    for (const each of kept) all.push(each);
    if (nextPageToken === "") return all;
    pageToken = nextPageToken;
    bytesLeft -= bytes;
    if (bytesLeft < 0) throw tooLong(`${SPIRE_LIST_BYTES_MAX / 1_024 ** 2} MiB`);
  }
  throw tooLong(`${SPIRE_LIST_PAGES_MAX} pages`);
}

function tooLong(most: string): Fault {
  return new Fault("SPIRE_REFUSED", `SPIRE Server's list does not end after ${most}`, {
    advice:
      "See `spire-server bundle list` and `spire-server federation list`, and delete what nobody needs.",
  });
}
