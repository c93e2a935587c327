/** A disk below LevelDB that takes so many batches and is full then. */
import { Level } from "level";
import { onTestFinished, vi } from "vitest";

interface Batching {
  batch(operations: []): Promise<void>;
}

/**
 * @param onBatch Before each batch, also one that finds no room.
 * @returns Makes room again.
 */
export function roomForBatches(room: number, onBatch = async () => {}): () => void {
  const prototype: Batching = Level.prototype;
  const batch = Reflect.get(prototype, "batch") as (
    this: Batching,
    operations: [],
    options: unknown,
  ) => Promise<void>;
  const spy = vi.spyOn(prototype, "batch");
  onTestFinished(() => {
    spy.mockRestore();
  });
  let left = room;
  spy.mockImplementation(async function (this: Batching, operations, ...options: unknown[]) {
    await onBatch();
    if (left === 0) throw new Error("IO error: No space left on device");
    left -= 1;
    await batch.call(this, operations, options[0]);
  });
  return () => spy.mockRestore();
}
