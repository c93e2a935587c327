/** `entry create|show|delete`. */
import {
  Code,
  create,
  type Entry,
  EntrySchema,
  EntryService,
  MatchBehavior,
} from "../../../src/spire-api/services.ts";
import type { SpireApi } from "../../../src/spire-api/client.ts";
import { readOptions } from "../arguments.ts";
import { formatSpiffeId, readSpiffeId } from "../spiffe-id.ts";
import { CLIENT_OPTIONS, withApi } from "./client.ts";
import { CommandError, isJson, print, printJson } from "./output.ts";

const CREATE_OPTIONS = {
  ...CLIENT_OPTIONS,
  entryID: "text",
  spiffeID: "text",
  parentID: "text",
  selector: "list",
  federatesWith: "list",
  x509SVIDTTL: "text",
  hint: "text",
  dns: "list",
  admin: "flag",
  downstream: "flag",
} as const;

const LABEL_WIDTH = 24;

export async function entryCreate(args: readonly string[]): Promise<void> {
  const options = readOptions(args, CREATE_OPTIONS);
  const { spiffeID, parentID, selector = [] } = options;
  if (selector.length === 0) throw new CommandError("at least one selector is required");
  if (parentID === undefined) {
    throw new CommandError("a parent ID is required if the node flag is not set");
  }
  if (spiffeID === undefined) throw new CommandError("a SPIFFE ID is required");
  const entry = create(EntrySchema, {
    id: options.entryID ?? "",
    spiffeId: readSpiffeId(spiffeID),
    parentId: readSpiffeId(parentID),
    selectors: selector.map(readSelector),
    federatesWith: [...(options.federatesWith ?? [])],
    x509SvidTtl: Number(options.x509SVIDTTL ?? 0),
    hint: options.hint ?? "",
    dnsNames: [...(options.dns ?? [])],
    admin: options.admin ?? false,
    downstream: options.downstream ?? false,
  });
  await withApi(options, async (api) => {
    const response = await api.entry.batchCreateEntry({ entries: [entry] });
    const [result] = response.results;
    // A refused entry is shown as it was asked for.
    if (result !== undefined) result.entry ??= entry;
    if (isJson(options.output)) {
      printJson(EntryService.method.batchCreateEntry.output, response);
      return;
    }
    const status = result?.status ?? { code: Code.Unknown, message: "no result" };
    if (status.code !== 0) {
      const problem = `(code: ${Code[status.code]}, msg: ${JSON.stringify(status.message)})`;
      print(`Failed to create the following entry ${problem}:\n${formatEntry(entry)}\n`);
      throw new CommandError("failed to create one or more entries");
    }
    print(`${formatEntry(result?.entry ?? entry)}\n`);
  });
}

export async function entryShow(args: readonly string[]): Promise<void> {
  const options = readOptions(args, {
    ...CLIENT_OPTIONS,
    spiffeID: "text",
    parentID: "text",
    federatesWith: "list",
  });
  const filter = {
    ...(options.spiffeID === undefined ? {} : { bySpiffeId: readSpiffeId(options.spiffeID) }),
    ...(options.parentID === undefined ? {} : { byParentId: readSpiffeId(options.parentID) }),
    ...(options.federatesWith === undefined
      ? {}
      : {
          byFederatesWith: {
            trustDomains: [...options.federatesWith],
            match: MatchBehavior.MATCH_SUPERSET,
          },
        }),
  };
  const show = async (api: SpireApi): Promise<void> => {
    const list = await api.entry.listEntries({ filter });
    if (isJson(options.output)) {
      printJson(EntryService.method.listEntries.output, list);
      return;
    }
    const { length } = list.entries;
    print(`Found ${length} ${length === 1 ? "entry" : "entries"}\n`);
    for (const entry of list.entries) print(`${formatEntry(entry)}\n`);
  };
  await withApi(options, show, "error fetching entries");
}

export async function entryDelete(args: readonly string[]): Promise<void> {
  const options = readOptions(args, { ...CLIENT_OPTIONS, entryID: "text" });
  const { entryID } = options;
  if (entryID === undefined) throw new CommandError("you must provide an Entry ID");
  await withApi(options, async (api) => {
    const response = await api.entry.batchDeleteEntry({ ids: [entryID] });
    if (isJson(options.output)) {
      printJson(EntryService.method.batchDeleteEntry.output, response);
      return;
    }
    const status = response.results[0]?.status;
    if (status?.code !== 0) {
      print(`Failed to delete entry with ID ${entryID} (${status?.message ?? "no result"})\n`);
      throw new CommandError("failed to delete one or more entries");
    }
    print(`Deleted entry with ID: ${entryID}\n`);
  });
}

function readSelector(text: string): { readonly type: string; readonly value: string } {
  const colon = text.indexOf(":");
  if (colon === -1) throw new CommandError(`selector "${text}" must be formatted as type:value`);
  return { type: text.slice(0, colon), value: text.slice(colon + 1) };
}

function formatEntry(entry: Entry): string {
  const lines: readonly (readonly [string, string])[] = [
    ["Entry ID", entry.id === "" ? "(none)" : entry.id],
    ["SPIFFE ID", formatId(entry.spiffeId)],
    ["Parent ID", formatId(entry.parentId)],
    ["Revision", String(entry.revisionNumber)],
    ...(entry.downstream ? [["Downstream", "true"] as const] : []),
    ["X509-SVID TTL", formatTtl(entry.x509SvidTtl)],
    ["JWT-SVID TTL", formatTtl(entry.jwtSvidTtl)],
    ...entry.selectors.map(({ type, value }) => ["Selector", `${type}:${value}`] as const),
    ...entry.federatesWith.map((name) => ["FederatesWith", name] as const),
    ...entry.dnsNames.map((name) => ["DNS name", name] as const),
    ...(entry.admin ? [["Admin", "true"] as const] : []),
    ...(entry.hint === "" ? [] : [["Hint", entry.hint] as const]),
  ];
  return lines.map(([label, value]) => `${label.padEnd(LABEL_WIDTH)}: ${value}\n`).join("");
}

function formatId(id: Entry["spiffeId"]): string {
  return id === undefined ? "" : formatSpiffeId(id);
}

function formatTtl(seconds: number): string {
  return seconds === 0 ? "default" : String(seconds);
}
