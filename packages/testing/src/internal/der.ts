/** As much of DER (ITU-T X.690) as a certificate needs. */

const tagged = (tag: number, content: Buffer): Buffer => Buffer.concat([Buffer.from([tag]), length(content), content])

const length = ({ length: bytes }: Buffer): Buffer => {
  if (bytes < 128) return Buffer.from([bytes])
  return bytes < 256 ? Buffer.from([0x81, bytes]) : Buffer.from([0x82, bytes >> 8, bytes & 255])
}

export const sequence = (...parts: ReadonlyArray<Buffer>): Buffer => tagged(0x30, Buffer.concat(parts))
export const set = (...parts: ReadonlyArray<Buffer>): Buffer => tagged(0x31, Buffer.concat(parts))
export const integer = (bytes: Buffer): Buffer => tagged(0x02, bytes)
export const boolean = (value: boolean): Buffer => tagged(0x01, Buffer.from([value ? 255 : 0]))
export const utf8String = (text: string): Buffer => tagged(0x0c, Buffer.from(text))
/** Context-specific and constructed. */
export const explicit = (tag: number, content: Buffer): Buffer => tagged(0xa0 | tag, content)
/** Context-specific and primitive. */
export const implicit = (tag: number, content: Buffer): Buffer => tagged(0x80 | tag, content)
export const bitString = (bytes: Buffer, unusedBits: number): Buffer =>
  tagged(0x03, Buffer.concat([Buffer.from([unusedBits]), bytes]))

/** UTCTime until 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
export const time = (date: Date): Buffer => {
  const text = `${date.toISOString().replaceAll(/[-:T]|\..*/g, "")}Z`
  return date.getUTCFullYear() < 2050 ? tagged(0x17, Buffer.from(text.slice(2))) : tagged(0x18, Buffer.from(text))
}

export const oid = (dotted: string): Buffer => {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number)
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

/** An X.509 extension (RFC 5280 §4.2). */
export const extension = (id: string, critical: boolean, value: Buffer): Buffer =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), tagged(0x04, value))

const base128 = (value: number): Array<number> => {
  const bytes = [value & 127]
  for (let left = value >> 7; left > 0; left >>= 7) bytes.unshift((left & 127) | 128)
  return bytes
}
