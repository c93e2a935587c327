/** What the core tells, as lines of the log and as events of `watch`. */
import type { WatchEvent } from "../admin-contract/watch-event.ts";
import { timestamp } from "../admin-contract/scalars.ts";
import type { MeshEvent as WatchedEvent } from "../admin/operations.ts";
import type { MeshEvent } from "../core/mesh/effect.ts";
import type { Logger } from "../telemetry/log.ts";

type Fields = Omit<WatchEvent, "t" | "event">;

/** The event as `watch` shows it. */
export function watchEvent(
  event: MeshEvent,
  peerIdOf: (node: string) => string,
  nowMs: number,
): WatchedEvent {
  const of = (fields: Partial<Fields>): WatchedEvent => ({
    t: timestamp(nowMs),
    event: event.kind,
    trust_domain: null,
    ...fields,
  });
  switch (event.kind) {
    case "record-accepted":
      return of({ trust_domain: event.trustDomain, message: event.detail });
    case "record-refused":
      return of({
        trust_domain: event.trustDomain ?? null,
        code: event.refusal.code,
        message: event.refusal.detail,
      });
    case "bundle-written":
      return of({
        trust_domain: event.trustDomain,
        sequence_number: event.sequenceNumber.toString(),
        ...(event.overwritten && {
          message: `the row was put back: it had been overwritten by ${event.overwritten.by}`,
        }),
      });
    case "bundle-published":
      return of({
        trust_domain: event.trustDomain,
        sequence_number: event.sequenceNumber.toString(),
        record_id: event.recordId,
      });
    case "domain-forgotten":
      return of({ trust_domain: event.trustDomain });
    case "peer-connected":
    case "peer-lost":
      return of({ peer_id: peerIdOf(event.node) });
    case "spire-away":
      return of({ message: event.reason });
    case "spire-back":
      return of({});
    case "finding-raised":
    case "finding-cleared":
      return of({
        trust_domain: event.finding.trustDomain ?? null,
        code: event.finding.code,
        message: event.finding.message,
      });
  }
}

/** One line for each event, in SPIRE's words and field names. */
export function logEvent(log: Logger, event: MeshEvent, peerIdOf: (node: string) => string): void {
  switch (event.kind) {
    case "record-accepted":
      log.info({ trust_domain_id: event.trustDomain, detail: event.detail }, "Record accepted");
      return;
    case "record-refused":
      log.debug(
        {
          trust_domain_id: event.trustDomain,
          code: event.refusal.code,
          detail: event.refusal.detail,
        },
        "Record refused",
      );
      return;
    case "bundle-written": {
      const { overwritten } = event;
      const fields = {
        trust_domain_id: event.trustDomain,
        sequence_number: event.sequenceNumber.toString(),
        x509_authorities_asn1_sha256: event.x509Sha256.join(","),
      };
      if (overwritten === undefined) {
        log.info(fields, "Bundle refreshed");
        return;
      }
      // Agents may have had what was there: said at once, not only when it goes on (CONTESTED).
      const foreign = overwritten.foreignX509Sha256.join(",");
      log.warn(
        { ...fields, found_x509_authorities_asn1_sha256: foreign, overwritten_by: overwritten.by },
        "Bundle was overwritten and is put back",
      );
      return;
    }
    case "bundle-published":
      log.info(
        {
          trust_domain_id: event.trustDomain,
          sequence_number: event.sequenceNumber.toString(),
          record_id: event.recordId,
        },
        "Bundle published",
      );
      return;
    case "domain-forgotten":
      log.info({ trust_domain_id: event.trustDomain }, "Trust domain is no longer federated");
      return;
    case "peer-connected":
      log.info({ peer_id: peerIdOf(event.node) }, "Peer connected");
      return;
    case "peer-lost":
      log.info({ peer_id: peerIdOf(event.node) }, "Peer disconnected");
      return;
    case "spire-away":
      log.warn({ error: event.reason }, "SPIRE Server is away, waiting for it");
      return;
    case "spire-back":
      log.info({}, "SPIRE Server is back");
      return;
    case "finding-raised": {
      const { code, severity, trustDomain, message, next } = event.finding;
      const fields = { code, trust_domain_id: trustDomain, detail: message, next };
      if (severity === "critical") log.error(fields, "Finding raised");
      else log.warn(fields, "Finding raised");
      return;
    }
    case "finding-cleared": {
      const { code, trustDomain } = event.finding;
      log.info({ code, trust_domain_id: trustDomain }, "Finding cleared");
      return;
    }
  }
}
