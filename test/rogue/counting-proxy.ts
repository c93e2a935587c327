/** A TCP proxy on loopback that counts what passes, to see what a connection costs each side. */
import { once } from "node:events";
import { type Socket, connect, createServer } from "node:net";

export interface CountingProxy {
  /** The multiaddr to dial in place of the one behind it. */
  readonly address: string;
  /** Bytes to and from the daemon behind it. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** The most bytes out for each byte in, at any moment of the one connection so far. */
  readonly worst: number;
  /** The daemon closed the connection. */
  readonly closed: boolean;
  /** Reads no more of what the daemon sends. */
  stopReading(): void;
  /** Closes its end towards the daemon, keeps what the daemon sends unread, and lets nobody in any more. */
  closeUnread(): void;
  stop(): void;
}

/** @param side Where the daemon is: behind the proxy, or the one that dials it. */
export async function startCountingProxy(
  behind: string,
  side: "behind" | "before" = "behind",
): Promise<CountingProxy> {
  const [, port = "", id = ""] = /\/tcp\/(\d+)\/p2p\/(.*)$/.exec(behind) ?? [];
  const counts = { bytesIn: 0, bytesOut: 0, worst: 0, closed: false };
  const sockets = new Set<Socket>();
  const daemons = new Set<Socket>();
  const server = createServer((accepted) => {
    const dialed = connect(Number(port), "127.0.0.1");
    const both = [accepted, dialed] as const;
    const [client, daemon] = side === "behind" ? both : ([dialed, accepted] as const);
    daemons.add(daemon);
    for (const socket of both) {
      sockets.add(socket);
      socket.setNoDelay();
      socket.on("error", () => {});
      socket.on("close", () => both.forEach((each) => each.destroy()));
    }
    daemon.on("close", () => {
      counts.closed = true;
    });
    client.on("data", (bytes) => {
      counts.bytesIn += bytes.length;
      daemon.write(bytes);
    });
    daemon.on("data", (bytes) => {
      counts.bytesOut += bytes.length;
      counts.worst = Math.max(counts.worst, counts.bytesOut / counts.bytesIn);
      client.write(bytes);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  const own = typeof bound === "object" ? bound?.port : undefined;
  return Object.assign(counts, {
    address: `/ip4/127.0.0.1/tcp/${own}/p2p/${id}`,
    stopReading: () => daemons.forEach((daemon) => daemon.pause()),
    closeUnread: () => {
      server.close(); // Else a daemon that dials is back at once.
      daemons.forEach((daemon) => daemon.pause().end());
    },
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
}
