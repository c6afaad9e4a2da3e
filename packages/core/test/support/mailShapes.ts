/**
 * Constructs that HTML mails are built of, by the names that their authors know them by, each around one link: what the
 * frameworks and mail programs write, in small.
 */

/** A construct. `seen` says whether a person sees what stands in it. */
export interface Shape {
  readonly name: string
  readonly seen: boolean
  readonly html: (inner: string) => string
}

const seen = (name: string, html: (inner: string) => string): Shape => ({ name, seen: true, html })
const unseen = (name: string, html: (inner: string) => string): Shape => ({ name, seen: false, html })

export const shapes: ReadonlyArray<Shape> = [
  seen("a paragraph", (x) => `<p>${x}</p>`),
  seen("a paragraph that is left open", (x) => `<p>${x}`),
  seen(
    "a ghost table",
    (x) =>
      `<!--[if mso | IE]><table><tr><td width="600"><![endif]-->${x}<!--[if mso | IE]></td></tr></table><![endif]-->`
  ),
  seen(
    "a fluid column",
    (x) =>
      `<div class="column" style="display:inline-block;width:100%;max-width:300px;vertical-align:top;font-size:0">${x}</div>`
  ),
  seen(
    "a table in a table",
    (x) =>
      `<table role="presentation" width="100%"><tbody><tr><td style="font-size:0px;padding:10px 25px"><table><tr><td>${x}</td></tr></table></td></tr></tbody></table>`
  ),
  seen("cells that are left open", (x) => `<table><tr><td>a<td>${x}<tr><td>b</table>`),
  seen("a list that is left open", (x) => `<ul><li>a<li>${x}</ul>`),
  seen("an element that Outlook does not show", (x) => `<div style="mso-hide:all">${x}</div>`),
  seen("an element that nobody but Outlook is kept from", (x) => `<!--[if !mso]><!-->${x}<!--<![endif]-->`),
  seen("the same with blanks in the comment", (x) => `<!--[if !mso]> -->${x}<!-- <![endif]-->`),
  seen("a revealed comment", (x) => `<![if !mso]>${x}<![endif]>`),
  seen(
    "something beside a drawing for Outlook",
    (x) =>
      `<!--[if mso]><v:roundrect href="https://outlook.example/" style="height:40px"><w:anchorlock/><center>Go</center></v:roundrect><![endif]-->${x}`
  ),
  seen(
    "a background drawn for Outlook",
    (x) =>
      `<td background="https://img.example/a.png"><!--[if gte mso 9]><v:rect fill="true"><v:fill type="tile" src="https://img.example/a.png"/><v:textbox inset="0,0,0,0"><![endif]--><div>${x}</div><!--[if gte mso 9]></v:textbox></v:rect><![endif]--></td>`
  ),
  seen(
    "a swap for phones",
    (x) =>
      `<div class="desktop" style="display:block;max-height:none">${x}</div><div class="mobile" style="display:none;max-height:0;overflow:hidden">small</div>`
  ),
  seen("a style with several displays", (x) => `<span style="display:none;display:inline-block">${x}</span>`),
  seen(
    "a wrapper and a row as Foundation has them",
    (x) =>
      `<wrapper><table class="row"><tbody><tr><th class="small-12 columns first last"><table><tr><th>${x}</th><th class="expander"></th></tr></table></th></tr></tbody></table></wrapper>`
  ),
  seen("a spacer before it", (x) => `<div style="line-height:0;height:0;font-size:0">&#8203;</div>${x}`),
  seen("an image map's end before it", (x) => `<map name="m"><area shape="rect" coords="0,0,1,1" alt=""></map>${x}`),
  seen(
    "a tracking pixel that is hidden before it",
    (x) => `<img src="https://img.example/p.gif" width="1" height="1" style="display:none">${x}`
  ),
  seen(
    "a void element that is hidden before it",
    (x) => `<input type="checkbox" id="c" style="display:none!important"><wbr hidden>${x}`
  ),
  seen("a preheader before it that is left open", (x) => `<p style="display:none">Preview<p>${x}</p>`),
  seen("a row before it that is left open", (x) => `<table><tr style="display:none"><td>Preview<tr><td>${x}</table>`),
  seen("a definition before it that is left open", (x) => `<dl><dt hidden>Preview<dd>${x}</dl>`),
  seen("an anchor without an address", (x) => `<a name="top"></a>${x}`),
  seen("an inner document's end", (x) => `<html><head><title>t</title></head><body>a</body></html>${x}`),
  seen("a comment with a greater-than", (x) => `<!-- a > b -- c -->${x}`),
  seen(
    "an interactive part with its fallback",
    (x) =>
      `<div class="interactive" style="display:none"><label for="c">Open</label></div><div class="fallback">${x}</div>`
  ),
  unseen(
    "a preheader",
    (x) =>
      `<div style="display:none;font-size:1px;color:#ffffff;line-height:1px;max-height:0px;max-width:0px;opacity:0;overflow:hidden;">${x}</div>`
  ),
  unseen(
    "a preheader of height nought",
    (x) => `<div style="max-height:0; overflow:hidden; mso-hide:all" aria-hidden="true">${x}</div>`
  ),
  unseen(
    "a preheader with padding behind it",
    (x) => `<div style="display:none!important;visibility:hidden">${x}&nbsp;&zwnj;&nbsp;<span>&#847;</span></div>`
  ),
  unseen("a part with the attribute hidden", (x) => `<section hidden>${x}</section>`),
  unseen("a drawing for Outlook", (x) => `<!--[if mso]><table><tr><td>${x}</td></tr></table><![endif]-->`),
  unseen(
    "a part for phones",
    (x) => `<div class="mobile" style="display:none;mso-hide:all"><table><tr><td>${x}</td></tr></table></div>`
  ),
  unseen("a row that is left open", (x) => `<table><tr style="display:none"><td>${x}<tr><td>a</table>`)
]

/** How a link is written. `address` is what a person gets to. */
export const links: ReadonlyArray<{
  readonly name: string
  readonly html: (address: string, label: string) => string
}> = [
  { name: "a link", html: (address, label) => `<a href="${address}">${label}</a>` },
  {
    name: "a button of padding",
    html: (address, label) =>
      `<table><tr><td bgcolor="#111111" style="border-radius:4px"><a href="${address}" target="_blank" style="display:inline-block;padding:12px 24px;color:#ffffff;text-decoration:none;mso-padding-alt:0">${label}</a></td></tr></table>`
  },
  {
    name: "a bulletproof button",
    html: (address, label) =>
      `<div><!--[if mso]><v:roundrect xmlns:v="urn:schemas-microsoft-com:vml" href="https://outlook.example/" arcsize="10%"><center style="color:#fff">${label}</center></v:roundrect><![endif]--><a href="${address}" style="background-color:#414141;color:#ffffff;display:inline-block;width:200px;-webkit-text-size-adjust:none;mso-hide:all;">${label}</a></div>`
  },
  {
    name: "a button that Outlook pads",
    html: (address, label) =>
      `<a href="${address}" style="display:inline-block"><span><!--[if mso]><i style="mso-font-width:300%" hidden>&emsp;</i><![endif]--></span><span style="mso-text-raise:9px">${label}</span></a>`
  },
  {
    name: "a part of an image",
    html: (address, label) =>
      `<img src="https://img.example/a.png" usemap="#m"><map name="m"><area shape="rect" coords="0,0,9,9" href="${address}" alt="${label}"></map>`
  },
  {
    name: "an image",
    html: (address, label) => `<a href='${address}'><img src="https://img.example/a.png" alt="${label}" width=100></a>`
  },
  {
    name: "an image without words",
    html: (address) => `<a href="${address}"><img src="https://img.example/a.png"></a>`
  },
  { name: "a block", html: (address, label) => `<a href="${address}"><div><h2>${label}</h2></div></a>` },
  {
    name: "a link without quotes that is left open in its cell",
    html: (address, label) => `<table><tr><td><a href=${address}>${label}<td>b</table>`
  },
  {
    name: "a link with a hidden part",
    html: (address, label) => `<a href="${address}">${label}<span style="display:none">x</a>`
  }
]
