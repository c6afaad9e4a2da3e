/**
 * Whether what arrived is what was sent.
 */
import * as Digest from "@mailrace/testing/Digest"

/** What is wrong with a run in words, or `undefined` when everything arrived. */
export const problemOf = (run: {
  /** How many messages were to be sent. */
  readonly messages: number
  readonly sent: Digest.Digest
  readonly arrived: Digest.Digest
  /** The sink keeps counts and nothing else. */
  readonly countOnly: boolean
}): string | undefined => {
  if (run.arrived.messages !== run.messages) {
    return `${run.messages} messages were sent, but ${run.arrived.messages} arrived`
  }
  return run.countOnly || Digest.equals(run.sent, run.arrived)
    ? undefined
    : "what arrived is not byte for byte what was sent"
}
