/** `validate`: whether `run` would take a configuration file. */
import { loadConfig } from "../config/config.ts";
import { Fault } from "../fault.ts";
import { printError, printResult, type OutputFormat } from "./output.ts";
import { printable } from "../printable.ts";

export interface ValidateOptions {
  readonly config: string;
  readonly expandEnv?: boolean;
  readonly output: OutputFormat;
}

/** The problems are the result: one `file:line:column` a line on stdout. */
export async function validate({ config, expandEnv, output }: ValidateOptions): Promise<number> {
  try {
    await loadConfig(config, { expandEnv: expandEnv === true });
  } catch (error) {
    if (!(error instanceof Fault) || output === "json") throw error;
    process.stdout.write(`${error.problems.map(printable).join("\n")}\n`);
    const { code, advice } = error;
    printError({ code, message: `${config} cannot be used`, advice });
    return error.exitCode;
  }
  printResult(output, { file: config, valid: true }, ({ file }) => `${file} is fine.`);
  return 0;
}
