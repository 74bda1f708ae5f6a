export {
  UsersyncProviderWithAuth0,
  UsersyncProviderWithAuthKit,
  UsersyncProviderWithBetterAuth,
  UsersyncProviderWithClerk,
  UsersyncProviderWithOidc,
} from "./adapters";
export type { WhichToken } from "./adapters";
export {
  AuthFailed,
  AuthLoading,
  AuthRefreshing,
  Authenticated,
  Unauthenticated,
  UserDeleted,
  UserPending,
} from "./components";
export {
  useCurrentUser,
  useCurrentUserOrThrow,
  useIdentity,
  useStoreUserEffect,
  useUser,
  useUsers,
  useUsersyncAuth,
} from "./hooks";
export { UsersyncProvider, UsersyncProviderWithAuth } from "./provider";
export type { ProviderProps } from "./provider";
export type {
  Auth0UseAuth,
  AuthKitSessionUseAuth,
  AuthKitUseAccessToken,
  AuthKitUseAuth,
  BetterAuthClient,
  ClerkUseAuth,
  OidcUseAuth,
} from "./vendors";
