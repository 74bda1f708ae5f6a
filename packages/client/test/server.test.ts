import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import Fastify from "fastify";
import { Hono } from "hono";
import { beforeEach, describe, expect, test } from "vitest";

import { requireUser as forExpress } from "../src/express";
import { usersync as forFastify } from "../src/fastify";
import { requireUser as forHono } from "../src/hono";
import { createUsersyncServer } from "../src/server";
import type { User, UsersyncServer } from "../src/server";
import { FakeService, json, problem, user } from "./support";

let service: FakeService;
let server: UsersyncServer;
let authorizations: (string | null)[];

beforeEach(() => {
  service = new FakeService();
  authorizations = [];
  server = createUsersyncServer({ url: "http://usersync.test/", fetch: service.fetch, serviceKey: "usk_1" });
  answer(() => json(user("ada")));
});

function answer(with_: (request: Request) => Response) {
  service.answer = (request) => {
    authorizations.push(request.headers.get("authorization"));
    return with_(request);
  };
}

describe("the current user", () => {
  test("is found by a token, a request or its headers", async () => {
    const headers = new Headers({ authorization: "Bearer t" });
    for (const source of ["t", headers, new Request("http://app.test", { headers })]) {
      expect(await server.getCurrentUser(source, { wait: 5 })).toEqual(user("ada"));
    }
    expect(authorizations).toEqual(["Bearer t", "Bearer t", "Bearer t"]);
    expect(service.requests[0]).toBe("GET /v1/users/current?wait=5");
  });

  test("is nobody without a token, and nothing is asked", async () => {
    for (const source of [null, undefined, "", new Headers(), new Headers({ authorization: "Basic x" })]) {
      expect(await server.getCurrentUser(source)).toBeNull();
    }
    expect(service.requests).toEqual([]);
  });

  test.each([["unauthenticated", 401], ["user_not_synced", 404], ["user_deleted", 410]])(
    "is nobody after %s, asked once",
    async (code, status) => {
      answer(() => problem(status, code));
      expect(await server.getCurrentUser("t")).toBeNull();
      await expect(server.requireUser("t")).rejects.toMatchObject({ code, status });
      expect(service.requests).toHaveLength(2);
    },
  );

  test("is not known when no rule fits the token: that is an error of the configuration", async () => {
    answer(() => problem(401, "no_auth_provider"));
    await expect(server.getCurrentUser("t")).rejects.toMatchObject({ code: "no_auth_provider" });
  });

  test("is not known while the service is away, which is tried three times", async () => {
    answer(() => problem(503, "database_unavailable", { "retry-after": "0" }));
    await expect(server.getCurrentUser("t")).rejects.toMatchObject({ code: "database_unavailable", retryable: true });
    expect(service.requests).toHaveLength(3);
  });
});

describe("the table", () => {
  test("is listed page by page with the service key", async () => {
    answer((request) =>
      new URL(request.url).searchParams.has("cursor")
        ? json({ users: [user("b")], nextCursor: null })
        : json({ users: [user("a")], nextCursor: "next/=" }),
    );
    const ids: string[] = [];
    for await (const one of server.users.list({ source: "clerk" })) ids.push(one.externalId);
    expect(ids).toEqual(["a", "b"]);
    expect(service.requests).toEqual([
      "GET /v1/users?limit=200&source=clerk",
      "GET /v1/users?limit=200&source=clerk&cursor=next%2F%3D",
    ]);
    expect(authorizations).toEqual(["Bearer usk_1", "Bearer usk_1"]);
  });

  test("gives one, none, or many by id, a hundred at a time", async () => {
    answer((request) => (request.url.includes("ids=") ? json({ users: [user("a")] }) : problem(404, "user_not_found")));
    expect(await server.users.get("../x")).toBeNull();
    expect(service.requests[0]).toBe("GET /v1/users/..%2Fx");
    const found = await server.users.getMany(Array.from({ length: 101 }, (_, index) => `id-${index}`));
    expect([...found.keys()]).toEqual(["id-a"]);
    expect(service.requests).toHaveLength(3);
  });

  test("needs a service key", async () => {
    const bare = createUsersyncServer({ url: "http://usersync.test", fetch: service.fetch });
    await expect(bare.users.get("x")).rejects.toMatchObject({ code: "no_service_key" });
  });
});

test("a reverse proxy's word is taken where each header stands once", () => {
  const trusted = { trusted: true } as const;
  const headers = { "x-user-id": "1", "x-user-external-id": "a", "x-user-source": "clerk", "x-user-email": "" };
  const ada = { id: "1", externalId: "a", source: "clerk", email: null };
  expect(server.userFromForwardAuth(headers, trusted)).toEqual(ada);
  expect(server.userFromForwardAuth(new Headers(headers), trusted)).toEqual(ada);
  expect(server.userFromForwardAuth({ ...headers, "x-user-id": "" }, trusted)).toBeNull();
  expect(server.userFromForwardAuth({ ...headers, "x-user-id": ["1", "2"] }, trusted)).toBeNull();
});

const behindExpress = async () => {
  const app = express();
  app.use(forExpress(server));
  app.get("/", (req, res) => void res.json((req as unknown as { user: User }).user.externalId));
  const listening = createServer(app).listen(0);
  const { port } = listening.address() as AddressInfo;
  const ask = (headers: Record<string, string>) => fetch(`http://127.0.0.1:${port}/`, { headers });
  return { ask, close: () => void listening.close() };
};

const behindHono = async () => {
  const app = new Hono<{ Variables: { user: User } }>();
  app.use(forHono(server));
  app.get("/", (c) => c.json(c.get("user").externalId));
  return { ask: async (headers: Record<string, string>) => app.request("/", { headers }), close: () => {} };
};

const behindFastify = async () => {
  const app = Fastify();
  await app.register(forFastify(server));
  app.get("/", async (request) => JSON.stringify((request as unknown as { user: User }).user.externalId));
  const ask = async (headers: Record<string, string>) => {
    const { statusCode, headers: given, body } = await app.inject({ url: "/", headers });
    return new Response(body, { status: statusCode, headers: given as Record<string, string> });
  };
  return { ask, close: () => void app.close() };
};

describe.each([["Express", behindExpress], ["Hono", behindHono], ["Fastify", behindFastify]])("%s", (_, start) => {
  test("lets users pass and refuses everybody else as usersync does", async () => {
    const app = await start();
    try {
      const passed = await app.ask({ authorization: "Bearer t" });
      expect(await passed.json()).toBe("ada");

      const bare = await app.ask({});
      expect([bare.status, bare.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
      expect(bare.headers.get("content-type")).toContain("application/problem+json");
      expect(await bare.json()).toMatchObject({ code: "invalid_auth_header", status: 401 });

      answer(() => problem(404, "user_not_synced", { "retry-after": "1" }));
      const early = await app.ask({ authorization: "Bearer t" });
      expect([early.status, early.headers.get("retry-after")]).toEqual([404, "1"]);

      answer(() => new Response("<html>", { status: 200, headers: { "content-type": "text/html" } }));
      const broken = await app.ask({ authorization: "Bearer t" });
      expect(broken.status).toBe(503);
      expect(await broken.json()).toMatchObject({ code: "usersync_unavailable" });
    } finally {
      app.close();
    }
  });
});
