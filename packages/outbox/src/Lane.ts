/**
 * Lanes: what waits in one line.
 *
 * Mails of one lane are claimed in their order and share a quota, and a lane that is throttled, paused or slow holds up
 * no other. A lane is the domain that the mail goes to unless `enqueue` is given another name (a tenant, a campaign).
 * Each lane belongs to one of 1,024 buckets, fixed by its name and stored with the mail, so that several machines can share
 * the work by owning buckets. There are enough of them for a few hundred machines.
 *
 * @since 0.1.0
 */

/**
 * How many buckets there are. Stored rows depend on it. Up to version 0.1 there were 64; a row that lies in another bucket
 * than its lane's is moved when a dispatcher comes upon it.
 *
 * @since 0.1.0
 */
export const buckets = 1024

/**
 * The bucket of a lane, 0–1023: FNV-1a over its UTF-16 units, which is the same on every machine.
 *
 * @since 0.1.0
 */
export const bucket = (lane: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < lane.length; i++) hash = Math.imul(hash ^ lane.charCodeAt(i), 0x01000193)
  // The low bits of FNV-1a depend on the low bits of the input alone, so the high ones are folded in.
  return (hash ^ (hash >>> 15)) & (buckets - 1)
}

/**
 * The lane of an address: its domain in lower case.
 *
 * @since 0.1.0
 */
export const ofAddress = (address: string): string => address.slice(address.lastIndexOf("@") + 1).toLowerCase()
