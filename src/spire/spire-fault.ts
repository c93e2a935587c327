/**
 * What it means when a call to SPIRE Server fails: the server is away, and the next call may succeed,
 * or it answered no. Which code is which was measured on a real server that was stopped, killed,
 * cut off from its datastore and restarted.
 */
import { lstat } from "node:fs/promises";
import { Fault } from "../fault.ts";
import { Code, ConnectError } from "../spire-api/services.ts";

/**
 * Codes of a server that is away: stream closed, connection reset, no socket or an unreachable
 * datastore, nobody listening; and no answer within the deadline.
 */
const AWAY = new Set<number>([
  Code.Canceled,
  Code.Aborted,
  Code.Internal,
  Code.Unavailable,
  Code.DeadlineExceeded,
]);

export function meansAway(code: number): boolean {
  return AWAY.has(code);
}

/**
 * Whether the connection itself may be what failed. A server that hangs keeps it open, and one that
 * has had enough of it resets every later call on it, which connect shows as `Internal` whatever
 * HTTP/2's reason was, or as `ResourceExhausted` (measured).
 */
export function spoilsConnection(error: unknown): boolean {
  const { code } = ConnectError.from(error);
  return meansAway(code) || code === Code.ResourceExhausted;
}

/** Our guess at what SPIRE has to say of one failure. Above: cut off. */
const SAID_LENGTH_MAX = 512;

/** What SPIRE says of a failure, which may be as long as an answer. */
export function quoted(text: string): string {
  return text.length > SAID_LENGTH_MAX ? `${text.slice(0, SAID_LENGTH_MAX)}…` : text;
}

/** The fault of one failed call. `call` is the method's name, for people. */
export async function spireFault(error: unknown, call: string, socketPath: string): Promise<Fault> {
  const { code, rawMessage, cause } = ConnectError.from(error);
  const reason = quoted(rawMessage);
  const saysMore = cause instanceof Error && cause.message !== rawMessage;
  const errno = errorCodeOf(cause);
  const options = {
    cause: saysMore ? cause : undefined, // The log shows causes: what is said here is said once.
    details: { socket_path: socketPath, call, status: code, ...(errno && { errno }) },
  };
  if (code === Code.Unimplemented) {
    const advice =
      "Check that `spire.socket_path` is the API socket of SPIRE Server, not of the agent.";
    return new Fault("SPIRE_REFUSED", `${socketPath} does not offer ${call}`, {
      ...options,
      advice,
    });
  }
  if (code === Code.ResourceExhausted) {
    const advice =
      "See `spire-server bundle show` and `spire-server bundle list`, and delete what nobody needs.";
    const message = `${call} is above a limit: ${reason}`;
    return new Fault("SPIRE_REFUSED", message, { ...options, advice });
  }
  if (!meansAway(code)) {
    return new Fault("SPIRE_REFUSED", `SPIRE Server refused ${call}: ${reason}`, options);
  }
  if (code === Code.DeadlineExceeded) {
    return new Fault("SPIRE_UNREACHABLE", `SPIRE Server did not answer ${call} in time`, options);
  }
  switch (errno) {
    case "ENOENT":
    case "ENOTDIR":
      return new Fault("SPIRE_UNREACHABLE", `there is no socket at ${socketPath}`, options);
    case "EINVAL":
      return new Fault("SPIRE_UNREACHABLE", `no socket has so long a path: ${socketPath}`, options);
    case "EACCES":
    case "EPERM":
      return new Fault("SPIRE_UNREACHABLE", `no permission to open ${socketPath}`, {
        ...options,
        advice:
          "Add the daemon's user to the group of SPIRE Server's socket and its directory, and start it again.",
      });
    case "ECONNREFUSED":
      return new Fault("SPIRE_UNREACHABLE", await whyRefused(socketPath), options);
    default:
      return new Fault("SPIRE_UNREACHABLE", `SPIRE Server failed in ${call}: ${reason}`, options);
  }
}

/** What a call to SPIRE Server came to: its fault as a value. Any other error is a bug and is thrown. */
export async function orFault<Value>(call: Promise<Value>): Promise<Value | Fault> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

/** Linux refuses a connection to a plain file and to a socket without a listener alike. */
async function whyRefused(socketPath: string): Promise<string> {
  const isSocket = await lstat(socketPath).then(
    (stats) => stats.isSocket(),
    () => true,
  );
  return isSocket ? `nobody listens on ${socketPath}` : `${socketPath} is not a socket`;
}

function errorCodeOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error && "code" in cause)) return undefined;
  return typeof cause.code === "string" ? cause.code : undefined;
}
