/**
 * nodemailer, with its pool and without. Its pool retires a connection after 100 messages by default; here it keeps them,
 * to its advantage, unless replacing them is measured.
 */
import { performance } from "node:perf_hooks"
import * as nodemailer from "nodemailer"
import type { Batch, Contestant, MakeContestant } from "../Contestant.ts"
import { fromCold } from "../internal/fromCold.ts"

export const make: MakeContestant = (spec, messages) =>
  spec.isCold === true ? fromCold(spec, messages, makeWarm) : makeWarm(spec, messages)

const makeWarm: MakeContestant = async (spec, messages) => {
  const pooled = spec.contestant === "nodemailer-pool" && spec.connectionPerMessage !== true
  const smtp = {
    host: spec.host,
    port: spec.port,
    secure: spec.tls === "implicit",
    requireTLS: spec.tls === "required",
    ignoreTLS: spec.tls === "off",
    name: "bench.example",
    tls: spec.ca === undefined ? {} : { ca: spec.ca, servername: "localhost" }
  }
  const transporter = pooled
    ? nodemailer.createTransport({
        ...smtp,
        pool: true,
        maxConnections: spec.connections,
        maxMessages: spec.maxMessages ?? Number.POSITIVE_INFINITY,
        idleTimeout: 0
      })
    : nodemailer.createTransport(smtp)
  const composes = spec.content === "composed"
  const mailOf = (index: number): nodemailer.SendMailOptions => {
    if (composes) return messages.mail(index) as nodemailer.SendMailOptions
    const { from, to } = messages.envelope(index)
    return { envelope: { from, to: [...to] }, raw: messages.content(index) as Buffer }
  }
  const concurrency = spec.concurrency ?? spec.connections * (pooled ? 2 : 1)
  const send = async (batch: Batch): Promise<void> => {
    let next = batch.first
    const end = batch.first + batch.count
    const worker = async () => {
      while (next < end) {
        const mail = mailOf(next++)
        const begin = performance.now()
        try {
          const { rejected } = await transporter.sendMail(mail)
          if (rejected.length === 0) batch.accepted(performance.now() - begin)
          else batch.failed(`${rejected.length} recipients were refused`)
        } catch (error) {
          batch.failed(String(error))
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(concurrency, batch.count) }, worker))
  }
  const contestant: Contestant = { concurrency, send, close: async () => transporter.close() }
  if (!composes) return contestant
  const composer = nodemailer.createTransport({ streamTransport: true, buffer: true, newline: "windows" })
  return {
    ...contestant,
    contentOf: async (index) => (await composer.sendMail(mailOf(index))).message as Buffer
  }
}
