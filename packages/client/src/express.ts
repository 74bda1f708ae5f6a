// Express and compatible frameworks. Types are structural: express is not a dependency.

import type { AskOptions, User, UsersyncServer } from "./server";

interface ExpressRequest {
  headers: Record<string, string | string[] | undefined>;
  user?: unknown;
}

interface ExpressResponse {
  status(code: number): unknown;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/** A request after `requireUser`. */
export interface WithUser {
  user: User;
}

/** Lets only users pass: `req.user` is the current user. All other requests get usersync's own answer. */
export function requireUser(
  server: UsersyncServer,
  options?: AskOptions,
): (req: ExpressRequest, res: ExpressResponse, next: (error?: unknown) => void) => Promise<void> {
  return async (req, res, next) => {
    try {
      const { authorization } = req.headers;
      const headers = new Headers(typeof authorization === "string" ? { authorization } : {});
      req.user = await server.requireUser(headers, options);
    } catch (error) {
      try {
        const response = server.toResponse(error);
        res.status(response.status);
        response.headers.forEach((value, name) => res.setHeader(name, value));
        res.end(await response.text());
      } catch {
        next(error);
      }
      return;
    }
    next();
  };
}
