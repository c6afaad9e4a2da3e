/**
 * A file that is attached by its path is read where it really is, and only if it may be.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as AttachmentFile from "../src/AttachmentFile.ts"
import type * as Mail from "../src/Mail.ts"
import * as MimeComposer from "../src/MimeComposer.ts"
import * as Template from "../src/Template.ts"
import * as Files from "./support/files.ts"

const isLinux = process.platform === "linux"

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => {
    const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "mailrace-from-")))
    fs.mkdirSync(path.join(root, "own"))
    fs.writeFileSync(path.join(root, "own", "a.txt"), "mine")
    fs.writeFileSync(path.join(root, "secret.txt"), "theirs")
    return { own: path.join(root, "own"), at: (...names: ReadonlyArray<string>) => path.join(root, ...names) }
  }),
  ({ at }) => Effect.sync(() => fs.rmSync(at(), { recursive: true }))
)

const mailWith = (attachment: Mail.Attachment): Mail.Mail => ({
  from: "a@x.example",
  to: "b@x.example",
  subject: "s",
  attachments: [attachment]
})

/** The file's text as it went into the mail, or what is wrong with its path. */
const attach = (file: string, attachmentsFrom?: AttachmentFile.From) =>
  MimeComposer.make({ attachmentsFrom })
    .compose(mailWith({ path: file }))
    .pipe(
      Effect.match({
        onFailure: ({ reason }) => reason.message,
        onSuccess: ({ content }) => {
          const text = Buffer.from(content as Uint8Array).toString()
          return `read: ${Buffer.from(text.split("\r\n\r\n").at(-1)!.split("\r\n")[0]!, "base64")}`
        }
      })
    )

const suite = (name: string, layer: Layer.Layer<FileSystem.FileSystem>) =>
  describe(name, () => {
    it.live("lies below the folder, however the path is spelt", () =>
      Effect.gen(function* () {
        const { at, own } = yield* temporaryFolder
        fs.mkdirSync(at("own", "sub"))
        fs.symlinkSync(own, at("alias"))
        fs.symlinkSync("../a.txt", at("own", "sub", "link.txt"))
        const spellings = [
          at("own", "a.txt"),
          `${own}/sub/../a.txt`,
          `${own}//./a.txt`,
          at("alias", "a.txt"),
          at("own", "sub", "link.txt"),
          path.relative(process.cwd(), at("own", "a.txt"))
        ]
        for (const spelling of spellings)
          for (const folder of [own, at("alias"), `${own}/`, path.relative(process.cwd(), own)])
            assert.strictEqual(yield* attach(spelling, folder), "read: mine", `${spelling} from ${folder}`)
      }).pipe(Effect.provide(layer))
    )

    it.live("is refused elsewhere, whether it is there or not", () =>
      Effect.gen(function* () {
        const { at, own } = yield* temporaryFolder
        fs.symlinkSync(at("secret.txt"), at("own", "link.txt"))
        fs.symlinkSync("..", at("own", "up"))
        fs.mkdirSync(at("own2"))
        fs.writeFileSync(at("own2", "b.txt"), "theirs")
        const paths = [
          at("secret.txt"),
          `${own}/../secret.txt`,
          at("own", "link.txt"),
          at("own", "up", "secret.txt"),
          at("own2", "b.txt"),
          at("none.txt"),
          `${own}/../none.txt`,
          "/etc/passwd",
          path.relative(process.cwd(), at("secret.txt"))
        ]
        for (const one of paths)
          assert.strictEqual(
            yield* attach(one, own),
            `attachments[0].path: ${one} is not below ${own}, where attachments come from; name its folder with attachmentsFrom, or give its content`
          )
        assert.strictEqual(
          yield* attach(at("own", "none.txt"), own),
          `attachments[0].path: there is no such file: ${at("own", "none.txt")}; check the path`
        )
      }).pipe(Effect.provide(layer))
    )

    it.live("is a regular file on disk, in any folder", () =>
      Effect.gen(function* () {
        const { at, own } = yield* temporaryFolder
        if (!isLinux) return
        execFileSync("mkfifo", [at("own", "pipe")])
        fs.symlinkSync("/dev/zero", at("own", "zero"))
        fs.symlinkSync("/proc/self/environ", at("own", "environ"))
        const irregular = [
          at("own", "pipe"),
          at("own", "zero"),
          "/dev/zero",
          "/proc/self/environ",
          "/proc/self/pagemap",
          "/proc/self/root/etc/../proc/self/environ",
          at("own", "environ"),
          "/sys/kernel/uevent_seqnum"
        ]
        for (const one of irregular)
          for (const folder of ["anywhere", "/"])
            assert.strictEqual(
              yield* attach(one, folder),
              `attachments[0].path: ${one} is not a regular file; name a regular one`
            )
        for (const folder of ["anywhere", own])
          assert.include(yield* attach(own, folder), "is a folder; name a file in it")
        assert.include(yield* attach(at("own", "pipe"), own), "name a regular one")
      }).pipe(Effect.provide(layer))
    )

    it.live("is read no further than it was long when it was opened", () =>
      Effect.gen(function* () {
        const { at } = yield* temporaryFolder
        const file = at("own", "a.txt")
        const files = yield* FileSystem.FileSystem
        let octets = 0
        const changing = (change: () => void): AttachmentFile.Files => ({
          ...files,
          open: (path) =>
            Effect.map(files.open(path), (handle) => ({
              ...handle,
              stat: Effect.tap(handle.stat, () => Effect.sync(change)),
              readAlloc: (size, options) => {
                octets += size
                return handle.readAlloc(size, options)
              }
            }))
        })
        const problem = (change: () => void) =>
          Effect.map(
            Effect.flip(AttachmentFile.read(changing(change), "f", file, AttachmentFile.policy("anywhere"))),
            ({ reason }) => reason.message
          )
        assert.strictEqual(
          yield* problem(() => fs.appendFileSync(file, "x".repeat(3e6))),
          `f: ${file} had 4 bytes when it was opened, and now has more; try again when it is whole`
        )
        assert.isAtMost(octets, 10)
        fs.writeFileSync(file, "mine")
        assert.include(yield* problem(() => fs.truncateSync(file, 1)), "had 4 bytes when it was opened, and now has 1;")
        fs.writeFileSync(file, "")
        assert.include(yield* problem(() => fs.writeFileSync(file, "x")), "had 0 bytes when it was opened")
      }).pipe(Effect.provide(layer))
    )

    it.live("is not held in memory when it claims to be larger than that", () =>
      Effect.gen(function* () {
        const { at } = yield* temporaryFolder
        fs.truncateSync(at("own", "a.txt"), AttachmentFile.maxHeldBytes + 1)
        const reading = AttachmentFile.read(
          yield* FileSystem.FileSystem,
          "f",
          at("own", "a.txt"),
          AttachmentFile.policy("anywhere")
        )
        assert.match(
          (yield* Effect.flip(reading)).reason.message,
          /^f: it has 1073741825 bytes, .* link to it instead$/
        )
      }).pipe(Effect.provide(layer))
    )
  })

suite("a file attached by its path", Files.layer)
suite("a file attached by its path, on a platform that tells no descriptor", Files.layerElsewhere)

describe("where attached files may lie", () => {
  it.live("is judged by the open file, so that a path that leads elsewhere for a moment gains nothing", () =>
    Effect.gen(function* () {
      const { at, own } = yield* temporaryFolder
      if (process.platform !== "linux") return
      const honest = (): void => {
        fs.rmSync(at("own", "d"), { recursive: true, force: true })
        fs.mkdirSync(at("own", "d"))
        fs.writeFileSync(at("own", "d", "secret.txt"), "harmless")
      }
      const swapped = (): void => {
        fs.rmSync(at("own", "d"), { recursive: true, force: true })
        fs.symlinkSync(at(), at("own", "d"))
      }
      const files = yield* FileSystem.FileSystem
      const raced: AttachmentFile.Files = {
        ...files,
        realPath: (path) => Effect.andThen(Effect.sync(honest), files.realPath(path)),
        stat: (path) => Effect.andThen(Effect.sync(swapped), files.stat(path)),
        open: (path) => Effect.andThen(Effect.sync(swapped), files.open(path))
      }
      const reading = AttachmentFile.read(raced, "f", at("own", "d", "secret.txt"), AttachmentFile.policy(own))
      assert.include((yield* Effect.flip(reading)).message, "is not below")
    }).pipe(Effect.provide(Files.layer))
  )

  it.live("is looked at again at each attempt to send a large file", () =>
    Effect.gen(function* () {
      const { at, own } = yield* temporaryFolder
      const large = Buffer.alloc(2_000_000, 1)
      fs.writeFileSync(at("own", "large.bin"), large)
      fs.writeFileSync(at("large.bin"), large)
      const { content } = yield* MimeComposer.make({ attachmentsFrom: own }).compose(
        mailWith({ path: at("own", "large.bin") })
      )
      if (content instanceof Uint8Array) return assert.fail("it is not streamed")
      yield* Stream.runDrain(content.stream)
      fs.rmSync(at("own", "large.bin"))
      fs.symlinkSync(at("large.bin"), at("own", "large.bin"))
      assert.include((yield* Effect.flip(Stream.runDrain(content.stream))).message, "is not below")
    }).pipe(Effect.provide(Files.layer))
  )

  it.live("may lie anywhere by default; AttachmentsFrom limits every composer inside its scope", () =>
    Effect.gen(function* () {
      const { at, own } = yield* temporaryFolder
      const elsewhere = at("secret.txt")
      assert.strictEqual(yield* attach(elsewhere), "read: theirs")
      const compile = (options?: Template.Options) =>
        Template.compile({ from: "a@x.example", subject: "s", text: "t", attachments: [{ path: elsewhere }] }, options)
      yield* compile()
      const within = Effect.provideService(AttachmentFile.AttachmentsFrom, AttachmentFile.policy(own))
      assert.include(yield* within(attach(elsewhere)), "is not below")
      assert.include((yield* Effect.flip(within(compile()))).message, "is not below")
      assert.include((yield* Effect.flip(compile({ attachmentsFrom: own }))).message, "is not below")
      assert.strictEqual(yield* within(attach(elsewhere, "anywhere")), "read: theirs")
      assert.strictEqual(
        yield* attach(elsewhere, "nowhere"),
        `attachments[0].path: ${elsewhere} is not attached, because no folder for attachments is named; name its folder with attachmentsFrom, or give its content`
      )
      assert.include(yield* attach(elsewhere, at("none")), "none, where attachments come from, cannot be found")
    }).pipe(Effect.provide(Files.layer))
  )
})
