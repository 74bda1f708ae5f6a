import type { Session } from "./types";

/** Notifies the other tabs of one user of a deletion and of a sign-out. */
export interface Tabs {
  /** The user whose tabs to listen to from now on. */
  follow(subject: string | null | undefined): void;
  publish(status: Session["status"]): void;
}

export function createTabs(onMessage: (message: "deleted" | "signedOut") => void): Tabs {
  let whose: string | null | undefined;
  let channel: (BroadcastChannel & { unref?: () => void }) | undefined;
  return {
    follow(subject) {
      if (subject === whose) return;
      whose = subject;
      channel?.close();
      channel = subject && globalThis.BroadcastChannel ? new BroadcastChannel(`usersync:${subject}`) : undefined;
      if (channel) channel.onmessage = ({ data }) => onMessage(data as "deleted" | "signedOut");
      // Node would wait for a channel; browsers have no `unref`.
      channel?.unref?.();
    },
    publish(status) {
      if (status === "deleted" || status === "signedOut") channel?.postMessage(status);
    },
  };
}
