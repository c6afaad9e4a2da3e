/**
 * Mailrace as applications use it: `Mailer.sendAll` over an `SmtpTransport`, with the default retry policy.
 */
import type * as Delivery from "mailrace/Delivery"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import * as MimeComposer from "mailrace/MimeComposer"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import type { Batch, Contestant, MakeContestant } from "../Contestant.ts"
import type { SendSpec } from "../Protocol.ts"
import { fromCold } from "../internal/fromCold.ts"
import { composedFrom, modeOf, relayOptions } from "./relay.ts"

export const make: MakeContestant = (spec, messages) =>
  spec.isCold === true ? fromCold(spec, messages, makeWarm) : makeWarm(spec, messages)

const makeWarm: MakeContestant = async (spec, messages) => {
  const mode = modeOf(spec)
  const transport = SmtpTransport.layer({
    ...relayOptions(spec, mode),
    minConnections: spec.isCold === true ? 0 : spec.connections,
    maxConnections: spec.connections
  })
  const before = spec.flow === true ? await flowControl() : spec.router === true ? await router() : undefined
  const limited = before === undefined ? transport : Layer.provideMerge(before, transport)
  const observed = Layer.merge(await tracingOf(spec), await recordingOf(spec))
  const runtime = ManagedRuntime.make(Layer.provideMerge(limited, observed))
  if (spec.isCold !== true) {
    await runtime.runPromise(Effect.flatMap(SmtpTransport.SmtpTransport, ({ verify }) => verify))
  }
  const concurrency =
    spec.concurrency ??
    (await runtime.runPromise(Effect.map(MailTransport, (transport) => transport.concurrency ?? 10)))
  const sendable: (index: number) => Mailer.Sendable =
    spec.content === "composed" ? messages.mail : composedFrom(messages)
  function* mails(first: number, count: number): Generator<Mailer.Sendable> {
    for (let index = first; index < first + count; index++) yield sendable(index)
  }
  /** A connection enters its mode with its first messages, so a batch must have some before it shows. */
  const checkMode = async ({ count }: Batch): Promise<void> => {
    const { pipelining } = await runtime.runPromise(Effect.flatMap(SmtpTransport.SmtpTransport, ({ stats }) => stats))
    if (mode === "auto" || count < fewestForMode || pipelining === mode) return
    throw new Error(`the sink was to be sent to in mode ${mode}, but it is ${pipelining}`)
  }
  const send = async (batch: Batch): Promise<void> => {
    const record = (deliveries: ReadonlyArray<Delivery.Delivery>): void => {
      for (const delivery of deliveries) {
        if (delivery._tag === "Accepted") batch.accepted(delivery.durationMs)
        else batch.failed(delivery.error.message)
      }
    }
    await Stream.fromIterable({ [Symbol.iterator]: () => mails(batch.first, batch.count) }).pipe(
      Mailer.sendAll({ concurrency }),
      Stream.runForEachArray((deliveries) => Effect.sync(() => record(deliveries))),
      runtime.runPromise
    )
    if (spec.isCold !== true) await checkMode(batch)
  }
  const contestant: Contestant = { concurrency, send, close: () => runtime.dispose() }
  if (spec.content !== "composed") return contestant
  return {
    ...contestant,
    contentOf: async (index) => {
      const { content } = await Effect.runPromise(MimeComposer.compose(messages.mail(index)))
      if (content instanceof Uint8Array) return content
      throw new Error("a plain text was composed into a stream")
    }
  }
}

/** A connection speculates after this many messages in a row. */
const fewestForMode = 10

/** All gates, none of which holds anything back; loads them only if they are measured. */
const flowControl = async () => {
  const FlowTransport = await import("@mailrace/flow/FlowTransport")
  return Layer.orDie(FlowTransport.layer({ rate: ["10000000/s"], adaptive: true, circuit: true }))
}

/** A router of the one relay; loads it only if it is measured. */
const router = async () => {
  const Router = await import("@mailrace/router/Router")
  const one = Effect.flatMap(MailTransport, (transport) => Router.make({ relays: [{ name: "relay", transport }] }))
  return Layer.orDie(
    Layer.effect(
      MailTransport,
      Effect.map(one, ({ transport }) => transport)
    )
  )
}

/** Traces as an application has them, sent to the collector; loads the tracer only if it is measured. */
const tracingOf = async ({ tracing }: SendSpec): Promise<Layer.Layer<never>> => {
  if (tracing === undefined) return Layer.empty
  const Telemetry = await import("@mailrace/telemetry/Telemetry")
  return Layer.orDie(
    Telemetry.layer({ url: `http://127.0.0.1:${tracing.collectorPort}`, sampleRatio: tracing.sampleRatio })
  )
}

/** Records metrics if the spec says so, as with an exporter. */
const recordingOf = async ({ metrics }: SendSpec): Promise<Layer.Layer<never>> => {
  if (metrics === undefined) return Layer.empty
  const SendMetrics = await import("mailrace/SendMetrics")
  return Layer.succeed(SendMetrics.Recording, metrics)
}
