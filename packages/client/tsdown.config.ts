import { defineConfig } from "tsdown";

export default defineConfig({
  entry: ["index", "server", "express", "hono", "fastify", "webhooks", "internal"].map((name) => `src/${name}.ts`),
  format: "esm",
  platform: "neutral",
  target: "es2022",
  dts: true,
  sourcemap: true,
});
