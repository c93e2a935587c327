/**
 * What the demo shows. One law: everything that takes time is followed, line by line. On a terminal
 * the line is drawn again while it lasts; elsewhere it is printed when it is done, and every two
 * seconds until then.
 */
import process from "node:process";
import { styleText } from "node:util";
import { createLogUpdate } from "log-update";

const REDRAW_MS = 80;
const STILL_MS = 2_000;

type Style = Parameters<typeof styleText>[0];

export function say(text = ""): void {
  process.stdout.write(`${text}\n`);
}

export function heading(text: string): void {
  say(`\n${paint("bold", text)}`);
}

/** Colours text on stdout; not when NO_COLOR is set or nobody looks. */
export function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout, validateStream: true });
}

/**
 * Shows `render()` for as long as the work lasts, and a last time when it is done. Without a terminal
 * `still()` is what is printed meanwhile.
 */
export async function follow<Value>(
  render: () => string,
  work: () => Promise<Value>,
  still: () => string = render,
): Promise<Value> {
  // A terminal without a size, as some containers have, would show nothing that is drawn again.
  const isLive = process.stdout.isTTY && process.stdout.columns > 0;
  const log = isLive ? createLogUpdate(process.stdout) : undefined;
  const show = (): void => (log === undefined ? say(`... ${still()}`) : log(render()));
  const timer = setInterval(show, isLive ? REDRAW_MS : STILL_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (log === undefined) say(render());
    else {
      log(render());
      log.done();
    }
  }
}

/** Follows work that has one name, with the time that it takes. */
export async function step<Value>(what: string, work: () => Promise<Value>): Promise<Value> {
  const startMs = performance.now();
  return await follow(
    () => `${what}  ${paint("cyan", formatMs(performance.now() - startMs))}`,
    work,
  );
}

/** `182 ms`, and from two seconds on `2.4 s`. */
export function formatMs(durationMs: number): string {
  return durationMs < 2_000
    ? `${Math.round(durationMs)} ms`
    : `${(durationMs / 1_000).toFixed(1)} s`;
}
