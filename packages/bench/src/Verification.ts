/**
 * Checks that the messages that arrived are those that were sent.
 */
import * as Digest from "@mailrace/testing/Digest"

/** Describes the problem of a run; `undefined` if everything arrived. */
export const problemOf = (run: {
  /** The number of messages of the run. */
  readonly messages: number
  readonly sent: Digest.Digest
  readonly arrived: Digest.Digest
  /** True if the sink only counts messages. */
  readonly countOnly: boolean
}): string | undefined => {
  if (run.arrived.messages !== run.messages) {
    return `${run.messages} messages were sent, but ${run.arrived.messages} arrived`
  }
  return run.countOnly || Digest.equals(run.sent, run.arrived)
    ? undefined
    : "the messages that arrived are not byte for byte those that were sent"
}
