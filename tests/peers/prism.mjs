// Judges requests by an API's description, with the validator of Prism, a part of @stoplight/prism-cli.
// In: JSON lines {description (a file), method, url (path and query), headers, body (JSON)}. Out: one line {violations} for
// each: what is wrong with the request; empty if nothing is. Prism lets unknown parameters pass; here they are violations.
import { createLogger } from "@stoplight/prism-core";
import { createClientFromOperations } from "@stoplight/prism-http/dist/client.js";
import { getHttpOperationsFromSpec } from "@stoplight/prism-http/dist/utils/operations.js";
import { answerLines } from "./lines.mjs";

const settings = {
  mock: { dynamic: false, ignoreExamples: false },
  checkSecurity: true,
  validateRequest: true,
  validateResponse: false,
  errors: false,
  isProxy: false,
  logger: createLogger("prism", { level: "silent" }),
};
const known = new Map();

async function read(description) {
  if (!known.has(description)) {
    const operations = await getHttpOperationsFromSpec(description);
    known.set(description, { operations, client: createClientFromOperations(operations, settings) });
  }
  return known.get(description);
}

function unknownParameters(operations, method, url) {
  const { pathname, searchParams } = new URL(url, "http://localhost");
  const parts = pathname.split("/");
  const fits = (path) => {
    const described = path.split("/");
    return described.length === parts.length && described.every((part, at) => part.startsWith("{") || part === parts[at]);
  };
  const candidates = operations.filter((one) => one.method === method && fits(one.path));
  // `/users/count` is described, and `/users/{user_id}` fits it too.
  const operation = candidates.find((one) => one.path === pathname) ?? candidates[0];
  const names = new Set((operation?.request?.query ?? []).map((parameter) => parameter.name));
  return [...new Set(searchParams.keys())].filter((name) => !names.has(name)).map((name) => `query.${name} is not described`);
}

await answerLines(async ({ description, method, url, headers, body }) => {
  const { operations, client } = await read(description);
  try {
    const { violations } = await client.request(url, { method, headers, body: body ?? undefined });
    const wrong = violations.input.map(({ path, message }) => `${(path ?? []).join(".")} ${message}`);
    return { violations: [...wrong, ...unknownParameters(operations, method, url)] };
  } catch (error) {
    // There is no such route.
    return { violations: [`${error.message}: ${error.detail ?? ""}`] };
  }
});
