/**
 * Whether an address is this machine's own, where mail does not travel over a network.
 */
export const isLoopback = (address: string): boolean => address.startsWith("127.") || address === "::1"
