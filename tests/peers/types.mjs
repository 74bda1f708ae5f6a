// Generates TypeScript types from an OpenAPI document with `openapi-typescript`, and compiles them with `tsc --strict`
// together with a file that uses them (types_use.ts).
// In: JSON lines {document}. Out: one line {errors: [text]} for each.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";
import { answerLines } from "./lines.mjs";

const folder = dirname(fileURLToPath(import.meta.url));
const use = join(folder, "types_use.ts");
const generated = join(folder, "api.ts");
const options = {
  strict: true,
  noEmit: true,
  noUnusedLocals: true,
  exactOptionalPropertyTypes: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  types: [],
};

await answerLines(async ({ document }) => {
  const sources = new Map([
    [generated, astToString(await openapiTS(document))],
    [use, readFileSync(use, "utf8")],
  ]);
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (path) => sources.has(path) || fileExists(path);
  host.readFile = (path) => sources.get(path) ?? readFile(path);
  host.getSourceFile = (path, version) =>
    sources.has(path) ? ts.createSourceFile(path, sources.get(path), version, true) : getSourceFile(path, version);
  const program = ts.createProgram([...sources.keys()], options, host);
  const errors = ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file ? `${file.fileName}:${file.getLineAndCharacterOfPosition(start).line + 1}: ` : "";
    return line + ts.flattenDiagnosticMessageText(messageText, "\n");
  });
  return { errors };
});
