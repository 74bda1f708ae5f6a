"use server";

import { cookies } from "next/headers";

export async function signIn(form: FormData) {
  (await cookies()).set("name", String(form.get("name")), { httpOnly: true, sameSite: "lax" });
}

export async function signOut() {
  (await cookies()).delete("name");
}
