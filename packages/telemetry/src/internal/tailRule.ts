/**
 * Chooses, of the messages that sampling left out, those that someone will look for: the failures and the slowest.
 *
 * In each window of ten seconds these are the first 50 failures of each reason at each relay, one more for each hundred further
 * messages that end, and the ten slowest messages. So all failures are written where fewer than one in a hundred messages fail,
 * and one in a hundred where all do. A failure is written when it ends, a slow message when its window ends, so that at most ten
 * wait. How many failures of a kind were left out is an attribute of the next one that is written.
 */
import type { EndedMail, TailWatch } from "mailrace/TraceSampling"

const windowMs = 10_000
const firstFailures = 50
const mailsForOneMore = 100
const slowestKept = 10

/** Further kinds of failures are counted as one. */
const mostKinds = 200

interface Kind {
  inWindow: number
  leftOut: number
}

/** The rule, over the messages of one tracer. */
export class TailRule implements TailWatch {
  private readonly kinds = new Map<string, Kind>()
  /** The slowest messages of the window, the fastest of them first. */
  private slowest: Array<EndedMail> = []
  private windowEnd = Number.NEGATIVE_INFINITY
  /** The messages that ended in the window, but for the first failures of each kind. */
  private others = 0
  /** The failures that were written for them. */
  private writtenForOthers = 0

  end(mail: EndedMail): string | undefined {
    // A clock that was set back begins a new window too.
    if (mail.endedAt >= this.windowEnd || mail.endedAt < this.windowEnd - windowMs) this.turn(mail.endedAt)
    if (mail.delivery._tag !== "Accepted") {
      const kind = this.kindOf(`${mail.delivery.error.reason._tag} ${mail.relay ?? ""}`)
      if (this.takes(kind)) {
        const { leftOut } = kind
        kind.leftOut = 0
        return mail.write({ "mailrace.trace.kept": "failure", "mailrace.trace.left_out": leftOut })
      }
      kind.leftOut++
    } else this.others++
    this.compete(mail)
    return undefined
  }

  /** Writes the slowest messages up to now. */
  flush(): void {
    const { slowest } = this
    this.slowest = []
    for (const mail of slowest) mail.write({ "mailrace.trace.kept": "slow" })
  }

  /** Ends the window if it is over, in case no further message comes. */
  flushAt(now: number): void {
    if (this.slowest.length > 0 && now >= this.windowEnd) this.flush()
  }

  /** True if a failure of this kind, which is counted, is to be written. */
  private takes(kind: Kind): boolean {
    if (++kind.inWindow <= firstFailures) return true
    if (this.writtenForOthers >= Math.floor(++this.others / mailsForOneMore)) return false
    this.writtenForOthers++
    return true
  }

  private turn(now: number): void {
    this.flush()
    this.windowEnd = now + windowMs
    this.others = 0
    this.writtenForOthers = 0
    for (const [name, kind] of this.kinds) {
      kind.inWindow = 0
      if (kind.leftOut === 0) this.kinds.delete(name)
    }
  }

  private compete(mail: EndedMail): void {
    const { slowest } = this
    const { durationMs } = mail.delivery
    if (slowest.length === slowestKept) {
      if (durationMs <= slowest[0]!.delivery.durationMs) return
      slowest.shift()
    }
    let at = slowest.length
    while (at > 0 && slowest[at - 1]!.delivery.durationMs > durationMs) at--
    slowest.splice(at, 0, mail)
  }

  private kindOf(name: string): Kind {
    const known = this.kinds.get(name)
    if (known !== undefined) return known
    if (this.kinds.size >= mostKinds && name !== remainingKinds) return this.kindOf(remainingKinds)
    const kind = { inWindow: 0, leftOut: 0 }
    this.kinds.set(name, kind)
    return kind
  }
}

const remainingKinds = "others"
