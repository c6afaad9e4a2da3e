/**
 * Media types (RFC 2045 §5.1, RFC 6838): checking one that was given, guessing one from a file's name.
 */

const token = "[\\w!#$%&'*+.^`{|}~-]+"

const grammar = new RegExp(`^${token}/${token}(?:\\s*;\\s*${token}=(?:${token}|"(?:[^"\\\\]|\\\\.)*"))*\\s*;?\\s*$`)

const longest = 500

/** The fault of a given media type; `undefined` if it has none. */
export const problem = (contentType: string): string | undefined => {
  if (!/^[\x20-\x7e]*$/.test(contentType)) return "a media type is printable ASCII, without line breaks"
  if (contentType.length > longest) return `a media type has at most ${longest} characters`
  if (!grammar.test(contentType)) return `"${contentType}" is no media type; write it as application/pdf`
  if (/^multipart\//i.test(contentType)) return "an attachment cannot be multipart; attach its parts, or a .zip"
  return undefined
}

/** The type that a file's name suggests, else `application/octet-stream`. */
export const ofFilename = (filename: string | undefined): string => {
  const dot = filename === undefined ? -1 : filename.lastIndexOf(".")
  return (dot === -1 ? undefined : types.get(filename!.slice(dot + 1).toLowerCase())) ?? "application/octet-stream"
}

const types: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "application/epub+zip": "epub",
    "application/gzip": "gz",
    "application/json": "json map",
    "application/msword": "doc",
    "application/pdf": "pdf",
    "application/pgp-keys": "asc",
    "application/pgp-signature": "sig",
    "application/pkcs7-mime": "p7m",
    "application/pkcs7-signature": "p7s",
    "application/rtf": "rtf",
    "application/vnd.apple.pkpass": "pkpass",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.oasis.opendocument.presentation": "odp",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/x-7z-compressed": "7z",
    "application/x-tar": "tar",
    "application/xml": "xml",
    "application/yaml": "yaml yml",
    "application/zip": "zip",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg opus",
    "audio/wav": "wav",
    "font/otf": "otf",
    "font/ttf": "ttf",
    "font/woff": "woff",
    "font/woff2": "woff2",
    "image/avif": "avif",
    "image/bmp": "bmp",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/jpeg": "jpg jpeg jpe",
    "image/png": "png",
    "image/svg+xml": "svg",
    "image/tiff": "tif tiff",
    "image/vnd.microsoft.icon": "ico",
    "image/webp": "webp",
    "message/rfc822": "eml",
    "text/calendar": "ics",
    "text/css": "css",
    "text/csv": "csv",
    "text/html": "html htm",
    "text/javascript": "js mjs",
    "text/markdown": "md",
    "text/plain": "txt text log",
    "text/tab-separated-values": "tsv",
    "text/vcard": "vcf",
    "video/mp4": "mp4 m4v",
    "video/mpeg": "mpg mpeg",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-msvideo": "avi"
  }).flatMap(([type, extensions]) => extensions.split(" ").map((extension) => [extension, type] as const))
)
