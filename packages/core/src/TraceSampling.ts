/**
 * Which mails are traced.
 *
 * A span is the dearest thing that happens to a mail on its way, so the choice is made once, at the root, before any
 * span is built: a mail that is not chosen builds none. A mail sent inside a span that is already there (an HTTP
 * request, a job) follows that span's own choice.
 */
import * as Context from "effect/Context"

/** The share of mails traced when there is no span around them, from 0 to 1. Defaults to 1. */
export const SampleRatio = Context.Reference<number>("mailrace/TraceSampling/SampleRatio", { defaultValue: () => 1 })
