/**
 * Lanes: the queues within the outbox.
 *
 * Messages of one lane are claimed in their order and share a quota. A lane that is throttled, paused or slow delays
 * no other lane. The lane of a message is its recipient's domain unless `enqueue` names another (a tenant, a
 * campaign). Each lane belongs to one of 1,024 buckets, which follows from the lane's name and is stored with the
 * message. Several machines share the work by owning buckets; 1,024 are enough for a few hundred machines.
 *
 * @since 0.1.0
 */

/**
 * The number of buckets. Stored rows depend on it. Up to version 0.1 there were 64; a dispatcher that finds a row
 * outside its lane's bucket moves it.
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
