/**
 * `spire.api.server.localauthority.v1.LocalAuthority`: forced rotation, prepare → activate → taint the
 * old one → revoke it. What is refused, and with which code, is as measured.
 */
import type { SpireApiImplementation } from "../../src/spire-api/server.ts";
import { Code, type ConnectError } from "../../src/spire-api/services.ts";
import { attempt, refusal } from "./answers.ts";
import type { Slot } from "./authority-slots.ts";
import type { AuthorityKind } from "./own-bundle.ts";
import type { ServerParts } from "./server-parts.ts";

const KIND_NAME = { x509: "X.509", jwt: "JWT" } as const;

interface AuthorityState {
  readonly authorityId: string;
  readonly expiresAt: bigint;
}

export function localAuthorityService(
  parts: ServerParts,
): NonNullable<SpireApiImplementation["localAuthority"]> {
  const x509 = rotation(parts, "x509");
  const jwt = rotation(parts, "jwt");
  return {
    getX509AuthorityState: () => x509.state(),
    prepareX509Authority: async () => ({ preparedAuthority: await x509.prepare() }),
    activateX509Authority: ({ authorityId }) => ({
      activatedAuthority: x509.activate(authorityId),
    }),
    taintX509Authority: ({ authorityId }) => ({ taintedAuthority: x509.taint(authorityId) }),
    revokeX509Authority: ({ authorityId }) => ({ revokedAuthority: x509.revoke(authorityId) }),

    getJWTAuthorityState: () => jwt.state(),
    prepareJWTAuthority: async () => ({ preparedAuthority: await jwt.prepare() }),
    activateJWTAuthority: ({ authorityId }) => ({
      activatedAuthority: jwt.activate(authorityId),
    }),
    taintJWTAuthority: ({ authorityId }) => ({ taintedAuthority: jwt.taint(authorityId) }),
    revokeJWTAuthority: ({ authorityId }) => ({ revokedAuthority: jwt.revoke(authorityId) }),
  };
}

function rotation({ ca, log, ownBundle, upstream }: ServerParts, kind: AuthorityKind) {
  const slots = ca.slots(kind);
  const name = KIND_NAME[kind];

  /** A nested server's CA is upstream's to change. */
  function checkOwn(what: string): void {
    if (kind === "jwt" || upstream === undefined) return;
    const problem = `local authority can't be ${what} if there is an upstream authority`;
    throw refusal(Code.FailedPrecondition, problem);
  }

  function nextIf(authorityId: string): Slot {
    if (authorityId === "") throw refusal(Code.InvalidArgument, "no authority ID provided");
    const { next } = slots;
    if (next?.authority.id === authorityId) return next;
    throw refusal(Code.InvalidArgument, "unexpected authority ID");
  }

  function checkRevocable(authorityId: string): void {
    if (authorityId === "") throw invalid("no authority ID provided");
    if (authorityId === slots.current?.authority.id)
      throw invalid("unable to use current authority");
    const isNext = authorityId === slots.next?.authority.id;
    if (isNext && slots.next?.status === "OLD") return;
    if (kind === "x509") throw invalid("only Old local authority can be revoked");
    // Any other JWT authority of the bundle may go, another server's too.
    if (isNext) throw invalid("unable to use a prepared key");
    const listed = ownBundle.read()?.jwtAuthorities.some(({ keyId }) => keyId === authorityId);
    if (listed !== true) throw invalid("no JWT authority found with provided authority ID");
  }

  return {
    state() {
      const { current, next } = slots;
      if (current === undefined) throw refusal(Code.Unavailable, "server is initializing");
      return {
        active: toState(current),
        ...(next?.status === "PREPARED" ? { prepared: toState(next) } : {}),
        ...(next?.status === "OLD" ? { old: toState(next) } : {}),
      };
    },

    async prepare(): Promise<AuthorityState> {
      checkOwn("prepared");
      return toState(await ca.prepare(kind));
    },

    activate(authorityId: string): AuthorityState {
      const { status } = nextIf(authorityId);
      if (status !== "PREPARED") {
        const reason = `unsupported local authority status: ${status}`;
        throw refusal(Code.Internal, `only Prepared authorities can be activated: ${reason}`);
      }
      return toState(ca.activate(kind));
    },

    taint(authorityId: string): AuthorityState {
      checkOwn("tainted");
      if (authorityId !== "" && authorityId === slots.current?.authority.id) {
        throw refusal(Code.InvalidArgument, "unable to taint current local authority");
      }
      const old = nextIf(authorityId);
      if (old.status !== "OLD") {
        const reason = `unsupported local authority status: ${old.status}`;
        throw refusal(Code.InvalidArgument, `only Old local authorities can be tainted: ${reason}`);
      }
      attempt(Code.Internal, `failed to taint ${name} authority`, () =>
        ownBundle.taint(kind, authorityId),
      );
      log("info", `${name} authority tainted successfully`, { local_authority_id: authorityId });
      // SPIRE tells the end of a tainted CA, and of no tainted key or revoked authority.
      return kind === "x509" ? toState(old) : { authorityId, expiresAt: 0n };
    },

    revoke(authorityId: string): AuthorityState {
      checkOwn("revoked");
      checkRevocable(authorityId);
      attempt(Code.Internal, `failed to revoke ${name} authority`, () =>
        ownBundle.revoke(kind, authorityId),
      );
      log("info", `${name} authority revoked successfully`, { local_authority_id: authorityId });
      return { authorityId, expiresAt: 0n };
    },
  };
}

function invalid(reason: string): ConnectError {
  return refusal(Code.InvalidArgument, `invalid authority ID: ${reason}`);
}

function toState({ authority }: Slot): AuthorityState {
  return { authorityId: authority.id, expiresAt: BigInt(Math.floor(authority.notAfterMs / 1_000)) };
}
