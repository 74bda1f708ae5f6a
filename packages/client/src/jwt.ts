/** What a client reads of a token. It is not verified here: only the service can do that. */
export interface Claims {
  sub?: string;
  iss?: string;
  aud?: string | string[];
  /** Seconds since 1970. */
  exp?: number;
  iat?: number;
}

/** The claims of a JWT; `null` for a token of another form, which may be good all the same. */
export function claimsOf(token: string): Claims | null {
  try {
    const payload = token.split(".")[1] ?? "";
    const binary = atob(payload.replace(/-/g, "+").replace(/_/g, "/"));
    const claims: unknown = JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0))));
    return typeof claims === "object" ? (claims as Claims | null) : null;
  } catch {
    return null;
  }
}
