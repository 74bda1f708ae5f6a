export { createUsersyncClient, currentUserQuery } from "./client";
export type { ClientOptions, UsersyncClient } from "./client";
export { UsersyncError, isUsersyncError } from "./error";
export type { SessionStore } from "./store";
export type {
  AuthInput,
  FetchToken,
  Identity,
  JsonValue,
  LogEvent,
  ProblemCode,
  PublicUser,
  Session,
  User,
  UserEvent,
} from "./types";
