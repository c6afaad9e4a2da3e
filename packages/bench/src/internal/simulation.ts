/**
 * Runs the pool's scheduler in simulated time, against the relay of its tests. It sends nothing and does not wait.
 */

/** The part used of the tests' simulation, which belongs to no package. */
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

/** The relay and the way to it. */
export interface Circumstances {
  /** The time that the relay takes for a message on a connection, in milliseconds. */
  readonly thinkMs: number
  /** The round trip in milliseconds. */
  readonly rttMs: number
  readonly connections: number
}

/** The least time for which the whole load keeps the relay busy, in milliseconds of simulated time. */
const loadMs = 20_000

const mostRounds = 50

/** The largest number of transactions on a connection, which limits a relay that takes no time. */
const depth = 32

/** The time that the relay alone would take for a load, as a share of the simulated time. */
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
