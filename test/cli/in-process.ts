/** The command line in this process: what a command says and how it ends, in milliseconds. */
import { vi } from "vitest";
import { runCommandLine } from "../../src/cli/command-line.ts";

export interface Said {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command against the daemon of this socket. */
export async function said(socketPath: string, ...args: readonly string[]): Promise<Said> {
  const spies = [vi.spyOn(process.stdout, "write"), vi.spyOn(process.stderr, "write")] as const;
  for (const spy of spies) spy.mockReturnValue(true);
  try {
    const exitCode = await runCommandLine([...args, "-socketPath", socketPath]);
    const [stdout = "", stderr = ""] = spies.map(({ mock }) =>
      mock.calls.map(([text]) => String(text)).join(""),
    );
    return { exitCode, stdout, stderr };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
