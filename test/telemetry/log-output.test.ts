/** The log of a real process whose stderr takes nothing for a while: nobody reads, or the disk is full. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { temporaryDirectory } from "../store/temporary-directory.ts";
import { HAS_TERMINALS, heldUpTerminal } from "./held-up-terminal.ts";
import { unreadPipe } from "./unread-pipe.ts";

const CHATTER = fileURLToPath(new URL("chatter.ts", import.meta.url));
/** Above what a pipe and the daemon hold together: 64 KiB and 256 KiB. */
const TOO_MANY = 400;
/** Several times the pause between two tries to write what is kept. */
const TRIES_MS = 500;
/** For what takes milliseconds, on a busy machine. */
const SOON = { timeout: 20_000, interval: 20 };

interface Chatter {
  readonly child: ChildProcess;
  /** Resolves when it has logged so many lines more. */
  say(count: number): Promise<void>;
  /** Resolves with its exit code when it has ended by itself. */
  end(): Promise<number | null>;
}

/** Starts it with this file descriptor as its stderr, which is closed here. */
function chatterInto(stderrFd: number, limit = "unlimited"): Chatter {
  const command = ["-c", `ulimit -S -f ${limit}; exec "$@"`, "sh", process.execPath, CHATTER];
  const child = spawn("/bin/sh", command, { stdio: ["pipe", "pipe", stderrFd] });
  closeSync(stderrFd);
  const exit = once(child, "exit");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exit;
  });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error("the chatter has no pipes");
  const answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return {
    child,
    say: async (count) => {
      stdin.write(`${count}\n`);
      expect((await answers.next()).done).not.toBe(true);
    },
    end: async () => {
      stdin.end();
      const [code] = await exit;
      return code as number | null;
    },
  };
}

interface Line {
  readonly level: string;
  readonly number?: number;
  readonly lines?: number;
}

/** The lines of a log, each whole; what follows the last line break must be nothing. */
function linesOf(log: string): readonly Line[] {
  expect(log.endsWith("\n")).toBe(true);
  return log
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

/** All lines in order; where some are missing, one line at that place says how many. */
function expectOneGap(log: string, last: number): void {
  let number = 0;
  let lost = 0;
  for (const line of linesOf(log)) {
    if (line.lines === undefined) expect(line.number).toBe(number + 1);
    else {
      expect(line).toMatchObject({ level: "error", msg: "Log lines were lost" });
      lost += 1;
    }
    number += line.lines ?? 1;
  }
  expect(number).toBe(last);
  expect(lost).toBe(1);
}

describe("a log that nobody reads", () => {
  test("stops nothing, keeps 256 KiB, and counts what is lost", async () => {
    const { writeFd, read } = await unreadPipe();
    const chatter = chatterInto(writeFd);
    await chatter.say(TOO_MANY);
    await chatter.say(TOO_MANY); // It still answers.
    let log = "";
    read().on("data", (chunk: Buffer) => void (log += chunk.toString()));
    await vi.waitFor(() => expect(log).toContain("lost"), SOON);
    await chatter.say(1);
    expect(await chatter.end()).toBe(0);
    await vi.waitFor(() => expect(log).toContain(`"number":${2 * TOO_MANY + 1},`), SOON);
    expectOneGap(log, 2 * TOO_MANY + 1);
    expect(log.length).toBeGreaterThan(256 * 1024);
  });

  test("counts what is lost at the place where it was lost, however slowly it is read", async () => {
    const { writeFd, read } = await unreadPipe();
    const chatter = chatterInto(writeFd);
    await chatter.say(TOO_MANY);
    let log = "";
    const reader = read().on("data", (chunk: Buffer) => void (log += chunk.toString()));
    await once(reader, "data");
    reader.pause(); // What it has read makes room for lines that come after the lost ones.
    let last = TOO_MANY + 1;
    for (const endMs = performance.now() + TRIES_MS; performance.now() < endMs; last += 1) {
      await chatter.say(1);
    }
    reader.resume();
    await vi.waitFor(() => expect(log).toContain("lost"), SOON);
    await chatter.say(1);
    await vi.waitFor(() => expect(log).toContain(`"number":${last},`), SOON);
    expectOneGap(log, last);
  });

  test("loses nothing when it is read again in time", async () => {
    const { writeFd, read } = await unreadPipe();
    const chatter = chatterInto(writeFd);
    await chatter.say(200);
    const log = text(read());
    await chatter.say(100);
    expect(await chatter.end()).toBe(0);
    expect(linesOf(await log).map(({ number }) => number)).toEqual(
      Array.from({ length: 300 }, (_, index) => index + 1),
    );
  });

  test("is waited for at a stop, so that last words come out", async () => {
    const { writeFd, read } = await unreadPipe();
    const chatter = chatterInto(writeFd);
    await chatter.say(200);
    const ended = chatter.end();
    const log = text(read());
    expect(await ended).toBe(0);
    expect(linesOf(await log)).toHaveLength(200);
  });

  test("is not waited for without end", async () => {
    const { writeFd } = await unreadPipe();
    const chatter = chatterInto(writeFd);
    await chatter.say(TOO_MANY);
    expect(await chatter.end()).toBe(0);
  });
});

// Skipped: a pseudo-terminal needs script(1) of util-linux.
describe.skipIf(!HAS_TERMINALS)("a log on a terminal that is held up", () => {
  test("stops nothing, and goes on in order when the terminal does", async () => {
    const { writeFd, read } = await heldUpTerminal();
    const chatter = chatterInto(writeFd);
    await chatter.say(TOO_MANY);
    await chatter.say(TOO_MANY); // It still answers.
    let log = "";
    read((text) => void (log += text));
    await vi.waitFor(() => expect(log).toContain("lost"), SOON);
    await chatter.say(1);
    expect(await chatter.end()).toBe(0);
    await vi.waitFor(() => expect(log).toContain(`"number":${2 * TOO_MANY + 1},`), SOON);
    expectOneGap(log, 2 * TOO_MANY + 1);
  });

  test("is not waited for without end", async () => {
    const { writeFd } = await heldUpTerminal();
    const chatter = chatterInto(writeFd);
    await chatter.say(TOO_MANY);
    expect(await chatter.end()).toBe(0);
  });
});

test("a log in a file keeps its lines when somebody else writes there by the same descriptor", async () => {
  const path = join(await temporaryDirectory(), "log");
  const fd = openSync(path, "w");
  const command = ["-c", `"$@"; echo '{"level":"fatal"}' >&2`, "sh", process.execPath, CHATTER];
  const child = spawn("/bin/sh", command, { stdio: ["pipe", "ignore", fd] });
  closeSync(fd);
  child.stdin?.end("2\n");
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(linesOf(readFileSync(path, "utf8")).map(({ level }) => level)).toEqual([
    "info",
    "info",
    "fatal",
  ]);
});

describe("a log that cannot be written", () => {
  test("stops nothing, and goes on when there is room, with a count of what is lost", async () => {
    const path = join(await temporaryDirectory(), "log");
    const chatter = chatterInto(openSync(path, "a"), "40"); // Blocks of 512 bytes: 20 KiB.
    await chatter.say(TOO_MANY);
    await chatter.say(TOO_MANY);
    execFileSync("prlimit", ["--pid", `${chatter.child.pid}`, "--fsize=unlimited:"]);
    const log = (): string => readFileSync(path, "utf8");
    await vi.waitFor(() => expect(log()).toContain("lost"), SOON);
    await chatter.say(1);
    expect(await chatter.end()).toBe(0);
    expectOneGap(log(), 2 * TOO_MANY + 1);
  });

  test("may be a full device for good", async () => {
    const chatter = chatterInto(openSync("/dev/full", "w"));
    await chatter.say(TOO_MANY);
    expect(await chatter.end()).toBe(0);
  });

  test("is read by the next reader of a pipe whose reader has gone", async () => {
    const { writeFd, read } = await unreadPipe();
    const chatter = chatterInto(writeFd);
    await chatter.say(1);
    const reader = read();
    await once(reader, "data");
    reader.destroy();
    await once(reader, "close");
    await chatter.say(1);
    const log = text(read());
    expect(await chatter.end()).toBe(0);
    expect(linesOf(await log).map(({ number }) => number)).toEqual([2]);
  });
});
