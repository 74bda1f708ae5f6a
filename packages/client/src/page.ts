/** How long a page may be hidden before its connection is given back. */
const hiddenFor = 30_000;
const events = ["visibilitychange", "pageshow", "focus", "online"];

/**
 * A page that sleeps misses its timers; when it wakes, everything is looked at again. Where there is no page, as in
 * Node or React Native, nothing happens. Returns what ends it.
 */
export function watchPage(onHidden: () => void, onWake: (isOnline: boolean) => void): () => void {
  const page = globalThis as Partial<Pick<Window, "document" | "addEventListener" | "removeEventListener">>;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = ({ type }: { type: string }) => {
    clearTimeout(timer);
    if (page.document?.hidden) timer = setTimeout(onHidden, hiddenFor);
    else onWake(type === "online");
  };
  for (const event of events) page.addEventListener?.(event, look);
  return () => {
    clearTimeout(timer);
    for (const event of events) page.removeEventListener?.(event, look);
  };
}
