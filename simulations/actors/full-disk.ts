/** A disk that may be full: then nothing is written or removed. */
import type { Pin } from "../../src/core/mesh/partner.ts";
import type { StoredDomain } from "../../src/ports/record-store.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { Fault } from "../../src/fault.ts";
import { Disk } from "../world/disk.ts";

export class FullDisk extends Disk {
  isFull = false;

  override async accept(domain: StoredDomain, pin: Pin | undefined, start: boolean): Promise<void> {
    this.#mayWrite();
    await super.accept(domain, pin, start);
  }

  override async remove(trustDomain: TrustDomain): Promise<void> {
    this.#mayWrite();
    await super.remove(trustDomain);
  }

  #mayWrite(): void {
    if (this.isFull) throw new Fault("STORE_FULL", "the disk is full");
  }
}
