/** What this room tells the log; the daemon decides where it goes. */
export type PeerNetworkLog = (
  level: "debug" | "info" | "warn" | "error",
  message: string,
  /** Peer ids, addresses, counts. Never bytes that a peer chose. */
  fields?: Readonly<Record<string, string | number>>,
) => void;
