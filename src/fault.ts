/**
 * Failures of our own world: a socket, a disk, a file, a configuration. Thrown, with a code that is
 * stable and counted, advice that says what to do next, and the cause. Caught where it becomes an
 * answer, a log line or a retry; never swallowed. What a peer sent is never a fault but a `Refusal`
 * (core/record/refusal.ts).
 */

/** Exit codes are those of sysexits.h; 1 means that the answer is no. */
export const FAULTS = {
  USAGE: { exitCode: 64, advice: "See `spire-mesh --help`." },
  DATA_INVALID: { exitCode: 65, advice: "Ask the sender for a new file." },
  RECORD_REFUSED: { exitCode: 65, advice: "Ask the publisher for a new export and fingerprint." },
  DAEMON_UNREACHABLE: {
    exitCode: 69,
    advice:
      "Start it with `spire-mesh run -config FILE`, or name it: its file with -config, or its admin socket with -socketPath.",
  },
  DAEMON_FAILED: {
    exitCode: 69,
    advice: "Read the daemon's log; command and daemon must be of the same version.",
  },
  BUSY: { exitCode: 69, advice: "Try again in a moment." },
  SPIRE_UNREACHABLE: {
    exitCode: 69,
    advice: "Check that SPIRE Server runs and that `spire.socket_path` is its API socket.",
  },
  SPIRE_REFUSED: { exitCode: 69, advice: "Read SPIRE Server's own log for the reason." },
  SPIRE_OTHER_TRUST_DOMAIN: {
    exitCode: 78,
    advice:
      "Set `trust_domain` to the one that this SPIRE Server serves, or correct its socket path.",
  },
  ROW_IN_USE: {
    exitCode: 77,
    advice: "Remove the trust domain from the registration entries that federate with it first.",
  },
  ROW_NOT_OURS: {
    exitCode: 77,
    advice: "Import with -replace if this daemon shall keep the row from now on.",
  },
  CANNOT_CREATE: { exitCode: 73, advice: "Check the directory's owner, mode and free space." },
  ALREADY_RUNNING: {
    exitCode: 73,
    advice: "Stop the other daemon, or give this one a data_dir of its own.",
  },
  STORE_DAMAGED: {
    exitCode: 74,
    advice:
      "Keep the directory as it is and restore data_dir from a backup: the daemon does not guess trust.",
  },
  STORE_FULL: { exitCode: 74, advice: "Free space on the disk of data_dir." },
  KEY_EXPOSED: {
    exitCode: 77,
    advice:
      "Find out who could read or write it. Make it a file of the daemon's user with mode 600, or move it away: a new key is a new node.",
  },
  KEY_DAMAGED: {
    exitCode: 74,
    advice:
      "Put a copy of the key back, or move the file away: a new key is a new node, which partners must import again.",
  },
  PASSPHRASE_UNFIT: { exitCode: 65, advice: "Take another passphrase, of five words or more." },
  PASSPHRASE_WRONG: {
    exitCode: 77,
    advice: "Type it again. A key whose passphrase is lost is lost: let other holders sign.",
  },
  RECOVERY_FILE_KIND: { exitCode: 65, advice: "Look which file goes where." },
  RECOVERY_FILE_DAMAGED: {
    exitCode: 65,
    advice: "Copy it anew from where it came, as a file, or type it from the printed form.",
  },
  RECOVERY_OTHER_TRUST_DOMAIN: {
    exitCode: 65,
    advice: "Look which trust domain it is for: nothing of one serves another.",
  },
  RECOVERY_OTHER_EPOCH: {
    exitCode: 65,
    advice: "Make a new request from what is held now, and have it signed.",
  },
  RECOVERY_OTHER_RECORD: {
    exitCode: 65,
    advice: "Have the key's holder sign this request: a signature is good for one record.",
  },
  RECOVERY_KEY_UNKNOWN: {
    exitCode: 65,
    advice:
      "Let another holder sign. It is a key of an earlier set, was spent by an earlier recovery, or was typed wrong.",
  },
  RECOVERY_KEY_KEPT: {
    exitCode: 65,
    advice: "Let another holder sign, or make a request without it: a key that signs is spent.",
  },
  RECOVERY_KEY_TWICE: { exitCode: 65, advice: "Have the holder of another key sign." },
  RECOVERY_COUNT: { exitCode: 65, advice: "Give exactly as many signatures as are asked for." },
  NOT_ALLOWED: { exitCode: 77, advice: "Run the command as the daemon's own user." },
  NOT_FOUND: { exitCode: 1, advice: "See `spire-mesh status` for what is there." },
  NOT_READY: { exitCode: 69, advice: "Wait until `spire-mesh healthcheck` exits 0." },
  NOT_BUILT: { exitCode: 64, advice: "This version does not have it yet; see README.md." },
  CONFIG_INVALID: {
    exitCode: 78,
    advice: "Correct the listed lines, then run `spire-mesh validate -config FILE`.",
  },
} as const satisfies Record<string, { readonly exitCode: number; readonly advice: string }>;

export type FaultCode = keyof typeof FAULTS;

export interface FaultOptions {
  /** Goes to the log as fields, never into the message. */
  readonly details?: Readonly<Record<string, string | number>>;
  /** What to do next, when the code's own advice is too general. */
  readonly advice?: string;
  readonly cause?: unknown;
}

export class Fault extends Error {
  override readonly name = "Fault";
  readonly code: FaultCode;
  readonly advice: string;
  readonly details: Readonly<Record<string, string | number>>;
  /** The message's sentences, each whole, whatever line breaks a name in it may have. */
  readonly problems: readonly string[];

  /** @param message A sentence, or one for each problem, which `message` then has one a line. */
  constructor(code: FaultCode, message: string | readonly string[], options: FaultOptions = {}) {
    const problems = typeof message === "string" ? [message] : message;
    super(problems.join("\n"), { cause: options.cause });
    this.code = code;
    this.problems = problems;
    this.advice = options.advice ?? FAULTS[code].advice;
    this.details = options.details ?? {};
  }

  get exitCode(): number {
    return FAULTS[this.code].exitCode;
  }
}
