/** Where things are when nothing else is said. */
export const defaults = {
  /** State that outlives a reboot: images, records, writable layers, logs. */
  root: "/var/lib/hull",
  /** State that does not: sockets, mounts, bundles. Paths below it must stay short (unix sockets take 107 bytes). */
  state: "/run/hull",
  /** The Docker Engine API. */
  socket: "/run/hull/hull.sock",
  config: "/etc/hull/config.json",
} as const;

/** The embedded image, made from the host's static busybox when it is first asked for. */
export const tinyImage = "hull/tiny";
