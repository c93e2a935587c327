/** The program `spire-server` of the embedded SPIRE Server. */
import process from "node:process";
import { runCommandLine } from "./command-line.ts";

process.exitCode = await runCommandLine(process.argv.slice(2));
