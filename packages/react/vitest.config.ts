import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const react18 = {
  react: source("../react-18/node_modules/react"),
  "react-dom": source("../react-18/node_modules/react-dom"),
};

export default defineConfig({
  resolve: {
    alias: {
      "@usersync/client/internal": source("../client/src/internal.ts"),
      "@usersync/client": source("../client/src/index.ts"),
      // The form that is read as source, so that it imports the same React.
      "@testing-library/react": "@testing-library/react/dist/@testing-library/react.esm.js",
      ...(process.env.REACT === "18" ? react18 : {}),
    },
  },
  test: {
    environment: "jsdom",
    include: ["test/**/*.test.tsx"],
    server: { deps: { inline: [/@testing-library\/react/] } },
  },
});
