/** The search finds what it looks for: without this the test beside it could not fail. */
import { generateKeyPairSync } from "node:crypto";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { formIn, secretOf, secretsOfPem } from "./forms.ts";

const keys = [
  generateKeyPairSync("ed25519").privateKey,
  generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
];

describe.each(keys.map((key) => ({ type: key.asymmetricKeyType, key })))(
  "a private key of type $type is found",
  ({ key }) => {
    const secret = secretOf(key);
    const pem = key.export({ format: "pem", type: "pkcs8" }).toString();
    const der = key.export({ format: "der", type: "pkcs8" });

    test.each<[string, string | Uint8Array]>([
      ["in PEM", pem],
      ["in PEM within JSON", JSON.stringify({ pem })],
      ["in the body of PEM", pem.split("\n").slice(1, -2).join("")],
      ["in DER", der],
      ["in DER as hex", der.toString("hex")],
      ["as a JSON Web Key", JSON.stringify(key.export({ format: "jwk" }))],
      ["as raw bytes in something longer", Buffer.concat([Buffer.from("xxx"), secret])],
      ["as hex", `seed=${secret.toString("hex")}`],
      [
        "as capital hex with colons",
        (secret.toString("hex").match(/../g) ?? []).join(":").toUpperCase(),
      ],
      ["as base64", secret.toString("base64")],
      [
        "as base64url within base64",
        Buffer.from(`a${secret.toString("latin1")}`, "latin1").toString("base64url"),
      ],
      ["as console.log shows a Buffer", inspect(secret)],
      ["as console.log shows bytes", inspect(Uint8Array.from(secret))],
      ["as JSON of a Buffer", JSON.stringify(secret)],
      ["as JSON of bytes", JSON.stringify(Uint8Array.from(secret))],
      ["by its first half", secret.subarray(0, 16).toString("hex")],
      ["by its second half", secret.subarray(16).toString("base64")],
    ])("%s", (_, haystack) => {
      expect(formIn(Buffer.from(haystack), secret)).toBeDefined();
    });

    test("not where it is not", () => {
      const other = generateKeyPairSync("ed25519").privateKey;
      expect(formIn(Buffer.from(pem), secretOf(other))).toBeUndefined();
      expect(secretsOfPem(pem)).toEqual([secret]);
    });
  },
);
