// What the scripts have in common: a JSON line in, a JSON line out, until the input ends.
import { createInterface } from "node:readline";

// Some packages have things to say; standard output is for the answers.
console.info = console.log = console.error;

export function say(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

export async function answerLines(answer) {
  for await (const line of createInterface({ input: process.stdin })) {
    say(await answer(JSON.parse(line)));
  }
}

// The packages sign text; a body that is none would be signed as something else than what is sent.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function textOf(base64) {
  return utf8.decode(Buffer.from(base64, "base64"));
}
