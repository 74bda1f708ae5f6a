import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const usersync = process.env.USERSYNC_URL ?? "http://127.0.0.1:8787";
const messages = process.env.MESSAGES_URL ?? "http://127.0.0.1:3000";
const providers = process.env.PROVIDERS_URL ?? "http://127.0.0.1:3001";

// One origin for the page and everything that it asks, as behind a reverse proxy.
const proxy = {
  "/v1": usersync,
  "/dev": usersync,
  "/messages": messages,
  "/oidc/": providers,
  "/api/auth": providers,
};

export default defineConfig({
  plugins: [react()],
  server: { proxy },
  preview: { proxy },
  build: { rolldownOptions: { input: ["index.html", "oidc.html", "better-auth.html"] } },
});
