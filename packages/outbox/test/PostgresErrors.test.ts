/**
 * What PostgreSQL says when it refuses: its own words reach the caller, with something to try that knows the store.
 */
import { assert, describe, it } from "@effect/vitest"
import { layer as PgClientLayer, PgClient } from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { once } from "node:events"
import * as Net from "node:net"
import * as Outbox from "../src/Outbox.ts"
import { isOutboxError, type OutboxError } from "../src/OutboxError.ts"
import type { OutboxStore } from "../src/OutboxStore.ts"
import * as PostgresStore from "../src/PostgresStore.ts"
import { mail } from "./support/fixtures.ts"
import * as FreshPostgres from "./support/freshPostgres.ts"
import type { PostgresServer } from "./support/postgresServer.ts"
import * as SharedPostgres from "./support/sharedPostgres.ts"

const server = SharedPostgres.shared()

/** Runs statements as the server's superuser. */
const asSuperuser = (server: PostgresServer, ...statements: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const client = yield* FreshPostgres.connect(server, "postgres")
    for (const statement of statements) yield* client.unsafe(statement)
  }).pipe(Effect.scoped)

let roles = 0

/** A role that owns a schema of its name, without the superuser's way around every right. */
const role = (server: PostgresServer) =>
  Effect.gen(function* () {
    const name = `r${++roles}`
    yield* asSuperuser(server, `CREATE ROLE ${name} LOGIN`, `CREATE SCHEMA ${name} AUTHORIZATION ${name}`)
    return name
  })

const open = (server: PostgresServer, config: { username: string; database?: string; password?: string }) =>
  PostgresStore.makeClient({
    ...FreshPostgres.place(server, config.username),
    ...(config.database !== undefined && { database: config.database }),
    ...(config.password !== undefined && { password: Redacted.make(config.password) }),
    connectTimeout: "20 seconds"
  })

/** A proxy before the server that passes nothing on while it is frozen, as a network that drops packets. */
const proxyOf = (server: PostgresServer) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const sockets = new Set<Net.Socket>()
      let isFrozen = false
      let onData: (() => void) | undefined
      const keep = (socket: Net.Socket) => {
        sockets.add(socket)
        socket.on("error", () => {}).on("close", () => sockets.delete(socket))
      }
      const proxy = Net.createServer((near) => {
        const far = Net.connect(`${server.host}/.s.PGSQL.${server.port}`)
        for (const [one, other] of [
          [near, far],
          [far, near]
        ] as const) {
          keep(one)
          one.on("data", (bytes) => {
            if (!isFrozen) return void other.write(bytes)
            if (one === near) onData?.()
          })
          one.on("close", () => other.destroy())
        }
      })
      proxy.listen(0, "127.0.0.1")
      await once(proxy, "listening")
      return {
        port: (proxy.address() as Net.AddressInfo).port,
        /** Drops what either side sends from now on; completes when the client has sent something. */
        freeze: () =>
          new Promise<void>((resolve) => {
            isFrozen = true
            onData = resolve
          }),
        /** Ends all connections and accepts no more. */
        end: () => {
          proxy.close()
          for (const socket of sockets) socket.destroy()
        }
      }
    }),
    (proxy) => Effect.sync(proxy.end)
  )

/** Opens, enqueues and looks. */
const used = (store: Effect.Effect<OutboxStore, OutboxError, Scope.Scope>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const outbox = yield* Outbox.make(yield* store)
      yield* outbox.enqueue(mail())
      return yield* outbox.stats
    })
  )

/** The error, which must be one of the outbox's and speak of no SQLite, and its cause without a wait for better times. */
const refusal = (effect: Effect.Effect<unknown, unknown, Scope.Scope>) =>
  Effect.gen(function* () {
    const error = yield* Effect.scoped(Effect.flip(effect))
    if (!isOutboxError(error)) return assert.fail(String(error))
    const said = `${error.message}\n${error.remedy}`
    assert.notMatch(said, /sqlite|-wal|permission on the file|PgConnection|PgClient/i)
    return { tag: error.reason._tag, message: error.reason.message, remedy: error.remedy, error }
  })

describe("A silent PostgreSQL", () => {
  it.live("does not keep an outbox from closing, and the error says which messages may be stored", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* role(running)
      const proxy = yield* proxyOf(running)
      const client = yield* Layer.build(
        PgClientLayer({ ...FreshPostgres.place(running, name), host: "127.0.0.1", port: proxy.port })
      )
      const scope = yield* Scope.make()
      const log: Array<string> = []
      const outbox = yield* PostgresStore.make().pipe(
        Effect.flatMap((store) =>
          Scope.provide(Outbox.make(store, { closeTimeout: "50 millis", mailsPerCommit: 1 }), scope)
        ),
        Effect.provide(client),
        Effect.provide(Logger.layer([Logger.make<unknown, void>(({ message }) => void log.push(String(message)))]))
      )
      yield* outbox.enqueue(mail())
      const sent = proxy.freeze()
      const enqueues = yield* Effect.forEach(
        Array.from({ length: 10 }, () => mail()),
        (one) => Effect.forkChild(outbox.enqueue(one), { startImmediately: true })
      )
      yield* Effect.promise(() => sent)
      yield* Scope.close(scope, Exit.void)
      const errors = yield* Effect.forEach(enqueues, (fiber) => Effect.flip(Fiber.join(fiber)))
      const ofTag = (tag: string) => errors.filter(({ reason }) => reason._tag === tag)
      const unknown = ofTag("OutcomeUnknown")
      const unstored = ofTag("Unavailable")
      // Four commits at once.
      assert.deepStrictEqual([unknown.length, unstored.length], [4, 6])
      assert.match(
        unknown[0]!.message,
        /^OutcomeUnknown: postgres:.* did not answer within 50 ms while the outbox closed, and whether the message is stored is not known$/
      )
      assert.match(unknown[0]!.remedy, /`key`/)
      assert.isFalse(unknown[0]!.isRetryable)
      assert.match(unstored[0]!.reason.message, /it was closed before the message was stored$/)
      assert.match(unstored[0]!.remedy, /enqueue the message again/)
      assert.deepStrictEqual(log, [
        `${outbox.name} was silent while the outbox closed; of the messages on their way, 4 may be stored, and 6 are not`
      ])
      // A closed outbox refuses at once.
      assert.strictEqual((yield* Effect.flip(outbox.enqueue(mail()))).reason._tag, "Unavailable")
      proxy.end()
      const { states } = yield* Effect.scoped(
        Effect.flatMap(Effect.flatMap(FreshPostgres.open(running, name), Outbox.make), ({ stats }) => stats)
      )
      assert.strictEqual(states.due, 1)
    })
  )
})

describe("Settings that lead to no connection", () => {
  const variables = ["USER", "USERNAME"].map((name) => [name, process.env[name]] as const)
  const withoutUser = Effect.acquireRelease(
    Effect.sync(() => {
      for (const [name] of variables) delete process.env[name]
    }),
    () =>
      Effect.sync(() => {
        for (const [name, value] of variables) if (value !== undefined) process.env[name] = value
      })
  )

  it.live.each([
    [
      "postgres://127.0.0.1:1/x",
      /name no user/,
      /name the user, as in postgres:\/\/user@host\/database, or as `username`/
    ],
    ["postgres://a:b%zz@127.0.0.1:1/x", /percent-encoding in URL password/, /percent-encode .*% itself is %25/],
    ["postgres://a@127.0.0.1:1/x?port=70000", /port in URL port parameter: "70000"/, /give a port from 1 to 65535/],
    [
      "postgres://a@127.0.0.1:1/x?sslmode=on",
      /sslmode in URL: "on"/,
      /one of disable, allow, prefer, require, verify-ca/
    ],
    ["postgres://a@127.0.0.1:1/x?connect_timeout=soon", /connect_timeout in URL: "soon"/, /a whole number of seconds/],
    ["mysql://a@127.0.0.1:1/x", /URL protocol: "mysql:"/, /begin the URL with postgres:\/\//]
  ] as const)("%s is told what is wrong with it", ([url, problem, remedy]) =>
    Effect.gen(function* () {
      yield* withoutUser
      const error = yield* Effect.flip(PostgresStore.makeClient({ url: Redacted.make(url) }))
      assert.strictEqual(error.reason._tag, "Unavailable")
      assert.match(error.message, problem)
      assert.match(error.remedy, remedy)
      assert.isFalse(error.isRetryable)
    }).pipe(Effect.scoped)
  )
})

describe("PostgreSQL's refusals", () => {
  it.live("name a missing database", () =>
    Effect.gen(function* () {
      const { error, message, remedy } = yield* refusal(open(yield* server, { username: "postgres", database: "nodb" }))
      assert.match(message, /^postgres:\/\/.*\/nodb is not available: database "nodb" does not exist$/)
      assert.match(remedy, /create the database/)
      assert.isFalse(error.isRetryable)
    })
  )

  it.live("name a missing role, or one with a wrong password, but not the password", () =>
    Effect.gen(function* () {
      const running = yield* server
      const nobody = yield* refusal(open(running, { username: "nobody_here" }))
      assert.match(nobody.message, /role "nobody_here" does not exist$/)
      assert.match(nobody.remedy, /user and the password.*pg_hba\.conf/)
      const name = yield* role(running)
      yield* asSuperuser(running, `ALTER ROLE ${name} PASSWORD 'right'`, ...(yield* asksForPassword(running, name)))
      const wrong = yield* refusal(open(running, { username: name, password: "geheim" }))
      assert.match(wrong.message, new RegExp(`password authentication failed for user "${name}"$`))
      assert.match(wrong.remedy, /user and the password/)
      assert.notInclude(JSON.stringify([wrong.message, wrong.remedy, wrong.error]), "geheim")
      assert.isFalse(wrong.error.isRetryable)
      yield* used(open(running, { username: name, password: "right" }))
    })
  )

  it.live("name the schema or the table to a user who may not create or use the tables", () =>
    Effect.gen(function* () {
      const running = yield* server
      const owner = yield* role(running)
      const name = `r${++roles}`
      yield* asSuperuser(
        running,
        `CREATE ROLE ${name} LOGIN`,
        `ALTER ROLE ${name} SET search_path = ${owner}`,
        `GRANT USAGE ON SCHEMA ${owner} TO ${name}`
      )
      const cannotCreate = yield* refusal(open(running, { username: name }))
      assert.match(cannotCreate.message, new RegExp(`permission denied for schema ${owner}$`))
      assert.match(cannotCreate.remedy, /grant this user CREATE and USAGE on the schema/)
      yield* used(open(running, { username: owner }))
      const cannotRead = yield* refusal(open(running, { username: name }))
      assert.match(cannotRead.message, /permission denied for table mailrace_meta$/)
      yield* asSuperuser(running, `GRANT SELECT ON ALL TABLES IN SCHEMA ${owner} TO ${name}`)
      const cannotWrite = yield* refusal(used(open(running, { username: name })))
      assert.match(cannotWrite.message, /permission denied for table mailrace_/)
      assert.match(cannotWrite.remedy, /SELECT, INSERT, UPDATE and DELETE/)
      assert.isFalse(cannotWrite.error.isRetryable)
      // What the remedy says is enough: who did not make the tables need not be able to.
      yield* asSuperuser(running, `GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${owner} TO ${name}`)
      assert.strictEqual((yield* used(open(running, { username: name }))).states.due, 2)
    })
  )

  it.live("name a search_path without a schema", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* role(running)
      yield* asSuperuser(running, `ALTER ROLE ${name} SET search_path = nowhere`)
      const { message, remedy } = yield* refusal(open(running, { username: name }))
      assert.match(message, /no schema has been selected to create in$/)
      assert.match(remedy, /search_path/)
    })
  )

  it.live("let a read-only database be inspected, and point a write to the primary", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* role(running)
      yield* used(open(running, { username: name }))
      yield* asSuperuser(running, `ALTER ROLE ${name} SET default_transaction_read_only = on`)
      const readOnly = open(running, { username: name })
      const stats = Effect.scoped(Effect.flatMap(readOnly, (store) => store.stats(Date.now())))
      assert.strictEqual((yield* stats).states.due, 1)
      const { message, remedy, tag } = yield* refusal(used(readOnly))
      assert.strictEqual(tag, "ReadOnly")
      assert.match(message, /cannot be written: cannot execute [\w ]+(\(\))? in a read-only transaction$/)
      assert.match(remedy, /primary.*standby.*default_transaction_read_only/)
    })
  )

  it.live("distinguish statement_timeout from lock_timeout, and are retryable for both", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* role(running)
      const store = yield* open(running, { username: name })
      yield* store.pause("a.example", 1)
      const locker = yield* FreshPostgres.connect(running, name)
      const during = (setting: string) =>
        Effect.gen(function* () {
          yield* asSuperuser(running, `ALTER ROLE ${name} RESET ALL`, `ALTER ROLE ${name} SET ${setting}`)
          const limited = yield* open(running, { username: name })
          const waiting = Effect.andThen(
            locker.unsafe(`LOCK TABLE ${name}.mailrace_lane IN ACCESS EXCLUSIVE MODE`),
            refusal(limited.resume("a.example"))
          )
          return yield* locker.withTransaction(waiting)
        })
      const slow = yield* during("statement_timeout = '100ms'")
      assert.match(slow.message, /canceling statement due to statement timeout$/)
      assert.match(slow.remedy, /raise statement_timeout/)
      assert.isTrue(slow.error.isRetryable)
      const locked = yield* during("lock_timeout = '100ms'")
      assert.strictEqual(locked.tag, "Locked")
      assert.match(locked.message, /is locked: canceling statement due to lock timeout$/)
      assert.match(locked.remedy, /pg_locks/)
      assert.isTrue(locked.error.isRetryable)
    })
  )

  it.live("fail a transaction that the server ended while it idled, although its ROLLBACK fails as well", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* role(running)
      yield* asSuperuser(running, `ALTER ROLE ${name} SET idle_in_transaction_session_timeout = '1ms'`)
      const cut = yield* refusal(
        Effect.gen(function* () {
          const store = yield* open(running, { username: name })
          // A step of housekeeping is several statements, between which a busy process pauses.
          return yield* Effect.forever(store.sweep({ bodies: 0, rows: 0 }, Date.now()))
        })
      )
      assert.match(cut.message, /idle-in-transaction timeout$|the connection was closed$|EPIPE$|ECONNRESET$/)
      assert.match(cut.remedy, /idle_in_transaction_session_timeout|database runs/)
      assert.isTrue(cut.error.isRetryable)
    })
  )

  it.live("are errors and not defects for a caller's COMMIT or statement on a cut connection", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* FreshPostgres.schema(running)
      const client = yield* FreshPostgres.connect(running, name)
      const store = yield* Effect.provideService(PostgresStore.make(), PgClient, client)
      const others = yield* FreshPostgres.connect(running, "postgres")
      yield* Effect.forkScoped(
        Effect.forever(
          others.unsafe(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${name}' AND xact_start IS NOT NULL`
          )
        )
      )
      const { error } = yield* refusal(Effect.forever(store.sweep({ bodies: 0, rows: 0 }, Date.now())))
      assert.isTrue(error.isRetryable, error.message)
    })
  )

  it.live("are errors and not defects for a failed COMMIT, which changes nothing", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* FreshPostgres.schema(running)
      const client = yield* FreshPostgres.connect(running, name)
      const store = yield* Effect.provideService(PostgresStore.make(), PgClient, client)
      const outbox = yield* Outbox.make(store)
      const { id } = yield* outbox.enqueue(mail())
      yield* Stream.runDrain(outbox.cancel({ ids: [id] }))
      // Housekeeping deletes the body in a transaction of its own; a deferred trigger runs in its COMMIT.
      const sweep = store.sweep({ bodies: -1, rows: 1e9 }, Date.now())
      const bodies = Effect.map(
        client.unsafe<{ bodies: number }>("SELECT count(*)::int4 AS bodies FROM mailrace_body"),
        ([row]) => row!.bodies
      )
      const atCommit = (statement: string) =>
        Effect.gen(function* () {
          yield* client.unsafe(
            `CREATE OR REPLACE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${statement}; RETURN NULL; END $$`
          )
          const { error, message } = yield* refusal(sweep)
          assert.strictEqual(yield* bodies, 1)
          return { isRetryable: error.isRetryable, message }
        })
      yield* client.unsafe("CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
      yield* client.unsafe(
        "CREATE CONSTRAINT TRIGGER late AFTER DELETE ON mailrace_body DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION at_commit()"
      )
      const serialized = yield* atCommit("RAISE 'could not serialize access' USING ERRCODE = '40001'")
      assert.include(serialized.message, "could not serialize access")
      const cut = yield* atCommit("PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(1)")
      assert.deepStrictEqual([serialized.isRetryable, cut.isRetryable], [true, true])
      const refused = yield* atCommit("RAISE 'not here' USING ERRCODE = '23514'")
      assert.include(refused.message, "not here")
      assert.isFalse(refused.isRetryable)
      yield* client.unsafe("DROP TRIGGER late ON mailrace_body")
      yield* sweep
      assert.strictEqual(yield* bodies, 0)
    })
  )

  it.live("name what keeps a server from being reached", () =>
    Effect.gen(function* () {
      const at = (url: string) => refusal(PostgresStore.makeClient({ url: Redacted.make(url) }))
      const port = yield* freePort
      const refused = yield* at(`postgres://u:geheim@127.0.0.1:${port}/d`)
      assert.match(
        refused.message,
        new RegExp(`^postgres://127.0.0.1:${port}/d is not available: connect ECONNREFUSED`)
      )
      assert.match(refused.remedy, /runs and listens at this host and port/)
      assert.isTrue(refused.error.isRetryable)
      const byName = yield* at(`postgres://u:geheim@localhost:${port}/d`)
      assert.match(byName.message, /connect ECONNREFUSED/)
      const noSocket = yield* at(`postgres://u:geheim@${encodeURIComponent("/nowhere")}/d`)
      assert.match(noSocket.message, /connect ENOENT \/nowhere\/\.s\.PGSQL\.5432$/)
      assert.match(noSocket.remedy, /has its socket in this folder/)
      const misspelt = yield* at("postgres://u:geheim@[/d")
      assert.match(misspelt.message, /^PostgreSQL is not available: Invalid (connection )?URL$/)
      assert.isFalse(misspelt.error.isRetryable)
      for (const { error, message, remedy } of [refused, byName, noSocket, misspelt]) {
        assert.notInclude(message + remedy + JSON.stringify(error), "geheim")
      }
    })
  )

  it.live("name too many connections, and are retryable then", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* role(running)
      yield* asSuperuser(running, `ALTER ROLE ${name} CONNECTION LIMIT 1`)
      const first = yield* FreshPostgres.connect(running, name)
      yield* first.reserve
      const { error, message, remedy } = yield* refusal(open(running, { username: name }))
      assert.match(message, new RegExp(`too many connections for role "${name}"$`))
      assert.match(remedy, /max_connections.*CONNECTION LIMIT/)
      assert.isTrue(error.isRetryable)
    })
  )
})

/** A port of loopback on which nothing listens. */
const freePort = Effect.promise(
  () =>
    new Promise<number>((resolve) => {
      const listener = Net.createServer().listen(0, "127.0.0.1", () => {
        const { port } = listener.address() as Net.AddressInfo
        listener.close(() => resolve(port))
      })
    })
)

/** Statements that make the server ask a role for its password. */
const asksForPassword = (server: PostgresServer, name: string) =>
  Effect.gen(function* () {
    const client = yield* FreshPostgres.connect(server, "postgres")
    const [{ file }] = (yield* client.unsafe("SELECT current_setting('hba_file') AS file")) as [{ file: string }]
    const lines = `local all ${name} scram-sha-256\nlocal all all trust`
    return [`COPY (SELECT unnest(string_to_array('${lines}', E'\\n'))) TO '${file}'`, "SELECT pg_reload_conf()"]
  }).pipe(Effect.scoped)
