// Who is signed in, in a cookie that only the server reads. A sign-in library for Next.js does the same, and better.

import { cookies } from "next/headers";
import { createUsersyncServer } from "@usersync/client/server";

const usersyncUrl = process.env.USERSYNC_URL ?? "http://127.0.0.1:8787";
const usersync = createUsersyncServer({ url: usersyncUrl });

export async function getSession() {
  const name = (await cookies()).get("name")?.value;
  return name ? { name, subject: `user_${name.toLowerCase().replaceAll(/\W+/g, "_")}` } : null;
}

/** The token of who is signed in. `usersync dev` gives one for anybody. */
export async function getToken(): Promise<string | null> {
  const session = await getSession();
  if (!session) return null;
  const body = JSON.stringify({ sub: session.subject, claims: { name: session.name } });
  const answer = await fetch(`${usersyncUrl}/dev/token`, { method: "POST", body, cache: "no-store" });
  if (!answer.ok) throw new Error(`usersync dev answered ${answer.status}`);
  return ((await answer.json()) as { token: string }).token;
}

/** The row of who is signed in; `null` if nobody is, or if the row has not come yet. */
export async function getCurrentUser() {
  return usersync.getCurrentUser(await getToken());
}
