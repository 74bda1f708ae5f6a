// For `@usersync/react` of the same version. It changes without notice.

export { claimsOf } from "./jwt";
export type { Claims } from "./jwt";
