/**
 * DKIM alone: signs composed messages, many at once if the contestant can, and discards them.
 *
 * nodemailer signs a stream, which this reads to its end, as nodemailer's transports do. It has only RSA.
 */
import * as Dkim from "mailrace/Dkim"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import DKIM from "nodemailer/lib/dkim"
import { performance } from "node:perf_hooks"
import type { Batch, MakeContestant } from "../Contestant.ts"
import type { Messages } from "../Messages.ts"
import { composedFrom } from "./relay.ts"

type Sign = (index: number) => Promise<Uint8Array>

const domain = "sender.example"

const selector = "bench"

export const make: MakeContestant = async (spec, messages) => {
  const concurrency = spec.concurrency ?? 32
  const algorithm = spec.contestant.endsWith("ed25519") ? "ed25519-sha256" : "rsa-sha256"
  const keys = await Effect.runPromise(Dkim.generateKeys(algorithm))
  if (spec.contestant.startsWith("nodemailer")) {
    const sign = withNodemailer(messages, Redacted.value(keys.privateKey))
    return { concurrency, contentOf: sign, send: (batch) => inTurns(batch, concurrency, sign), close: async () => {} }
  }
  const signer = await Effect.runPromise(Dkim.make({ domain, selector, privateKey: keys.privateKey }))
  const message = composedFrom(messages)
  const sign = Dkim.sign(signer)
  return {
    concurrency,
    contentOf: (index) =>
      Effect.runPromise(
        Effect.map(sign(message(index)), ({ content }) => (content instanceof Uint8Array ? content : new Uint8Array()))
      ),
    send: (batch) =>
      Effect.runPromise(
        Effect.forEach(
          numbers(batch),
          (index) =>
            Effect.suspend(() => {
              const begin = performance.now()
              const unsigned = message(index)
              return Effect.map(sign(unsigned), ({ size }) => {
                if (size > unsigned.size) batch.accepted(performance.now() - begin)
                else batch.failed("nothing was signed")
              })
            }),
          { concurrency, discard: true }
        )
      ),
    close: async () => {}
  }
}

function* numbers(batch: Batch): Generator<number> {
  for (let index = batch.first; index < batch.first + batch.count; index++) yield index
}

const inTurns = async (batch: Batch, concurrency: number, sign: Sign): Promise<void> => {
  const left = numbers(batch)
  const worker = async () => {
    for (const index of left) {
      const begin = performance.now()
      const { length } = await sign(index)
      if (length > 0) batch.accepted(performance.now() - begin)
      else batch.failed("nothing was signed")
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

const withNodemailer = (messages: Messages, privateKey: string): Sign => {
  const dkim = new DKIM({ domainName: domain, keySelector: selector, privateKey })
  return async (index) => {
    const chunks: Array<Uint8Array> = []
    for await (const chunk of dkim.sign(Buffer.from(messages.content(index)))) chunks.push(chunk as Uint8Array)
    return Buffer.concat(chunks)
  }
}
