import type { NextConfig } from "next";

const usersync = process.env.USERSYNC_URL ?? "http://127.0.0.1:8787";

const config: NextConfig = {
  // The page asks usersync at its own origin, as behind a reverse proxy.
  rewrites: async () => [{ source: "/v1/:path*", destination: `${usersync}/v1/:path*` }],
};

export default config;
