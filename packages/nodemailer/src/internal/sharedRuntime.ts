/**
 * The runtime of a plugin: the caller's own, or one that is made on demand.
 *
 * A program on nodemailer's plain SMTP transport never closes it and still ends, because nothing is open between
 * two messages. A pool of connections would keep it alive. So a runtime that the app did not ask to keep is closed after a while
 * without use, and made again for the next message.
 */
import type { MailTransport } from "mailrace/MailTransport"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"

type Runtime = ManagedRuntime.ManagedRuntime<MailTransport, unknown>

/** A runtime that closes when it is unused. */
export interface SharedRuntime {
  /** The runtime. Call `release` after use. */
  readonly use: () => Runtime
  /** Ends a use. */
  readonly release: () => void
  /** Closes the runtime for good, if it was made here. */
  readonly close: () => Promise<void>
}

/** The caller's own runtime, which this module never closes. */
export const borrowed = (runtime: Runtime): SharedRuntime => ({
  use: () => runtime,
  release: () => {},
  close: () => Promise.resolve()
})

/**
 * A layer's runtime, closed after `lingerMs` without use, or never if that is `undefined`. `onRest` is called when it was
 * closed so.
 */
export const owned = (
  layer: Layer.Layer<MailTransport, unknown>,
  lingerMs: number | undefined,
  onRest: () => void = () => {}
): SharedRuntime => {
  let runtime: Runtime | undefined
  let timer: NodeJS.Timeout | undefined
  const close = async (): Promise<void> => {
    const last = runtime
    runtime = undefined
    clearTimeout(timer)
    await last?.dispose()
  }
  return {
    use: () => {
      clearTimeout(timer)
      return (runtime ??= ManagedRuntime.make(layer))
    },
    release: () => {
      clearTimeout(timer)
      if (lingerMs !== undefined) timer = setTimeout(() => void close().then(onRest), lingerMs)
      timer?.unref()
    },
    close
  }
}
