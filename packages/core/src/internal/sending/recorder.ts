/**
 * Tells whether metrics are recorded: while anything exports them from their registry.
 *
 * The registry decides and not the layer that a transport is built over, so that an exporter beside the transport counts as much
 * as one beneath it, and one that opens later counts from then on.
 */
import type * as Metric from "effect/Metric"

/** Whether metrics are recorded now. */
export interface Recorder {
  readonly isRecording: boolean
  /**
   * Runs `show` while metrics are recorded, and the function that it returns once they no longer are. Returns a function that
   * ends this.
   */
  readonly whileRecording: (show: () => () => void) => () => void
}

/** Records from the start to the end. */
export const always: Recorder = { isRecording: true, whileRecording: (show) => show() }

export const never: Recorder = { isRecording: false, whileRecording: () => () => {} }

/** Records while at least one exporter is open. */
export class ExportedRecorder implements Recorder {
  private exporters = 0
  private readonly shown = new Set<Shown>()

  static of(registry: Metric.MetricRegistry): ExportedRecorder {
    let recorder = recorders.get(registry)
    if (recorder === undefined) {
      recorder = new ExportedRecorder()
      recorders.set(registry, recorder)
    }
    return recorder
  }

  get isRecording(): boolean {
    return this.exporters > 0
  }

  /** An exporter opens. */
  open(): void {
    if (this.exporters++ === 0) for (const one of this.shown) one.begin()
  }

  /** An exporter closes. */
  close(): void {
    if (--this.exporters === 0) for (const one of this.shown) one.end()
  }

  whileRecording(show: () => () => void): () => void {
    const one = new Shown(show)
    this.shown.add(one)
    if (this.isRecording) one.begin()
    return () => {
      this.shown.delete(one)
      one.end()
    }
  }
}

const recorders = new WeakMap<Metric.MetricRegistry, ExportedRecorder>()

class Shown {
  private readonly show: () => () => void
  private hide: (() => void) | undefined

  constructor(show: () => () => void) {
    this.show = show
  }

  begin(): void {
    this.hide = this.show()
  }

  end(): void {
    this.hide?.()
    this.hide = undefined
  }
}
