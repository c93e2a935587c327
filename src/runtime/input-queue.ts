/**
 * Inputs on their way to the core, taken by one reader. What the daemon's own rooms say comes first:
 * it is little, bounded by those rooms (one bundle read, one list of rows, one outcome for each
 * order) and never dropped. What peers send is bounded here, in order for each forwarder, and the
 * trust domains take turns, so that who sends much waits for itself. Of one trust domain waits at
 * most an eighth of what is free: thirty that fill it leave room for the next.
 *
 * Law: of what waits for others, at most one input of each trust domain goes before a trust domain's
 * next. Nodes are free to make, so those of one trust domain share its turns. A record may list a
 * foreign node: a node takes the turns of each trust domain that lists it, so who lists a foreign one
 * lends its own turns and gets none.
 */
import type { Input } from "../core/mesh/input.ts";
import type { TrustDomain } from "../core/spiffe/trust-domain.ts";
import { REMOTE_BYTES_MAX, REMOTE_INPUTS_MAX } from "../core/std/limits.ts";

/**
 * Of what is free, the part that one trust domain may take: 114 inputs or 1.8 MiB of an empty queue,
 * which is a full reply of sync and more. Above: not taken in.
 */
const SHARE = 1 / 8;
/** About what one entry of a peer's list takes. */
const SYNC_ENTRY_BYTES = 400;

/** What waits, of one trust domain or of all. */
interface Load {
  inputs: number;
  bytes: number;
}

/** An input, and the trust domain that it is counted for. */
interface Waiting {
  readonly input: Input;
  readonly of: TrustDomain | undefined;
}

const NOTHING: Readonly<Load> = { inputs: 0, bytes: 0 };

export class InputQueue {
  readonly #own: Input[] = [];
  readonly #listersOf: (node: string) => readonly TrustDomain[];
  /** What waits of each forwarder. None is empty. */
  readonly #lanes = new Map<string, Waiting[]>();
  /** Trust domains, and of each its forwarders: whose turn it is first. May name who is done. */
  readonly #turns = new Map<TrustDomain | undefined, Set<string>>();
  readonly #all: Load = { inputs: 0, bytes: 0 };
  /** By trust domain; undefined for those whom nobody lists. None is without inputs. */
  readonly #loads = new Map<TrustDomain | undefined, Load>();
  #hasTick = false;
  #wake: (() => void) | undefined;
  #closed = false;

  /** @param listersOf The trust domains that list a node (32 bytes as hex) now. */
  constructor(listersOf: (node: string) => readonly TrustDomain[]) {
    this.#listersOf = listersOf;
  }

  /** Adds an input. False when it came from a peer and there is no room for such. */
  put(input: Input): boolean {
    if (this.#closed) return false;
    const node = forwarderOf(input);
    if (node === undefined) this.#putOwn(input);
    else if (!this.#putRemote(node, input)) return false;
    this.#wake?.();
    return true;
  }

  /** The next input, or undefined once the queue is closed. What still waits then is dropped. */
  async take(): Promise<Input | undefined> {
    while (!this.#closed) {
      const input = this.#own.shift() ?? this.#takeRemote();
      if (input !== undefined) {
        if (input.kind === "tick") this.#hasTick = false;
        return input;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    return undefined;
  }

  close(): void {
    this.#closed = true;
    this.#own.length = 0;
    this.#lanes.clear();
    this.#turns.clear();
    this.#wake?.();
  }

  #putOwn(input: Input): void {
    if (input.kind === "tick") {
      if (this.#hasTick) return; // The one that waits says as much.
      this.#hasTick = true;
    }
    this.#own.push(input);
  }

  #putRemote(node: string, input: Input): boolean {
    const listers = this.#listers(node);
    const room = listers.findIndex((each) => this.#hasRoom(each));
    if (room < 0) return false;
    const of = listers[room];
    this.#count(of, 1, bytesOf(input));
    const waiting = this.#lanes.get(node) ?? [];
    waiting.push({ input, of });
    this.#lanes.set(node, waiting);
    this.#line(node, listers);
    return true;
  }

  /** Whether what waits of a trust domain is less than its share of what is free. */
  #hasRoom(trustDomain: TrustDomain | undefined): boolean {
    const { inputs, bytes } = this.#loads.get(trustDomain) ?? NOTHING;
    const freeInputs = REMOTE_INPUTS_MAX - this.#all.inputs;
    const freeBytes = REMOTE_BYTES_MAX - this.#all.bytes;
    return inputs < freeInputs * SHARE && bytes < freeBytes * SHARE;
  }

  #count(trustDomain: TrustDomain | undefined, inputs: number, bytes: number): void {
    const load = this.#loads.get(trustDomain) ?? { inputs: 0, bytes: 0 };
    for (const each of [load, this.#all]) {
      each.inputs += inputs;
      each.bytes += bytes;
    }
    if (load.inputs === 0) this.#loads.delete(trustDomain);
    else this.#loads.set(trustDomain, load);
  }

  /** Listed by nobody any more, but not yet cut off: all such are as one trust domain. */
  #listers(node: string): readonly (TrustDomain | undefined)[] {
    const listers = this.#listersOf(node);
    return listers.length > 0 ? listers : [undefined];
  }

  /** Puts a forwarder behind the others of each trust domain that lists it, unless it waits there. */
  #line(node: string, listers = this.#listers(node)): void {
    for (const trustDomain of listers) {
      const nodes = this.#turns.get(trustDomain) ?? new Set();
      this.#turns.set(trustDomain, nodes.add(node));
    }
  }

  #takeRemote(): Input | undefined {
    for (const [trustDomain, nodes] of this.#turns) {
      for (const node of nodes) {
        nodes.delete(node);
        const waiting = this.#lanes.get(node);
        const next = waiting?.shift();
        if (waiting === undefined || next === undefined) continue; // Done in another's turn.
        this.#turns.delete(trustDomain);
        if (nodes.size > 0) this.#turns.set(trustDomain, nodes); // Behind the others.
        if (waiting.length > 0) this.#line(node);
        else this.#lanes.delete(node);
        this.#count(next.of, -1, -bytesOf(next.input));
        return next.input;
      }
      this.#turns.delete(trustDomain);
    }
    return undefined;
  }
}

/** The node that sent an input, as hex; undefined for what the daemon's own rooms say. */
function forwarderOf(input: Input): string | undefined {
  if (input.kind === "record-received" || input.kind === "head-received") return input.from;
  if (input.kind === "peer-synced") return input.node;
  return undefined;
}

function bytesOf(input: Input): number {
  if (input.kind === "record-received" || input.kind === "head-received") {
    return input.envelope.length;
  }
  return input.kind === "peer-synced" ? input.entries.length * SYNC_ENTRY_BYTES : 0;
}
