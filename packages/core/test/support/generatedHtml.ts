/**
 * HTML as the usual generators of mails write it, in small: with their doctypes, conditional comments, hidden previews,
 * styles, and entities where an author wrote a quote.
 */

/** As MJML compiles it. */
export const likeMjml = `<!doctype html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office">
  <head>
    <title>Order {{order.id}}</title>
    <!--[if !mso]><!-->
    <meta http-equiv="X-UA-Compatible" content="IE=edge">
    <!--<![endif]-->
    <style type="text/css">#outlook a { padding:0; } body { margin:0;padding:0; }</style>
    <!--[if mso]>
    <noscript><xml><o:OfficeDocumentSettings><o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings></xml></noscript>
    <![endif]-->
    <!--[if lte mso 11]><style type="text/css">.mj-outlook-group-fix { width:100% !important; }</style><![endif]-->
    <style type="text/css">@media only screen and (min-width:480px) { .mj-column-per-100 { width:100% !important; } }</style>
  </head>
  <body style="word-spacing:normal;background-color:{{colour}};">
    <div style="display:none;font-size:1px;color:#ffffff;line-height:1px;max-height:0px;">Your order, {{name}}</div>
    <div style="background-color:{{colour}};" lang="en" dir="auto">
      <!--[if mso | IE]><table align="center" border="0" style="width:600px;" width="600" bgcolor="{{colour}}" ><tr><td style="line-height:0px;font-size:0px;"><v:image src="{{banner}}" xmlns:v="urn:schemas-microsoft-com:vml" /><![endif]-->
      <div style="background:url('{{banner}}') center top / cover no-repeat;margin:0px auto;max-width:600px;">
        <table align="center" border="0" cellpadding="0" cellspacing="0" role="presentation" style="width:100%;"><tbody><tr><td style="direction:ltr;padding:20px 0;">
          <div style="font-family:Ubuntu, Helvetica, Arial, sans-serif;font-size:13px;">Hello {{name}},</div>
        </td></tr>
        {{#each items}}
        <tr><td style="padding:10px 25px;"><div>{{title}}</div></td><td>{{count}}</td></tr>
        {{/each}}
        <tr><td align="center" bgcolor="#414141"><a href="https://shop.example/o/{{order.id}}" style="display:inline-block;" target="_blank"> See your order </a></td></tr>
        </tbody></table>
      </div>
      <!--[if mso | IE]></td></tr></table><![endif]-->
    </div>
  </body>
</html>
`

/** As React Email renders it. */
export const likeReactEmail =
  '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">' +
  '<!--$--><html dir="ltr" lang="en"><head><link rel="preload" as="image" href="{{banner}}"/>' +
  '<meta content="text/html; charset=UTF-8" http-equiv="Content-Type"/></head>' +
  '<body style="background-color:#ffffff"><div style="display:none;overflow:hidden;line-height:1px;opacity:0;max-height:0;max-width:0" data-skip-in-text="true">' +
  "Your order<div>\u00a0\u200c\u200b\u200d\u200e\u200f\ufeff\u00a0\u200c</div></div>" +
  '<table align="center" width="100%" border="0" cellPadding="0" cellSpacing="0" role="presentation" style="max-width:37.5em"><tbody><tr style="width:100%"><td>' +
  '<p style="font-size:14px;line-height:24px;margin:16px 0">Hello <!-- -->{{name|&quot;dear customer&quot;}}<!-- -->,</p>' +
  '<a href="https://shop.example/o/{{order.id}}" style="line-height:100%;display:inline-block" target="_blank">' +
  '<span><!--[if mso]><i style="mso-font-width:500%;mso-text-raise:18" hidden>&#8202;</i><![endif]--></span>' +
  '<span style="max-width:100%;mso-text-raise:9px">See your order</span></a>' +
  '<hr style="width:100%;border:none"/><img alt="Our logo" src="{{banner}}" style="display:block"/>' +
  "</td></tr></tbody></table></body></html><!--/$-->"
