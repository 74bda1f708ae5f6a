import { aborted, sleep } from "./clock";
import type { PublicUser } from "./types";

/** The most ids that the service takes at once. */
const largestBatch = 100;

/** Combines the ids that are requested in one tick into one request for each hundred of them. */
export function createBatch(
  request: (ids: string[]) => Promise<PublicUser[]>,
): (ids: Iterable<string>, signal?: AbortSignal) => Promise<ReadonlyMap<string, PublicUser>> {
  let ids = new Set<string>();
  let loading: Promise<PublicUser[]> | undefined;

  const load = async () => {
    await sleep(0);
    const all = [...ids];
    ids = new Set();
    loading = undefined;
    const found: PublicUser[] = [];
    while (all.length) found.push(...(await request(all.splice(0, largestBatch))));
    return found;
  };

  return async (asked, signal) => {
    const wanted = new Set(asked);
    for (const id of wanted) ids.add(id);
    const found = (loading ??= load());
    // The request continues for other callers that wait for it.
    await Promise.race([found, aborted(signal)]);
    signal?.throwIfAborted();
    return new Map((await found).filter(({ id }) => wanted.has(id)).map((user) => [user.id, user]));
  };
}
