/**
 * The program of `mailrace outbox list`: lists messages or dispatchers.
 */
import type { Entry } from "@mailrace/outbox/OutboxEntry"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as MailSelection from "../../outbox/MailSelection.ts"
import * as DispatcherView from "../../output/DispatcherView.ts"
import * as EntryView from "../../output/EntryView.ts"
import * as Terminal from "../../output/Terminal.ts"
import * as OutboxLocation from "../../outbox/OutboxLocation.ts"
import * as Table from "../../output/Table.ts"
import * as Printable from "../../text/printable.ts"

/** Which messages are listed, and how. */
export interface Options extends OutboxLocation.Options, MailSelection.Options {
  readonly addresses: boolean
  /** Lists the dispatchers instead. */
  readonly dispatchers: boolean
  readonly json: boolean
}

export const run = Effect.fnUntraced(
  function* (options: Options) {
    const selection = yield* MailSelection.read(options)
    const outbox = yield* OutboxLocation.open(options, { create: false })
    if (options.dispatchers) return yield* listDispatchers(outbox, options.json)
    const view: EntryView.View = { now: yield* Clock.currentTimeMillis, addresses: options.addresses }
    if (options.json) {
      return yield* Terminal.write(
        Stream.map(
          MailSelection.mails(outbox, selection),
          (entry) => `${Printable.json(EntryView.toJson(entry, view))}\n`
        )
      )
    }
    // A message that is due in a paused lane waits all the same.
    const paused = new Set(yield* outbox.pausedLanes)
    const limit = selection.limit ?? screenful
    // One more than is shown, to learn if there are more.
    const mails = MailSelection.mails(outbox, { ...selection, limit: selection.limit ?? limit + 1 })
    const style = yield* Terminal.style
    let shown = 0
    yield* Terminal.write(
      Stream.mapAccum(
        Stream.grouped(mails, 1000),
        () => undefined as Table.Table<Entry> | undefined,
        (known, rows) => {
          const table = known ?? Table.layout(EntryView.columns({ ...view, paused }), rows, style)
          const drawn = rows.slice(0, limit - shown).map(table.line)
          shown += rows.length
          return [
            table,
            [[...(known === undefined ? [table.header] : []), ...drawn].map((line) => `${line}\n`).join("")]
          ]
        }
      )
    )
    if (shown === 0)
      return yield* Terminal.log(`no message in ${outbox.name}${selection.isEverything ? "" : " matches"}`)
    if (shown > limit)
      yield* Terminal.log(`showing the first ${limit}; use --limit for more, --state or --lane for fewer`)
  },
  Effect.scoped,
  OutboxLocation.asCommandErrors
)

const listDispatchers = Effect.fnUntraced(function* (outbox: OutboxLocation.Service, json: boolean) {
  const { dispatchers } = yield* outbox.stats
  const text = json
    ? dispatchers.map((dispatcher) => `${Printable.json(DispatcherView.toJson(dispatcher))}\n`).join("")
    : `${DispatcherView.draw(dispatchers, yield* Clock.currentTimeMillis, yield* Terminal.style)}\n`
  yield* Terminal.print(text)
})

/** The most messages in a table by default. */
const screenful = 100
