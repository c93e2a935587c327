/** Records, certificates and policy count Unix time in whole seconds, the clock in milliseconds. */
export function toSeconds(unixMs: number): number {
  return Math.floor(unixMs / 1_000);
}
