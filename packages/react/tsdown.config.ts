import { defineConfig } from "tsdown";

export default defineConfig({
  entry: ["src/index.ts"],
  format: "esm",
  platform: "neutral",
  target: "es2022",
  dts: true,
  sourcemap: true,
  deps: { neverBundle: [/^react/, /^@usersync/] },
  banner: { js: '"use client";' },
});
