// Prints the TypeScript types of the OpenAPI document that comes on standard input: src/openapi.ts.
import { text } from "node:stream/consumers";
import openapiTS, { astToString } from "openapi-typescript";

const types = astToString(await openapiTS(await text(process.stdin), { alphabetize: true, immutable: true }));
process.stdout.write(`// Generated from /openapi.json by generate.mjs. Do not edit; CONTRIBUTING.md says how to generate it again.\n\n${types}`);
