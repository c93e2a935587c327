/** `spire.api.server.entry.v1.Entry`, as far as entries decide which bundle rows may be deleted. */
import { randomUUID } from "node:crypto";
import type { MessageShape } from "@bufbuild/protobuf";
import type { SpireApiImplementation } from "../../src/spire-api/server.ts";
import {
  Code,
  create,
  type Entry,
  EntrySchema,
  type EntryService,
  MatchBehavior,
  type SPIFFEID,
} from "../../src/spire-api/services.ts";
import { attempt, explain, item, refusal } from "./answers.ts";
import type { ServerParts } from "./server-parts.ts";
import {
  checkMember,
  checkWorkload,
  formatSpiffeId,
  readSpiffeId,
  readTrustDomainName,
  type SpiffeId,
} from "./spiffe-id.ts";

type Filter = NonNullable<MessageShape<typeof EntryService.method.listEntries.input>["filter"]>;

const EVERYTHING = { pageSize: 0, pageToken: "" };

export function entryService(parts: ServerParts): NonNullable<SpireApiImplementation["entry"]> {
  const { datastore, log } = parts;

  function readMember(given: SPIFFEID | undefined): SpiffeId {
    const id = readId(given);
    checkMember(id, parts.trustDomain);
    return id;
  }

  function readWorkload(given: SPIFFEID | undefined): SpiffeId {
    const id = readId(given);
    checkWorkload(id, parts.trustDomain);
    return id;
  }

  function readEntry(given: Entry): Entry {
    const parentId = explain("invalid parent ID", () => readMember(given.parentId));
    const spiffeId = explain("invalid spiffe ID", () => readWorkload(given.spiffeId));
    if (given.selectors.length === 0) throw new Error("selector list is empty");
    return create(EntrySchema, {
      ...fieldsOf(given),
      id: given.id === "" ? randomUUID() : given.id,
      parentId,
      spiffeId,
      selectors: given.selectors
        .map(({ type, value }) => ({ type, value }))
        .sort((left, right) => compare(textOf(left), textOf(right))),
      federatesWith: explain("invalid federated trust domain", () =>
        given.federatesWith.map(readTrustDomainName),
      ),
      createdAt: BigInt(Math.floor(parts.nowMs() / 1_000)),
    });
  }

  function readFilter(filter: Filter | undefined): (entry: Entry) => boolean {
    const {
      bySpiffeId,
      byParentId,
      byFederatesWith,
      byHint = "",
      byDownstream = false,
    } = filter ?? {};
    if (bySpiffeId) malformed("SPIFFE ID", () => readWorkload(bySpiffeId));
    if (byParentId) malformed("parent ID", () => readMember(byParentId));
    const domains = new Set<string>();
    malformed("federates with", () => {
      for (const name of byFederatesWith?.trustDomains ?? [])
        domains.add(readTrustDomainName(name));
    });
    return (entry) =>
      isId(entry.spiffeId, bySpiffeId) &&
      isId(entry.parentId, byParentId) &&
      // The real CLI always sends both: an empty hint and a false are no filter (measured).
      (byHint === "" || entry.hint === byHint) &&
      (!byDownstream || entry.downstream) &&
      (byFederatesWith === undefined ||
        matches(new Set(entry.federatesWith), domains, byFederatesWith.match));
  }

  return {
    countEntries: () => ({ count: datastore.entries(EVERYTHING).rows.length }),

    listEntries({ filter, pageSize, pageToken }) {
      const page = attempt(Code.Internal, "failed to list entries", () =>
        datastore.entries({ pageSize, pageToken }),
      );
      return { entries: page.rows.filter(readFilter(filter)), nextPageToken: page.nextPageToken };
    },

    batchCreateEntry: ({ entries }) => ({
      results: entries.map((given) =>
        item(log, () => {
          const entry = attempt(Code.InvalidArgument, "failed to convert entry", () =>
            readEntry(given),
          );
          const rows = datastore.entries(EVERYTHING).rows;
          if (rows.some((row) => isSimilar(row, entry))) {
            throw refusal(Code.AlreadyExists, "similar entry already exists");
          }
          if (rows.some(({ id }) => id === entry.id)) {
            const problem = "datastore-sql: UNIQUE constraint failed: registered_entries.entry_id";
            throw refusal(Code.AlreadyExists, `failed to create entry: ${problem}`);
          }
          attempt(Code.Internal, "failed to create entry", () => datastore.createEntry(entry));
          return { entry };
        }),
      ),
    }),

    batchDeleteEntry: ({ ids }) => ({
      results: ids.map((id) => ({
        ...item(log, () => {
          if (datastore.deleteEntry(id)) return {};
          throw refusal(Code.NotFound, "entry not found");
        }),
        id,
      })),
    }),
  };
}

function malformed<Value>(what: string, read: () => Value): Value {
  return attempt(Code.InvalidArgument, `malformed ${what} filter`, read);
}

/** What is stored as it comes: a received message spread into another fails when sent (measured). */
function fieldsOf(entry: Entry) {
  const { x509SvidTtl, jwtSvidTtl, admin, downstream, expiresAt, dnsNames, storeSvid, hint } =
    entry;
  return { x509SvidTtl, jwtSvidTtl, admin, downstream, expiresAt, dnsNames, storeSvid, hint };
}

function readId(id: SPIFFEID | undefined): SpiffeId {
  if (id === undefined) throw new Error("request must specify SPIFFE ID");
  return readSpiffeId(formatSpiffeId(id));
}

function isId(id: SPIFFEID | undefined, wanted: SPIFFEID | undefined): boolean {
  return (
    wanted === undefined || (id?.trustDomain === wanted.trustDomain && id.path === wanted.path)
  );
}

/** The same SPIFFE ID, parent and selectors. */
function isSimilar(one: Entry, other: Entry): boolean {
  return (
    isId(one.spiffeId, other.spiffeId) &&
    isId(one.parentId, other.parentId) &&
    one.selectors.map(textOf).join("\n") === other.selectors.map(textOf).join("\n")
  );
}

function matches(
  held: ReadonlySet<string>,
  wanted: ReadonlySet<string>,
  match: MatchBehavior,
): boolean {
  const isSubset = held.size > 0 && [...held].every((name) => wanted.has(name));
  const isSuperset = [...wanted].every((name) => held.has(name));
  switch (match) {
    case MatchBehavior.MATCH_EXACT:
      return isSubset && isSuperset;
    case MatchBehavior.MATCH_SUBSET:
      return isSubset;
    case MatchBehavior.MATCH_SUPERSET:
      return isSuperset;
    case MatchBehavior.MATCH_ANY:
      return [...held].some((name) => wanted.has(name));
  }
}

function textOf({ type, value }: { readonly type: string; readonly value: string }): string {
  return `${type}:${value}`;
}

function compare(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}
