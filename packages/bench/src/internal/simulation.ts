/**
 * The pool's scheduler in simulated time, at the relay of its tests. Nothing is sent, and nothing waits.
 */

/** What is used of the tests' simulation, which is no part of any package. */
interface Simulation {
  readonly simulate: (options: {
    readonly service: () => number
    readonly roundTrip: number
    readonly maxSessions: number
    readonly arrivals: ReadonlyArray<{ readonly at: number }>
    readonly concurrency: number
  }) => { readonly endedAt: number }
}

const module = new URL("../../../smtp/test/support/simulatedRelay.ts", import.meta.url).href

/** Where messages go. */
export interface Circumstances {
  /** What the relay takes for a message on a connection, in milliseconds. */
  readonly thinkMs: number
  /** The round trip in milliseconds. */
  readonly rttMs: number
  readonly connections: number
}

/** So long the relay is busy with the whole load at least, in milliseconds of simulated time. */
const loadMs = 20_000

const mostRounds = 50

/** The most transactions of a connection; the bound of a relay that takes no time. */
const depth = 32

/** What the relay alone would take for a load, as a share of what it took. */
export const boundShare = async ({ connections, rttMs, thinkMs }: Circumstances): Promise<number> => {
  const { simulate } = (await import(module)) as Simulation
  const service = Math.max(thinkMs, 0.05)
  const count = Math.min(mostRounds * depth, Math.ceil(loadMs / service)) * connections
  const { endedAt } = simulate({
    service: () => service,
    roundTrip: Math.max(rttMs, 0.2),
    maxSessions: connections,
    arrivals: Array.from({ length: count }, () => ({ at: 0 })),
    concurrency: depth * connections
  })
  return ((count / connections) * Math.max(service, rttMs / depth)) / endedAt
}
