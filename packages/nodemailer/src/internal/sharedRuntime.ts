/**
 * The runtime that a plugin sends by: the caller's own, or one that is made when it is needed.
 *
 * A program on nodemailer's plain SMTP transport never closes it and still ends, because nothing is left open between
 * two mails. A pool of connections would keep it alive, so one that nobody asked for is given up after a while without
 * use, and made again with the next mail.
 */
import type { MailTransport } from "mailrace/MailTransport"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"

type Runtime = ManagedRuntime.ManagedRuntime<MailTransport, unknown>

/** A runtime for as long as it is used. */
export interface SharedRuntime {
  /** The runtime, to be used now; `release` is due afterwards. */
  readonly use: () => Runtime
  /** Says that nothing uses it any more for now. */
  readonly release: () => void
  /** Gives it up for good, if it was made here. */
  readonly close: () => Promise<void>
}

/** The caller's own runtime, which is never closed here. */
export const borrowed = (runtime: Runtime): SharedRuntime => ({
  use: () => runtime,
  release: () => {},
  close: () => Promise.resolve()
})

/** A runtime of a layer, given up after `lingerMs` without use, or never if that is `undefined`. */
export const owned = (layer: Layer.Layer<MailTransport, unknown>, lingerMs: number | undefined): SharedRuntime => {
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
      if (lingerMs !== undefined) timer = setTimeout(() => void close(), lingerMs)
      timer?.unref()
    },
    close
  }
}
