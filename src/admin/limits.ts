/**
 * What one caller of the admin API can take from the daemon, as one table: each limit with its
 * reason and what happens at it. Whoever opens the socket is the daemon's own user or root; a script
 * of theirs may still go wrong, and the daemon answers others meanwhile.
 */
export const ADMIN_LIMITS = {
  /** An export file of 160 KiB in base64 and what stands around it. Above: `USAGE`, the rest unread. */
  bodyBytesMax: 256 * 1024,
  /** Our client sends 150 bytes; a query names one trust domain. Above: `USAGE` (431), closed. */
  headerBytesMax: 8 * 1024,
  /** A request is small and its sender is on this machine. A slower one: `USAGE` (408), closed. */
  requestDeadlineMs: 10_000,
  /**
   * Bodies of all of them take 64 MiB. Above: the oldest that has not sent its whole request is
   * closed for the new one, and the new one itself when all are being answered.
   */
  connectionsMax: 256,
  /** The queue takes one at a time, and each waits for SPIRE. Above: `BUSY`. */
  changesMax: 16,
  /** Our client waits as long for all of an answer. Who has not read it by then: closed. */
  replyDeadlineMs: 10_000,
  /** Of answers that nobody reads; as much as our client reads of one. Above: `BUSY`. */
  unreadBytesMax: 64 * 1024 * 1024,
  /** People and scripts of one machine. Above: `BUSY`. */
  watchersMax: 16,
  /** A thousand events; ten minutes of a busy mesh. Above: the watcher is dropped, with a last line. */
  watchBufferBytesMax: 256 * 1024,
  /** For a dropped watcher to read what it was sent. Then: closed. */
  lastWordsMs: 5_000,
} as const;

export type AdminLimits = { readonly [Name in keyof typeof ADMIN_LIMITS]: number };
