/** Lets a step of the session happen, or lets a fault happen in its place. */
import type * as Fault from "../Fault.ts"
import type { SessionView } from "./wire.ts"

/** Neither a reply (RFC 5321 §4.2) nor a TLS record. */
const garbage = "\x00\xff\xfe?! this is no answer %%%\r\n"

/**
 * Runs `normal`, which answers rightly and has its effect, or what the fault script has for this event. `recipients`
 * are those at hand; the transaction's are taken when left out.
 */
export const perform = (
  session: SessionView,
  phase: Fault.Phase,
  normal: () => void,
  details?: { readonly from?: string | undefined; readonly to?: ReadonlyArray<string> | undefined }
): void => {
  const { connection, server } = session
  if (!server.script.concerns(phase)) return normal()
  const action = server.script.pick({
    phase,
    connection: connection.id,
    from: details?.from ?? session.transaction.sender,
    to: details?.to ?? session.transaction.recipients
  })
  if (action === undefined) return normal()
  server.counters.faults++
  act(session, phase, action, normal)
}

const act = (session: SessionView, phase: Fault.Phase, action: Fault.Action, normal: () => void): void => {
  const { connection } = session
  switch (action.type) {
    case "reply":
      return answer(session, phase, action, normal)
    case "delay":
      return connection.block(action.ms, normal)
    case "drip":
      return connection.drip(connection.capture(normal), action.ms)
    case "lie":
      session.lie(action.keyword)
      return normal()
    case "garbage":
      if (phase === "tls") return connection.garble(garbage)
      session.refused(phase)
      connection.emit(garbage)
      if (phase === "connect") connection.hang(true)
      return
    case "drop":
      session.refused(phase)
      connection.end()
      return connection.flush()
    case "reset":
      session.refused(phase)
      return connection.reset()
    case "hang":
      session.refused(phase)
      return connection.hang(phase !== "content")
    case "partial": {
      const text = connection.capture(() => session.transaction.unanswered(normal))
      connection.emit(text.slice(0, Math.ceil(text.length / 2)))
      if (action.end === "close") return connection.end()
      return connection.hang(true)
    }
  }
}

const answer = (
  session: SessionView,
  phase: Fault.Phase,
  { code, text }: Extract<Fault.Action, { type: "reply" }>,
  normal: () => void
): void => {
  const { connection } = session
  // Characters above 127 go out as UTF-8; the connection writes one byte a character.
  const line = Buffer.from(text === "" ? `${code}\r\n` : `${code} ${text}\r\n`).toString("latin1")
  if (code < 400) connection.capture(normal)
  else session.refused(phase, true)
  connection.reply(phase, line)
  // A reply in the middle of content can only be the last word, for the rest of the content still comes.
  if (code === 421 || phase === "connect" || phase === "content") connection.end()
}
