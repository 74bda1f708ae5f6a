import { signIn, signOut } from "./actions";
import { CurrentUser } from "./current-user";
import { getCurrentUser, getSession } from "./session";

export default async function Page() {
  const session = await getSession();
  // Rendered on the server: the page arrives with the user on it.
  const user = await getCurrentUser();
  return (
    <main>
      <h1>Next.js</h1>
      <p>The server says: {user ? `hello, ${user.name}` : "nobody"}</p>
      <CurrentUser subject={session?.subject ?? null} initialUser={user} signOut={signOut}>
        <form action={signIn}>
          <input name="name" aria-label="Name" defaultValue="Ada" required />
          <button>Sign in</button>
        </form>
      </CurrentUser>
    </main>
  );
}
