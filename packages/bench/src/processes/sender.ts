/**
 * The process that a contestant runs in. It sends the requested messages and measures itself.
 *
 * In the timed part it only counts; it makes digests before or after. Memory and progress are sampled by a timer.
 */
import { readdirSync } from "node:fs"
import { monitorEventLoopDelay, performance } from "node:perf_hooks"
import * as Digest from "@mailrace/testing/Digest"
import type { Sample } from "../BenchReport.ts"
import type { Contestant } from "../Contestant.ts"
import * as Contestants from "../Contestants.ts"
import * as Messages from "../Messages.ts"
import type { IdleResult, Opened, RunResult, SenderRequest, SendSpec } from "../Protocol.ts"
import { LatencyHistogram } from "../Statistics.ts"
import { serve } from "./serve.ts"

interface Running {
  readonly spec: SendSpec
  readonly messages: Messages.Messages
  readonly contestant: Contestant
  /** The number of open descriptors before the first connection. */
  readonly descriptors: number
}

let running: Running | undefined

const sampleEveryMs = 50

serve<SenderRequest>(async (request) => {
  switch (request._tag) {
    case "Open":
      return open(request.spec)
    case "Run":
      return run(request)
    case "Idle":
      return idle(request.milliseconds)
    case "Close":
      await running?.contestant.close()
      running = undefined
      return undefined
  }
})

const open = async (spec: SendSpec): Promise<Opened> => {
  const messages = Messages.make({
    messageBytes: spec.messageBytes,
    content: spec.content === "prebuilt" ? "prebuilt" : "generated",
    recipients: spec.recipients,
    shape: spec.shape
  })
  const descriptors = openDescriptors()
  const contestant = await (await Contestants.load(spec.contestant))(spec, messages)
  running = { spec, messages, contestant, descriptors }
  const { concurrency, leastBatch = concurrency, warmsUp = true } = contestant
  return { concurrency, leastBatch, warmsUp }
}

const run = async (request: Extract<SenderRequest, { readonly _tag: "Run" }>): Promise<RunResult> => {
  const { first, messages: count } = request
  const { contestant, descriptors } = theContestant()
  const latencies = new LatencyHistogram()
  let accepted = 0
  let failures = 0
  let firstProblem: string | undefined
  let firstEndMs = Number.NaN
  globalThis.gc?.()
  const measuring = measure(request.samples, descriptors, () => accepted)
  const elsewhere = await contestant.send({
    first,
    count,
    accepted: (latencyMs) => {
      if (accepted === 0) firstEndMs = performance.now()
      accepted++
      if (latencyMs !== undefined) latencies.record(latencyMs)
    },
    failed: (problem) => {
      failures++
      firstProblem ??= problem
    }
  })
  const measured = measuring.end()
  return {
    messages: accepted,
    elapsedMs: elsewhere?.elapsedMs ?? measured.elapsedMs,
    cpuMicros: elsewhere?.cpuMicros ?? measured.cpuMicros,
    rssPeakBytes: elsewhere?.rssPeakBytes ?? measured.rssPeakBytes,
    minMs: latencies.min,
    p50Ms: latencies.quantile(0.5),
    p90Ms: latencies.quantile(0.9),
    p99Ms: latencies.quantile(0.99),
    p999Ms: latencies.quantile(0.999),
    meanMs: latencies.mean,
    maxMs: latencies.max,
    eventLoopDelayP99Ms: measured.eventLoopDelayP99Ms,
    sockets: elsewhere === undefined ? measured.sockets : null,
    storedBytesPerMessage: elsewhere?.storedBytesPerMessage,
    failures: failures + (count - accepted - failures),
    firstProblem: firstProblem ?? (accepted < count ? "messages ended without an outcome" : undefined),
    digest: await digest(first, Math.min(count, request.digested)),
    samples: thin(measured.samples),
    firstEndMs
  }
}

/** Measures the process from now until `end`; `progress` returns the number of accepted messages. */
const measure = (keepsSamples: boolean | undefined, descriptors: number, progress: () => number) => {
  const samples: Array<Sample> = []
  let rssPeakBytes = 0
  let sockets = 0
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const cpuBefore = process.cpuUsage()
  const begin = performance.now()
  const sample = () => {
    const memory = process.memoryUsage()
    rssPeakBytes = Math.max(rssPeakBytes, memory.rss)
    if (keepsSamples === true) {
      const ms = performance.now() - begin
      samples.push({ ms, messages: progress(), rssBytes: memory.rss, heapBytes: memory.heapUsed })
    }
    sockets = Math.max(sockets, openDescriptors() - descriptors)
  }
  const sampler = setInterval(sample, sampleEveryMs)
  return {
    end: () => {
      const elapsedMs = performance.now() - begin
      const cpu = process.cpuUsage(cpuBefore)
      clearInterval(sampler)
      sample()
      delay.disable()
      return {
        elapsedMs,
        cpuMicros: cpu.user + cpu.system,
        rssPeakBytes,
        sockets,
        samples,
        eventLoopDelayP99Ms: delay.percentile(99) / 1e6
      }
    }
  }
}

/** Measures the cost of an open pool while there is nothing to send. */
const idle = async (milliseconds: number): Promise<IdleResult> => {
  const cpuBefore = process.cpuUsage()
  const begin = performance.now()
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
  const cpu = process.cpuUsage(cpuBefore)
  return { cpuMicros: cpu.user + cpu.system, elapsedMs: performance.now() - begin }
}

const digest = async (first: number, count: number): Promise<Digest.Digest> => {
  const { contestant, messages } = theContestant()
  let result = Digest.empty
  for (let index = first; index < first + count; index++) {
    result = Digest.add(result, contestant.contentOf ? await contestant.contentOf(index) : messages.glimpse(index))
  }
  return result
}

const theContestant = (): Running => {
  if (running === undefined) throw new Error("no contestant is open")
  return running
}

/** Counts descriptors without inspecting each, which would show in the figures at 200 connections. */
const openDescriptors = (): number => {
  try {
    return readdirSync("/proc/self/fd").length
  } catch {
    return 0
  }
}

/** At most 240 samples, evenly spaced. */
const thin = (samples: ReadonlyArray<Sample>): ReadonlyArray<Sample> => {
  const step = Math.ceil(samples.length / 240)
  return samples.filter((_, at) => at % step === 0 || at === samples.length - 1)
}
