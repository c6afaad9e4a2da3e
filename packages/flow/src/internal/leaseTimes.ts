/**
 * How far ahead a `LeasedRate` leases, how many times at once, and for how long it may use them.
 */

/** How far ahead times are leased, in milliseconds. */
export const leaseMs = 250

/** Nothing is leased further ahead, so that processes that come later wait no longer. */
export const furthestMs = 500

/**
 * A message may be admitted this many milliseconds after its time, and begin so many after that: what all processes are late
 * together must fit into the burst, which is 50 ms' worth and at least one.
 */
export const latestOf = (perSecond: number): number => Math.max(15, 300 / perSecond)

/** Times under limits without spacing may be used for so long, in milliseconds. */
export const countedMs = 1000

/** Without spacing, this many messages are leased at first, and at most. */
export const fewest = 8
export const most = 500
