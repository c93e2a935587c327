/** What must hold once everything is up and healed: nobody disagrees, and SPIRE's rows say so. */
import { type Slot } from "../../src/core/resolver/slot.ts";
import { type TrustBundle, sameAuthorities } from "../../src/core/spiffe/trust-bundle.ts";
import type { TrustDomain } from "../../src/core/spiffe/trust-domain.ts";
import { toHex } from "../../src/core/std/bytes.ts";
import { type Member, type Replica, isListed } from "../actors/member.ts";

/**
 * Why it is not all as it should be, or undefined.
 *
 * @param doubtful Whoever has a node key of these can ask for attention in their name, and no more
 *   (docs/protocol.md 1).
 */
export function unwell(
  members: readonly Member[],
  doubtful: ReadonlySet<TrustDomain>,
): string | undefined {
  for (const member of members) {
    const { approved, datastore } = member;
    for (const replica of member.staying) {
      const own = illsOfOwn(member, replica);
      if (own !== undefined) return `${replica.site.label} ${own}`;
      const rows = [...datastore.rows.keys()].filter((row) => !approved.has(row));
      if (rows.length > 0) return `${replica.site.label} has rows of ${rows.join(" ")}`;
      for (const partner of members.filter((each) => approved.has(each.trustDomain))) {
        const ill = illsOfPartner(replica, partner);
        if (ill !== undefined) return `${replica.site.label} ${ill} ${partner.trustDomain}`;
      }
      // What is wrong comes before what is said of it.
      const said = illsOfFindings(member, replica, doubtful);
      if (said !== undefined) return `${replica.site.label} ${said}`;
    }
  }
  return undefined;
}

function illsOfOwn({ datastore, replicas, first }: Member, { slot, daemon, site }: Replica) {
  if (daemon === undefined) return "is down";
  if (slot === undefined) return "has no own record";
  // SPIRE may count on without saying anything new.
  if (!isBundle(slot, datastore.bundle)) return "published another bundle";
  if (slot.sibling !== undefined) return "holds two own records";
  if (!isListed(slot, site)) return "is not listed";
  if (replicas.some((each) => each.isGone && isListed(slot, each.site))) {
    return "lists a node that is gone";
  }
  const other = replicas.find((each) => !each.isGone && each !== first);
  const theirs = (other ?? first).slot?.held.record.idHex;
  return theirs === slot.held.record.idHex ? undefined : "holds another record than its replica";
}

function illsOfFindings(
  { datastore }: Member,
  { daemon }: Replica,
  doubtful: ReadonlySet<TrustDomain>,
) {
  for (const { trustDomain: about, code, message } of daemon?.state.findings.values() ?? []) {
    const isDoubtful = about !== undefined && doubtful.has(about);
    // Who starts after its datastore was restored never read what the others published before.
    const isRestored = code === "FORGED_OWN" && datastore.restores > 0;
    if (!isDoubtful && !isRestored) return `says ${code}: ${message}`;
  }
  return undefined;
}

function illsOfPartner(replica: Replica, partner: Member) {
  if (!holdsNewest(replica, partner)) return "lacks the newest record of";
  const { rows } = replica.spire.datastore;
  const row = rows.get(partner.trustDomain);
  const isTrue = row !== undefined && sameAuthorities(row, partner.datastore.bundle);
  return isTrue ? undefined : "has another row of";
}

/** Whether a daemon holds its partner's newest record. */
export function holdsNewest({ daemon }: Replica, { trustDomain, publishers }: Member): boolean {
  const slot = daemon?.state.partners.get(trustDomain)?.slot;
  if (slot === undefined || slot.sibling !== undefined) return false;
  const { idHex } = slot.held.record;
  return (
    publishers.length > 0 && publishers.every((each) => each.slot?.held.record.idHex === idHex)
  );
}

/** Taint included, which rows do not have. */
function isBundle({ effective }: Slot, { x509Authorities }: TrustBundle): boolean {
  const said = effective.state.x509Authorities.map(inWords).toSorted();
  return said.join() === x509Authorities.map(inWords).toSorted().join();
}

function inWords({ der, tainted }: TrustBundle["x509Authorities"][number]): string {
  return `${toHex(der)} ${tainted}`;
}
