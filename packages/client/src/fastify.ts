// Fastify. Types are structural: fastify is not a dependency.

import type { AskOptions, User, UsersyncServer } from "./server";

interface FastifyRequest {
  headers: Record<string, string | string[] | undefined>;
  user?: User | null;
}

interface FastifyReply {
  code(status: number): FastifyReply;
  headers(values: Record<string, string>): FastifyReply;
  send(body: string): unknown;
}

interface FastifyInstance {
  decorateRequest(name: "user", value: null): unknown;
  addHook(name: "preHandler", hook: (request: any, reply: any) => Promise<unknown>): unknown;
}

/** A plugin: on its scope's routes `request.user` is the current user. All other requests get usersync's own answer. */
export function usersync(
  server: UsersyncServer,
  options?: AskOptions,
): (instance: FastifyInstance) => Promise<void> {
  const plugin = async (instance: FastifyInstance) => {
    instance.decorateRequest("user", null);
    instance.addHook("preHandler", async (request: FastifyRequest, reply: FastifyReply) => {
      const { authorization } = request.headers;
      const answer = await server.result(new Headers(authorization ? { authorization: String(authorization) } : {}), options);
      if (answer.ok) {
        request.user = answer.user;
        return;
      }
      const response = server.toResponse(answer.error);
      const headers = Object.fromEntries(response.headers);
      return reply.code(response.status).headers(headers).send(await response.text());
    });
  };
  // As the package fastify-plugin does: the hook belongs to the scope that registers it, not to a new scope.
  return Object.assign(plugin, { [Symbol.for("skip-override")]: true });
}
