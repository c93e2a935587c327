/**
 * Loaded before the program itself: when the launcher is gone, however it went, its end of the IPC
 * channel closes and the program gets the SIGTERM that the launcher cannot pass on any more.
 */
import process from "node:process";

process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
process.channel?.unref(); // The channel alone does not keep a program alive that has nothing to do.
