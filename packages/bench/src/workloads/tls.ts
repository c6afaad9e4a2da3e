/** The cost of encryption: the handshake, full and resumed, and the stream after it. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import type { Contender, Race } from "../Race.ts"
import type { Workload } from "../Workload.ts"

const workload = "tls"

const perConnection: Contender = { contestant: "mailrace-session", connectionPerMessage: true, connections: 1 }

const connects = (rttMs: number): ReadonlyArray<Omit<Race, "workload">> => {
  const away = rttMs === 0 ? "" : `, ${rttMs} ms`
  return [
    {
      variant: `connect, no TLS${away}`,
      rttMs,
      contenders: [perConnection, { contestant: "nodemailer", connections: 1 }]
    },
    {
      variant: `connect, TLS${away}`,
      rttMs,
      tls: "implicit" as const,
      contenders: [
        { ...perConnection, variant: `connect, TLS full${away}` },
        { ...perConnection, resumeTls: true, variant: `connect, TLS resumed${away}` },
        { contestant: "nodemailer", connections: 1, variant: `connect, TLS full${away}` }
      ]
    }
  ]
}

const streaming: ReadonlyArray<Omit<Race, "workload">> = [
  {
    variant: "stream, TLS",
    tls: "required",
    contenders: [{ contestant: "mailrace-speculative" }, { contestant: "nodemailer-pool" }]
  }
]

export const tls: Workload = {
  name: workload,
  title: "TLS",
  description:
    "One connection after the other, each for one message (connect, handshake, greeting, EHLO, message, QUIT): without TLS, with a full handshake, with a resumed one (which spares the certificate and its checks, not the exchange of keys); on the spot and (not in short runs) at 20 ms. Then the steady stream over 10 encrypted connections, to be compared with Loopback.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const races = [...connects(0), ...(lab.pace.quick ? [] : connects(20)), ...streaming]
    const rows = yield* Effect.forEach(races, (race) => lab.race({ workload, ...race }))
    return rows.flat()
  }),
  targets: [
    {
      id: "tls.resumed",
      statement: "sender CPU that a resumed handshake adds to a connection, against a full one",
      target: 0.85,
      direction: "atMost",
      unit: "×",
      measure: (rows) => {
        const [none, full, resumed] = ["no TLS", "TLS full", "TLS resumed"].map(
          (variant) =>
            BenchReport.find(rows, { workload, variant: `connect, ${variant}`, contestant: "mailrace-session" })
              ?.cpuMicrosPerMessage ?? undefined
        )
        return none === undefined || full === undefined || resumed === undefined
          ? undefined
          : (resumed - none) / (full - none)
      }
    }
  ],
  plots: (rows) => [
    {
      kind: "bar",
      title: "One message on a connection of its own",
      label: "ms, median",
      bars: Plot.bars(connecting(rows, 0), (row) => row.p50Ms, detail)
    },
    ...(connecting(rows, 20).length === 0 ? [] : [distant(rows)]),
    Plot.cpuBars(connecting(rows, 0), detail)
  ]
}

const distant = (rows: ReadonlyArray<BenchReport.Row>): Plot.BarPlot => ({
  kind: "bar",
  title: "The same, 20 ms away",
  label: "ms, median",
  bars: Plot.bars(connecting(rows, 20), (row) => row.p50Ms, detail)
})

const connecting = (rows: ReadonlyArray<BenchReport.Row>, rttMs: number): ReadonlyArray<BenchReport.Row> =>
  rows.filter((row) => row.variant.startsWith("connect") && row.rttMs === rttMs)

const detail = ({ variant }: BenchReport.Row): string => variant.replace("connect, ", "").replace(/, \d+ ms$/, "")
