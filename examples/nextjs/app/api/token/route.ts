import { getToken } from "../../session";

/** The token for the page, which asks usersync itself. Only pages of this origin can read it. */
export async function GET() {
  return Response.json({ token: await getToken() }, { headers: { "cache-control": "no-store" } });
}
