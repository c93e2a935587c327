/**
 * Loaded before a daemon whose memory is measured, with `--expose-gc`: collects its garbage whenever its
 * parent sends a message, as what is held shows only then.
 */
import assert from "node:assert/strict";
import process from "node:process";

process.on("message", () => {
  assert(globalThis.gc !== undefined, "started with --expose-gc");
  globalThis.gc();
  process.send?.("collected");
});
process.channel?.unref(); // It is no reason to live on, as in end-with-launcher.js.
