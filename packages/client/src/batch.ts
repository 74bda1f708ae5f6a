import type { PublicUser } from "./types";

/** The most ids that the service takes at once. */
const largestBatch = 100;

interface Waiting {
  resolve: (user: PublicUser | null) => void;
  reject: (error: unknown) => void;
}

/** Gathers the ids that are asked for in one tick into one request for each hundred of them. */
export class UserBatch {
  readonly #load: (ids: string[]) => Promise<PublicUser[]>;
  #waiting = new Map<string, Waiting[]>();

  constructor(load: (ids: string[]) => Promise<PublicUser[]>) {
    this.#load = load;
  }

  get(id: string): Promise<PublicUser | null> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) setTimeout(() => this.#flush());
      const waiting = this.#waiting.get(id) ?? [];
      this.#waiting.set(id, [...waiting, { resolve, reject }]);
    });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = new Map();
    const ids = [...waiting.keys()];
    for (let start = 0; start < ids.length; start += largestBatch) {
      const batch = ids.slice(start, start + largestBatch);
      const each = (act: (id: string, one: Waiting) => void) =>
        batch.forEach((id) => waiting.get(id)?.forEach((one) => act(id, one)));
      this.#load(batch).then(
        (users) => {
          const known = new Map(users.map((user) => [user.id, user]));
          each((id, one) => one.resolve(known.get(id) ?? null));
        },
        (error: unknown) => each((_, one) => one.reject(error)),
      );
    }
  }
}
