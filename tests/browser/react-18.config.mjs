// The example's build, with React 18.
import { fileURLToPath } from "node:url";

import config from "../../examples/react-vite/vite.config.ts";

const from = (path) => fileURLToPath(new URL(`../../packages/react-18/node_modules/${path}`, import.meta.url));

export default {
  ...config,
  resolve: { alias: { react: from("react"), "react-dom": from("react-dom") } },
};
