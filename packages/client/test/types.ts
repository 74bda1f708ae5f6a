// The types that apps rely on, whatever the generated ones become. It is compiled, not run.
import type { Identity, JsonValue, ProblemCode, PublicUser, Session, User, UsersyncError } from "../src";

/** Two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<_ extends true>(): void {}
type Plain<T> = { [Key in keyof T]: T[Key] };

same<Same<Plain<User>, {
  readonly id: string; readonly source: string; readonly externalId: string;
  readonly name: string | null; readonly givenName: string | null; readonly familyName: string | null;
  readonly nickname: string | null; readonly email: string | null; readonly emailVerified: boolean | null;
  readonly phoneNumber: string | null; readonly phoneNumberVerified: boolean | null; readonly pictureUrl: string | null;
  readonly metadata: JsonValue; readonly createdAt: string | null; readonly updatedAt: string; readonly syncedAt: string;
}>>();
same<Same<Plain<PublicUser>, {
  readonly id: string; readonly name: string | null; readonly nickname: string | null; readonly pictureUrl: string | null;
}>>();
same<Same<Identity["subject"], string>>();
same<Same<Identity["anything"], JsonValue | undefined>>();
same<Same<Extract<ProblemCode, "unauthenticated" | "user_not_synced" | "nonsense">, "unauthenticated" | "user_not_synced">>();
same<Same<Session["status"], "loading" | "signedOut" | "pending" | "signedIn" | "deleted" | "failed">>();
same<Same<Extract<Session, { user: User }>["status"], "signedIn">>();
same<Same<Extract<Session, { status: "failed" }>["error"], UsersyncError>>();
