import type { Session } from "./types";

/** The other tabs of one user: told of a deletion and of a sign-out. Nothing happens where there are none. */
export interface Tabs {
  /** Of whom to hear from now on. */
  follow(subject: string | null | undefined): void;
  tell(status: Session["status"]): void;
}

export function createTabs(onMessage: (message: unknown) => void): Tabs {
  let whose: string | null | undefined;
  let channel: (BroadcastChannel & { unref?: () => void }) | undefined;
  return {
    follow(subject) {
      if (subject === whose) return;
      whose = subject;
      channel?.close();
      channel = subject && globalThis.BroadcastChannel ? new BroadcastChannel(`usersync:${subject}`) : undefined;
      if (channel) channel.onmessage = ({ data }) => onMessage(data);
      // Node would wait for a channel; browsers know no such thing.
      channel?.unref?.();
    },
    tell(status) {
      if (status === "deleted" || status === "signedOut") channel?.postMessage(status);
    },
  };
}
