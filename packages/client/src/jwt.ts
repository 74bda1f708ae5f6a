/** The claims of a token that the client reads. It is not verified here: only the service can do that. */
export interface Claims {
  sub?: string;
  iss?: unknown;
  aud?: unknown;
  /** Seconds since 1970. */
  exp?: number;
  iat?: number;
}

/** The claims of a JWT; none for a token of another form, which may still be valid. */
export function claimsOf(token: string): Claims {
  try {
    const payload = token.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    return Object(JSON.parse(new TextDecoder().decode(bytes))) as Claims;
  } catch {
    return {};
  }
}
