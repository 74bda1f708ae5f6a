// Hono. Types are structural: hono is not a dependency.

import type { AskOptions, User, UsersyncServer } from "./server";

interface HonoContext {
  req: { raw: Request };
  set(key: "user", value: User): void;
}

/** Lets only users pass: `c.get("user")` is the current user. All other requests get usersync's own answer. */
export function requireUser(
  server: UsersyncServer,
  options?: AskOptions,
): (c: HonoContext, next: () => Promise<void>) => Promise<Response | void> {
  return async (c, next) => {
    const answer = await server.result(c.req.raw, options);
    if (!answer.ok) return server.toResponse(answer.error);
    c.set("user", answer.user);
    await next();
  };
}
