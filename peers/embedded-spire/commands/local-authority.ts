/** `localauthority x509|jwt show|prepare|activate|taint|revoke`. */
import type { SpireApi } from "../../../src/spire-api/client.ts";
import { type AuthorityState, AuthorityStateSchema } from "../../../src/spire-api/services.ts";
import { readOptions } from "../arguments.ts";
import type { AuthorityKind } from "../own-bundle.ts";
import { CLIENT_OPTIONS, withApi } from "./client.ts";
import { CommandError, isJson, messageJson, print, printValue } from "./output.ts";

type State = AuthorityState | undefined;
type Change = (api: SpireApi, authorityId: string) => Promise<State>;

interface Calls {
  readonly name: string;
  show(api: SpireApi): Promise<{ active?: State; prepared?: State; old?: State }>;
  prepare(api: SpireApi): Promise<State>;
  readonly activate: Change;
  readonly taint: Change;
  readonly revoke: Change;
}

const X509: Calls = {
  name: "X.509",
  show: async ({ localAuthority }) => await localAuthority.getX509AuthorityState({}),
  prepare: async ({ localAuthority }) =>
    (await localAuthority.prepareX509Authority({})).preparedAuthority,
  activate: async ({ localAuthority }, authorityId) =>
    (await localAuthority.activateX509Authority({ authorityId })).activatedAuthority,
  taint: async ({ localAuthority }, authorityId) =>
    (await localAuthority.taintX509Authority({ authorityId })).taintedAuthority,
  revoke: async ({ localAuthority }, authorityId) =>
    (await localAuthority.revokeX509Authority({ authorityId })).revokedAuthority,
};

const JWT: Calls = {
  name: "JWT",
  show: async ({ localAuthority }) => await localAuthority.getJWTAuthorityState({}),
  prepare: async ({ localAuthority }) =>
    (await localAuthority.prepareJWTAuthority({})).preparedAuthority,
  activate: async ({ localAuthority }, authorityId) =>
    (await localAuthority.activateJWTAuthority({ authorityId })).activatedAuthority,
  taint: async ({ localAuthority }, authorityId) =>
    (await localAuthority.taintJWTAuthority({ authorityId })).taintedAuthority,
  revoke: async ({ localAuthority }, authorityId) =>
    (await localAuthority.revokeJWTAuthority({ authorityId })).revokedAuthority,
};

type Command = (args: readonly string[]) => Promise<void>;

/** The five commands of one kind, by their last word. */
export function localAuthorityCommands(kind: AuthorityKind): Readonly<Record<string, Command>> {
  const calls = kind === "x509" ? X509 : JWT;

  const change =
    (verb: string, title: string, call: Change): Command =>
    async (args) => {
      const options = readOptions(args, { ...CLIENT_OPTIONS, authorityID: "text" });
      const { authorityID } = options;
      if (authorityID === undefined) throw new CommandError("an authority ID is required");
      await withApi(
        options,
        async (api) => {
          const state = await call(api, authorityID);
          printOne(calls, title, state, isJson(options.output));
        },
        `could not ${verb} ${calls.name} authority`,
      );
    };

  return {
    async show(args) {
      const options = readOptions(args, CLIENT_OPTIONS);
      await withApi(options, async (api) => {
        const { active, prepared, old } = await calls.show(api);
        if (isJson(options.output)) {
          printValue(stateJson({ active, prepared, old }));
          return;
        }
        const blocks = Object.entries({ Active: active, Prepared: prepared, Old: old });
        print(blocks.map(([title, state]) => formatState(calls, title, state)).join("\n"));
      });
    },
    async prepare(args) {
      const options = readOptions(args, CLIENT_OPTIONS);
      await withApi(options, async (api) => {
        printOne(calls, "Prepared", await calls.prepare(api), isJson(options.output));
      });
    },
    activate: change("activate", "Activated", calls.activate),
    taint: change("taint", "Tainted", calls.taint),
    revoke: change("revoke", "Revoked", calls.revoke),
  };
}

function printOne(calls: Calls, title: string, state: State, json: boolean): void {
  if (json) printValue(stateJson({ [`${title.toLowerCase()}_authority`]: state }));
  else print(formatState(calls, title, state));
}

/** Only the states that are there. */
function stateJson(states: Readonly<Record<string, State>>) {
  return Object.fromEntries(
    Object.entries(states).flatMap(([key, state]) =>
      state === undefined ? [] : [[key, messageJson(AuthorityStateSchema, state)]],
    ),
  );
}

function formatState({ name }: Calls, title: string, state: State): string {
  const heading = `${title} ${name} authority:\n`;
  if (state === undefined) {
    return `${heading}  No ${title.toLowerCase()} ${name} authority found\n`;
  }
  const lines = [
    `  Authority ID: ${state.authorityId}`,
    `  Expires at: ${formatTime(state.expiresAt)}`,
    // The stand-in has no upstream authority, and JWT keys have none anywhere.
    ...(name === "X.509" ? ["  Upstream authority ID: No upstream authority"] : []),
  ];
  return `${heading}${lines.join("\n")}\n`;
}

/** Go's form of a time, `2026-11-22 09:14:35 +0000 UTC`. */
function formatTime(unixS: bigint): string {
  return `${new Date(Number(unixS) * 1_000).toISOString().slice(0, 19).replace("T", " ")} +0000 UTC`;
}
