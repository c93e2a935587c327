/**
 * Passphrases: typed on a terminal that shows nothing, or from a private file or stdin for scripts.
 * Never from the command line or the environment, which other processes can read.
 */
import { type Interface, createInterface } from "node:readline";
import { Writable } from "node:stream";
import { Fault } from "../fault.ts";
import { passphraseProblem } from "../keys/recovery-key.ts";
import { readPrivateFile } from "../private-files/private-file.ts";
import { printable } from "../printable.ts";
import { note } from "./output.ts";

/** One passphrase for each of five keys, with room to spare. Above: refused, PASSPHRASE_UNFIT. */
const FILE_BYTES_MAX = 4 * 1024;
/** How often a person may mistype one. Above: refused, PASSPHRASE_UNFIT or PASSPHRASE_WRONG. */
export const ATTEMPTS_MAX = 3;
/** As a file's name: stdin, so that a password manager can speak without a disk. */
const STREAM = "-";
const ADVICE = "Run it on a terminal, or name a file with -passphraseFile, or `-` for stdin.";

/**
 * A terminal whose keys are read and not shown. Node's readline does the editing; with an output of
 * its own that goes nowhere there is nothing that could be shown, and in raw mode the terminal shows
 * nothing by itself, between two questions as well.
 */
export class PassphraseTerminal {
  readonly #lines: AsyncIterator<string>;
  readonly #readline: Interface;

  /** @throws {Fault} `USAGE` when stdin is no terminal. */
  constructor() {
    if (!process.stdin.isTTY)
      throw new Fault("USAGE", "A passphrase is needed.", { advice: ADVICE });
    const output = new Writable({ write: (_chunk, _encoding, done) => done() });
    const input = process.stdin;
    this.#readline = createInterface({ input, output, terminal: true, historySize: 0 });
    this.#lines = this.#readline[Symbol.asyncIterator]();
  }

  /** @throws {Fault} `USAGE` at Ctrl-C or Ctrl-D. */
  async ask(question: string): Promise<string> {
    process.stderr.write(printable(question));
    const { value, done } = await this.#lines.next();
    process.stderr.write("\n");
    if (done === true) throw new Fault("USAGE", "No passphrase was typed.", { advice: ADVICE });
    return value;
  }

  close(): void {
    this.#readline.close();
  }
}

/**
 * The lines of a file that is this user's alone, or of stdin.
 *
 * @throws {Fault} `KEY_EXPOSED` when others may read the file; `DATA_INVALID` when it cannot be read;
 *   `PASSPHRASE_UNFIT` when it is empty or too long. None says anything of what stands in it.
 */
export async function readPassphrases(path: string): Promise<readonly string[]> {
  const text = path === STREAM ? await readStdin() : await readFile(path);
  return text.replace(/\r?\n$/, "").split(/\r?\n/);
}

/**
 * New passphrases from a file: one for all keys, or one for each.
 * @throws {Fault} `PASSPHRASE_UNFIT`, and as `readPassphrases` does.
 */
export async function readNewPassphrases(path: string, count: number): Promise<readonly string[]> {
  const lines = await readPassphrases(path);
  if (lines.length !== 1 && lines.length !== count) {
    const problem = `${path} has ${lines.length} lines, neither one for all keys nor one for each of ${count}`;
    throw new Fault("PASSPHRASE_UNFIT", problem, { advice: "Write one passphrase on each line." });
  }
  for (const [index, line] of lines.entries()) {
    const problem = passphraseProblem(line);
    if (problem !== undefined) {
      throw new Fault("PASSPHRASE_UNFIT", `${path}, line ${index + 1}: ${problem}`);
    }
  }
  return Array.from({ length: count }, (_, index) => lines[index] ?? lines[0] ?? "");
}

/**
 * New passphrases from the terminal, each twice: every key's holder may be there to type their own.
 * @throws {Fault} `PASSPHRASE_UNFIT`, `USAGE`.
 */
export async function askNewPassphrases(count: number): Promise<readonly string[]> {
  const terminal = new PassphraseTerminal();
  try {
    note(
      `A passphrase for each of the ${count} keys, twice; its holder types it. Nothing is shown.`,
    );
    const passphrases: string[] = [];
    for (let number = 1; number <= count; number += 1) {
      passphrases.push(await askNewPassphrase(terminal, `key ${number} of ${count}`));
    }
    return passphrases;
  } finally {
    terminal.close();
  }
}

async function askNewPassphrase(terminal: PassphraseTerminal, what: string): Promise<string> {
  let problem: string | undefined;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const passphrase = await terminal.ask(`Passphrase for ${what}: `);
    problem = passphraseProblem(passphrase);
    if (problem === undefined) {
      if ((await terminal.ask("The same again: ")) === passphrase) return passphrase;
      problem = "it was not typed the same twice";
    }
    note(`Not taken: ${problem}.`);
  }
  throw new Fault("PASSPHRASE_UNFIT", `The passphrase for ${what}: ${problem}`);
}

async function readFile(path: string): Promise<string> {
  const file = await readPrivateFile(path, FILE_BYTES_MAX).catch((cause: unknown) => {
    throw new Fault("DATA_INVALID", `${path} cannot be read`, { advice: ADVICE, cause });
  });
  switch (file.kind) {
    case "read":
      return file.text;
    case "missing":
      throw new Fault("DATA_INVALID", `${path} is not there`, { advice: ADVICE });
    case "exposed":
      throw new Fault("KEY_EXPOSED", `${path}: ${file.problem}`, {
        advice: `\`chmod 600 ${path}\`; if somebody else may have read it, take another passphrase.`,
      });
    case "damaged":
      throw new Fault("PASSPHRASE_UNFIT", `${path}: ${file.problem}`);
  }
}

async function readStdin(): Promise<string> {
  if (process.stdin.isTTY) {
    throw new Fault("USAGE", "On a terminal a passphrase is asked for without -passphraseFile.");
  }
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    chunks.push(Buffer.from(chunk));
    length += chunk.length;
    if (length > FILE_BYTES_MAX) {
      throw new Fault("PASSPHRASE_UNFIT", `stdin has more than ${FILE_BYTES_MAX} bytes`);
    }
  }
  if (length === 0) throw new Fault("PASSPHRASE_UNFIT", "stdin is empty");
  return Buffer.concat(chunks).toString("utf8");
}
