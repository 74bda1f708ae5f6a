import { sleep } from "./clock";
import type { PublicUser } from "./types";

/** The most ids that the service takes at once. */
const largestBatch = 100;

/** Combines the ids that are requested in one tick into one request for each hundred of them. */
export function createBatch(load: (ids: string[]) => Promise<PublicUser[]>): (id: string) => Promise<PublicUser | null> {
  let ids = new Set<string>();
  let found: Promise<Map<string, PublicUser>> | undefined;

  const flush = async () => {
    await sleep(0);
    const all = [...ids];
    ids = new Set();
    found = undefined;
    const batches: Promise<PublicUser[]>[] = [];
    while (all.length) batches.push(load(all.splice(0, largestBatch)));
    return new Map((await Promise.all(batches)).flat().map((user) => [user.id, user]));
  };

  return async (id) => {
    ids.add(id);
    return (await (found ??= flush())).get(id) ?? null;
  };
}
