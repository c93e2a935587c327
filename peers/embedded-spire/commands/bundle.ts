/** `bundle show|list|set|delete|count`. */
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import process from "node:process";
import { BundleService, DeleteMode } from "../../../src/spire-api/services.ts";
import { readOptions } from "../arguments.ts";
import { readBundle } from "./bundle-document.ts";
import { CLIENT_OPTIONS, onlyResult, withApi } from "./client.ts";
import {
  CommandError,
  formatBundle,
  formatBundles,
  isJson,
  print,
  printJson,
  readFormat,
} from "./output.ts";

const { method } = BundleService;
const MODES = {
  restrict: DeleteMode.RESTRICT,
  delete: DeleteMode.DELETE,
  dissociate: DeleteMode.DISSOCIATE,
} as const;

export async function bundleShow(args: readonly string[]): Promise<void> {
  const options = readOptions(args, { ...CLIENT_OPTIONS, format: "text" });
  const format = readFormat(options.format);
  await withApi(options, async (api) => {
    const bundle = await api.bundle.getBundle({});
    if (isJson(options.output)) printJson(method.getBundle.output, bundle);
    else print(formatBundle(bundle, format));
  });
}

export async function bundleList(args: readonly string[]): Promise<void> {
  const options = readOptions(args, { ...CLIENT_OPTIONS, id: "text", format: "text" });
  const format = readFormat(options.format);
  await withApi(options, async (api) => {
    if (options.id !== undefined) {
      const bundle = await api.bundle.getFederatedBundle({ trustDomain: options.id });
      if (isJson(options.output)) printJson(method.getFederatedBundle.output, bundle);
      else print(formatBundle(bundle, format));
      return;
    }
    const list = await api.bundle.listFederatedBundles({});
    if (isJson(options.output)) printJson(method.listFederatedBundles.output, list);
    else print(formatBundles(list.bundles, format));
  });
}

export async function bundleSet(args: readonly string[]): Promise<void> {
  const options = readOptions(args, {
    ...CLIENT_OPTIONS,
    id: "text",
    path: "text",
    format: "text",
  });
  const format = readFormat(options.format);
  const { id, path } = options;
  if (id === undefined) throw new CommandError("id flag is required");
  const data = path === undefined ? await text(process.stdin) : readData(path);
  const bundle = { ...readBundle(data, format), trustDomain: id };
  await withApi(options, async (api) => {
    const response = await api.bundle.batchSetFederatedBundle({ bundle: [bundle] });
    if (isJson(options.output)) {
      printJson(method.batchSetFederatedBundle.output, response);
      return;
    }
    onlyResult(response.results, "failed to set federated bundle");
    print("bundle set.\n");
  });
}

export async function bundleDelete(args: readonly string[]): Promise<void> {
  const options = readOptions(args, { ...CLIENT_OPTIONS, id: "text", mode: "text" });
  const { id, mode = "restrict" } = options;
  if (id === undefined) throw new CommandError("id is required");
  if (!isMode(mode)) throw new CommandError(`unsupported mode "${mode}"`);
  await withApi(options, async (api) => {
    const request = { trustDomains: [id], mode: MODES[mode] };
    const response = await api.bundle.batchDeleteFederatedBundle(request);
    if (isJson(options.output)) {
      printJson(method.batchDeleteFederatedBundle.output, response);
      return;
    }
    onlyResult(response.results, `failed to delete federated bundle "${id}"`);
    print("bundle deleted.\n");
  });
}

export async function bundleCount(args: readonly string[]): Promise<void> {
  const options = readOptions(args, CLIENT_OPTIONS);
  await withApi(options, async (api) => {
    const response = await api.bundle.countBundles({});
    if (isJson(options.output)) printJson(method.countBundles.output, response);
    else print(`${response.count} ${response.count === 1 ? "bundle" : "bundles"}\n`);
  });
}

function readData(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new CommandError(`unable to load bundle data: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function isMode(mode: string): mode is keyof typeof MODES {
  return Object.hasOwn(MODES, mode);
}
