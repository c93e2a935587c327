/** SPIRE's forced rotation, step by step over its API (spire-server localauthority x509 …). */
import type { SpireApi } from "../src/spire-api/client.ts";

/** Adds an authority to the bundle. Returns its id: the subject key id as lower-case hex. */
export async function prepare({ localAuthority }: SpireApi): Promise<string> {
  const { preparedAuthority } = await localAuthority.prepareX509Authority({});
  return idOf(preparedAuthority);
}

/** Lets the prepared authority sign from now on. */
export async function activate({ localAuthority }: SpireApi, authorityId: string): Promise<void> {
  await localAuthority.activateX509Authority({ authorityId });
}

/** Marks the authority that signed before. Returns its id. */
export async function taintOld({ localAuthority }: SpireApi): Promise<string> {
  const { old } = await localAuthority.getX509AuthorityState({});
  const authorityId = idOf(old);
  await localAuthority.taintX509Authority({ authorityId });
  return authorityId;
}

/** Removes a tainted authority from the bundle. */
export async function revoke({ localAuthority }: SpireApi, authorityId: string): Promise<void> {
  await localAuthority.revokeX509Authority({ authorityId });
}

/** All four, as fast as SPIRE answers: about 10 ms. */
export async function rotateAtOnce(api: SpireApi): Promise<void> {
  await activate(api, await prepare(api));
  await revoke(api, await taintOld(api));
}

function idOf(authority: { readonly authorityId: string } | undefined): string {
  if (authority === undefined || authority.authorityId === "") throw new Error("no such authority");
  return authority.authorityId;
}
