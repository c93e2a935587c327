/**
 * What the admin API can make the daemon do: the only way from the socket into it. The daemon
 * implements this; the server in this room checks requests and carries answers, and decides nothing.
 *
 * Reads but `verify`, `history` and `diff` are answered from memory. A change is idempotent by its content and lies on disk when its
 * promise resolves. Both throw a `Fault`, which the caller sees as its code, message and advice.
 */
import type { BundleEntry, BundleFormat, PinReply } from "../admin-contract/bundle.ts";
import type { ExportPage, ForgetReply, ImportOutcome } from "../admin-contract/exchange.ts";
import type { BundleDiff, HistoryEntry, ReleaseReply } from "../admin-contract/history.ts";
import type { Peer } from "../admin-contract/peer.ts";
import type { Health, Status } from "../admin-contract/status.ts";
import type { WatchEvent, WatchEventName } from "../admin-contract/watch-event.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import type { OwnOperations } from "./own-operations.ts";

export interface Operations extends OwnOperations {
  status(): Status;
  /** The status after SPIRE's rows were read once more, for this call: who calls meanwhile shares it. */
  verify(): Promise<Status>;
  healthcheck(): Health;
  /** Every bundle in effect, or the one asked for: one entry, none when nothing is held of it. */
  bundles(trustDomain: TrustDomain | undefined): readonly BundleEntry[];
  /** One bundle as a file. Throws `NOT_FOUND` when nothing is held of it. */
  bundle(trustDomain: TrustDomain, format: BundleFormat): string;
  /** The versions that are kept, lowest first; none when nothing is held of the trust domain. */
  history(trustDomain: TrustDomain): Promise<readonly HistoryEntry[]>;
  /** Between the last two versions, or those of these record ids. Throws `NOT_FOUND`. */
  diff(
    trustDomain: TrustDomain,
    from: string | undefined,
    to: string | undefined,
  ): Promise<BundleDiff>;
  peers(): readonly Peer[];
  /** The own current record as a file; makes the genesis record the first time. */
  export(): Promise<ExportedFile>;
  /** Records that are held of trust domains after this one, by name. */
  exportPage(after: TrustDomain | undefined): ExportPage;
  /**
   * Takes one file in, verified exactly as from the network. A record that does not pass is an
   * outcome `refused`. Throws `DATA_INVALID` for bytes that are no export file, `ROW_NOT_OURS` when
   * SPIRE holds something else for the trust domain and `replace` is false.
   */
  import(order: ImportOrder): Promise<ImportOutcome>;
  /** Deletes the row (RESTRICT: `ROW_IN_USE`) and forgets the partner. Throws `NOT_FOUND`. */
  forget(trustDomain: TrustDomain): Promise<ForgetReply>;
  /** Takes exactly this record as the trust domain's new start. Throws `NOT_FOUND`. */
  pin(trustDomain: TrustDomain, recordId: string): Promise<PinReply>;
  /** What came back in this record, after it was taken back, is meant. Throws `NOT_FOUND`. */
  release(trustDomain: TrustDomain, recordId: string, reason: string): Promise<ReleaseReply>;
  /** Calls back for each event from now on, until the returned function is called. */
  watch(listener: (event: MeshEvent) => void): () => void;
}

export interface ExportedFile {
  readonly trustDomain: TrustDomain;
  /** 64 hex digits each. */
  readonly recordId: string;
  readonly lineage: string;
  readonly content: Uint8Array;
  /** Absolute paths of the daemon's own directories. */
  readonly privateDirectories: readonly string[];
}

export interface ImportOrder {
  /** What the operator calls the file. Only for messages and the audit log: never opened. */
  readonly file: string;
  /** At most 160 KiB. */
  readonly content: Uint8Array;
  /** 64 lower-case hex digits. */
  readonly fingerprint: string | undefined;
  /** Multiaddrs as the operator wrote them: not checked yet. `USAGE` when one cannot be dialed. */
  readonly peers: readonly string[];
  readonly replace: boolean;
}

/** An event that this version tells. */
export interface MeshEvent extends WatchEvent {
  readonly event: WatchEventName;
}
