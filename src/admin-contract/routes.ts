/**
 * The admin API as data: what the server serves and what the client calls. Reads are `GET` with the
 * request as query, changes are `POST` with the request as JSON. Paths are the command's words.
 */
import { z } from "zod";
import {
  BundleDocument,
  BundleDocumentRequest,
  BundleEntry,
  BundleListRequest,
  PinReply,
  PinRequest,
} from "./bundle.ts";
import {
  ExportPage,
  ExportPageRequest,
  ExportReply,
  ForgetReply,
  ForgetRequest,
  ImportOutcome,
  ImportRequest,
} from "./exchange.ts";
import {
  BundleDiff,
  DiffRequest,
  HistoryEntry,
  HistoryRequest,
  ReleaseReply,
  ReleaseRequest,
} from "./history.ts";
import {
  AddNodeRequest,
  AdoptReply,
  AdoptRequest,
  NewLineageRequest,
  NodeEntry,
  OrderReply,
  RemoveNodeRequest,
  ResumeReply,
  ResumeRequest,
} from "./own.ts";
import { Peer } from "./peer.ts";
import {
  CommitRequest,
  PrepareReply,
  PrepareRequest,
  RecoverRequest,
  RecoveryStatus,
} from "./recovery.ts";
import { Health, Status } from "./status.ts";

export interface Route {
  readonly method: "GET" | "POST";
  readonly path: `/v1/${string}`;
  readonly request: z.ZodObject;
  readonly reply: z.ZodType;
  /** How long the client waits for the whole answer. */
  readonly deadlineMs: number;
}

/**
 * Answered from memory: 100 ms at 3,000 trust domains; the rest is room for a busy machine. Then the
 * client has given up.
 */
const READ_DEADLINE_MS = 10_000;
/**
 * A change mints, signs, stores and calls SPIRE several times, with 5 s for each call. Then the
 * client has given up, and the change may be made all the same.
 */
const CHANGE_DEADLINE_MS = 60_000;
/**
 * Two lists of SPIRE with 15 s for each, behind a reading under way that may take as long. Then the
 * client has given up.
 */
const ROWS_DEADLINE_MS = 75_000;

const Nothing = z.strictObject({});

export const ROUTES = {
  status: {
    method: "GET",
    path: "/v1/status",
    request: Nothing,
    reply: Status,
    deadlineMs: READ_DEADLINE_MS,
  },
  /** The status with rows that were read after the call. */
  verify: {
    method: "GET",
    path: "/v1/verify",
    request: Nothing,
    reply: Status,
    deadlineMs: ROWS_DEADLINE_MS,
  },
  healthcheck: {
    method: "GET",
    path: "/v1/healthcheck",
    request: Nothing,
    reply: Health,
    deadlineMs: READ_DEADLINE_MS,
  },
  bundles: {
    method: "GET",
    path: "/v1/bundles",
    request: BundleListRequest,
    reply: z.array(BundleEntry),
    deadlineMs: READ_DEADLINE_MS,
  },
  bundleDocument: {
    method: "GET",
    path: "/v1/bundles/show",
    request: BundleDocumentRequest,
    reply: BundleDocument,
    deadlineMs: READ_DEADLINE_MS,
  },
  peers: {
    method: "GET",
    path: "/v1/peers",
    request: Nothing,
    reply: z.array(Peer),
    deadlineMs: READ_DEADLINE_MS,
  },
  /** A change: the first export makes the genesis record. */
  export: {
    method: "POST",
    path: "/v1/export",
    request: Nothing,
    reply: ExportReply,
    deadlineMs: CHANGE_DEADLINE_MS,
  },
  import: {
    method: "POST",
    path: "/v1/import",
    request: ImportRequest,
    reply: ImportOutcome,
    deadlineMs: CHANGE_DEADLINE_MS,
  },
  forget: {
    method: "POST",
    path: "/v1/forget",
    request: ForgetRequest,
    reply: ForgetReply,
    deadlineMs: CHANGE_DEADLINE_MS,
  },
  pin: {
    method: "POST",
    path: "/v1/bundles/pin",
    request: PinRequest,
    reply: PinReply,
    deadlineMs: CHANGE_DEADLINE_MS,
  },
  exportPage: {
    method: "GET",
    path: "/v1/export/all",
    request: ExportPageRequest,
    reply: ExportPage,
    deadlineMs: READ_DEADLINE_MS,
  },
  history: {
    method: "GET",
    path: "/v1/bundles/history",
    request: HistoryRequest,
    reply: z.array(HistoryEntry),
    deadlineMs: READ_DEADLINE_MS,
  },
  diff: {
    method: "GET",
    path: "/v1/bundles/diff",
    request: DiffRequest,
    reply: BundleDiff,
    deadlineMs: READ_DEADLINE_MS,
  },
  release: {
    method: "POST",
    path: "/v1/release",
    request: ReleaseRequest,
    reply: ReleaseReply,
    deadlineMs: CHANGE_DEADLINE_MS,
  },
  confirmRestore: {
    method: "POST",
    path: "/v1/own/confirm-restore",
    request: Nothing,
    reply: OrderReply,
    deadlineMs: CHANGE_DEADLINE_MS,
  },
  newLineage: {
    method: "POST",
    path: "/v1/own/new-lineage",
    request: NewLineageRequest,
    reply: OrderReply,
    deadlineMs: CHANGE_DEADLINE_MS,
  },
  adopt: {
    method: "POST",
    path: "/v1/own/adopt",
    request: AdoptRequest,
    reply: AdoptReply,
    deadlineMs: CHANGE_DEADLINE_MS,
  },
  resume: {
    method: "POST",
    path: "/v1/own/resume",
    request: ResumeRequest,
    reply: ResumeReply,
    deadlineMs: CHANGE_DEADLINE_MS,
  },
  nodes: {
    method: "GET",
    path: "/v1/nodes",
    request: Nothing,
    reply: z.array(NodeEntry),
    deadlineMs: READ_DEADLINE_MS,
  },
  addNode: {
    method: "POST",
    path: "/v1/nodes/add",
    request: AddNodeRequest,
    reply: OrderReply,
    deadlineMs: CHANGE_DEADLINE_MS,
  },
  removeNode: {
    method: "POST",
    path: "/v1/nodes/remove",
    request: RemoveNodeRequest,
    reply: OrderReply,
    deadlineMs: CHANGE_DEADLINE_MS,
  },
  recoveryStatus: {
    method: "GET",
    path: "/v1/recovery/status",
    request: Nothing,
    reply: RecoveryStatus,
    deadlineMs: READ_DEADLINE_MS,
  },
  commitRecovery: {
    method: "POST",
    path: "/v1/recovery/commit",
    request: CommitRequest,
    reply: OrderReply,
    deadlineMs: CHANGE_DEADLINE_MS,
  },
  /** Changes nothing, and takes a record with it, so it is posted. */
  prepareRecovery: {
    method: "POST",
    path: "/v1/recovery/request",
    request: PrepareRequest,
    reply: PrepareReply,
    deadlineMs: CHANGE_DEADLINE_MS,
  },
  recover: {
    method: "POST",
    path: "/v1/recover",
    request: RecoverRequest,
    reply: OrderReply,
    deadlineMs: CHANGE_DEADLINE_MS,
  },
} as const satisfies Record<string, Route>;

/** Newline-delimited `WatchEvent`s until one side ends it; a last line may be an `ErrorReply`. */
export const WATCH_PATH = "/v1/watch";

export type RouteName = keyof typeof ROUTES;
/** What a caller writes: members with a default may be left out. */
export type RequestOf<Name extends RouteName> = z.input<(typeof ROUTES)[Name]["request"]>;
export type ReplyOf<Name extends RouteName> = z.output<(typeof ROUTES)[Name]["reply"]>;
