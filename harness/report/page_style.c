/* SPDX-License-Identifier: MIT
 * The page's style: one column that a phone holds, light or dark as the reader's system is, and ink
 * on white in print. No colour says what no word, mark or number says. */
#include "page.h"

/* C compilers need not take longer texts than 4095 bytes in one piece. */
static const char *const rules[] = {
    ":root{color-scheme:light dark;--paper:#fcfbf8;--ink:#20262e;--soft:#566070;--line:#d3d7dc;"
    "--card:#f2f0ea;--link:#1d5fa8;--good:#1c6b39;--bad:#b01c20;"
    "--w0:#f3ead2;--w1:#eec98a;--w2:#e09a4d;--w3:#b8561f;--w4:#7a2413;"
    "--on0:#20262e;--on1:#20262e;--on2:#20262e;--on3:#fff;--on4:#fff}\n"
    "*{box-sizing:border-box}\n"
    "html{-webkit-text-size-adjust:100%}\n"
    "body{margin:0 auto;padding:1rem;max-width:72rem;background:var(--paper);color:var(--ink);"
    "font:1rem/1.55 system-ui,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif;"
    "overflow-wrap:break-word}\n"
    "h1{font-size:1.7rem;line-height:1.2;margin:.5rem 0}\n"
    "h2{font-size:1.3rem;line-height:1.3;margin:2.5rem 0 .5rem;padding-top:.75rem;"
    "border-top:1px solid var(--line)}\n"
    "h3{font-size:1.05rem;margin:1.5rem 0 .25rem}\n"
    "p,ul{margin:.5rem 0}p,li,dd{max-width:48rem}\n"
    "a{color:var(--link)}\n"
    "a:focus-visible,.scroll:focus-visible{outline:3px solid var(--link);outline-offset:2px}\n"
    "small,.soft,caption,figcaption{color:var(--soft)}small{font-size:.8em}\n"
    "code{font-family:ui-monospace,\"DejaVu Sans Mono\",monospace;font-size:.9em}\n"
    ".skip{position:absolute;left:-99rem}.skip:focus{position:static}\n"
    ".unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);"
    "white-space:nowrap}\n"
    "nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;padding:0;list-style:none}\n"
    "nav a{display:inline-block;padding:.35rem 0}\n"
    ".verdict{max-width:none;padding:.75rem 1rem;border:1px solid var(--line);border-left:.5rem "
    "solid;"
    "background:var(--card);font-size:1.1rem}\n"
    ".held{border-left-color:var(--good)}.held strong,.pass{color:var(--good)}\n"
    ".broken{border-left-color:var(--bad)}.broken strong,.fail{color:var(--bad);font-weight:700}\n"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,13rem),1fr));"
    "gap:.75rem;margin:1rem 0}\n"
    ".cards>div{background:var(--card);border:1px solid var(--line);padding:.6rem .9rem}\n"
    ".cards dt{color:var(--soft);font-size:.9rem}\n"
    ".cards dd{margin:0}.cards .big{font-size:1.9rem;line-height:1.25;font-weight:650;"
    "font-variant-numeric:tabular-nums}\n"
    ".scroll{position:relative;overflow:auto;max-height:80vh;margin:1rem 0;border:1px solid "
    "var(--line)}\n",
    "table{border-collapse:collapse;width:100%;font-size:.9rem}\n"
    "caption{text-align:left;padding:.5rem .6rem;caption-side:top}\n"
    "caption span{display:block;position:sticky;left:.6rem;"
    "max-width:min(60rem,calc(100vw - 3.5rem))}\n"
    "#table-checks td:last-child{min-width:15rem}\n"
    "th,td{padding:.3rem .5rem;text-align:left;vertical-align:top;"
    "border-top:1px solid var(--line)}\n"
    "thead th{position:sticky;top:0;background:var(--paper);vertical-align:bottom;z-index:1}\n"
    "tbody th{font-weight:400;min-width:9rem}\n"
    "td small{white-space:nowrap;display:block}\n"
    ".n{text-align:right;font-variant-numeric:tabular-nums}\n"
    ".m{text-align:center;padding-left:.2rem;padding-right:.2rem}\n"
    "thead .m span{writing-mode:vertical-rl;transform:rotate(180deg);font-weight:400;"
    "white-space:nowrap}\n"
    ".facts th{width:11rem;min-width:7rem;color:var(--soft)}\n"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));"
    "gap:1rem 2rem;align-items:start}\n"
    "figure{margin:.5rem 0;max-width:40rem;break-inside:avoid}figure.wide{max-width:none}\n"
    "svg{display:block;width:100%;height:auto;overflow:visible}\n"
    ".tall svg{max-width:38rem}\n"
    ".wide .scroll svg{min-width:42rem}.wide .scroll{max-height:none}\n"
    ".legend{display:flex;flex-wrap:wrap;gap:.25rem 1rem;padding:0;list-style:none}\n"
    ".legend svg{display:inline-block;width:1.1rem;height:1.1rem;vertical-align:-.2rem;"
    "margin-right:.35rem}\n"
    ".w0{fill:var(--w0)}.w1{fill:var(--w1)}.w2{fill:var(--w2)}.w3{fill:var(--w3)}"
    ".w4{fill:var(--w4)}\n"
    ".on0{fill:var(--on0)}.on1{fill:var(--on1)}.on2{fill:var(--on2)}.on3{fill:var(--on3)}"
    ".on4{fill:var(--on4)}\n"
    ".disc{stroke:var(--ink);stroke-opacity:.6}.edge{stroke:var(--soft);fill:none}\n"
    ".control{fill:var(--ink);fill-opacity:.045;stroke:var(--soft)}.self{fill:var(--soft)}\n"
    ".none{fill:none;stroke:var(--soft);stroke-opacity:.6;stroke-dasharray:2 3}\n"
    ".tree text{font-family:system-ui,\"DejaVu Sans\",sans-serif;text-anchor:middle}\n"
    ".tree .ink{fill:var(--ink)}.tree .own{fill:var(--paper)}\n"
    "footer{margin-top:3rem;border-top:1px solid var(--line);padding-top:.5rem}\n"
    "@media screen and (prefers-color-scheme:dark){\n"
    ":root{--paper:#14181d;--ink:#e6eaef;--soft:#a3adb9;--line:#39424e;--card:#1d232a;"
    "--link:#7db4f0;--good:#6ccb8b;--bad:#ff8a85;"
    "--w0:#2c2820;--w1:#5c4420;--w2:#96622a;--w3:#d98a45;--w4:#ffc999;"
    "--on0:#e6eaef;--on1:#e6eaef;--on2:#fff;--on3:#14181d;--on4:#14181d}\n",
};

static const char *const print_rules =
    "@media print{\n"
    "body{max-width:none;padding:0;font-size:10pt;background:#fff;color:#000}\n"
    "nav,.skip,.files{display:none}\n"
    ".scroll{overflow:visible;max-height:none;border:0}\n"
    "thead th{position:static}table{font-size:8pt}th,td{padding:.15rem .35rem}\n"
    "tr,figure,.cards>div{break-inside:avoid}h2,h3{break-after:avoid}\n"
    ".plots{grid-template-columns:1fr 1fr}.wide .scroll svg{min-width:0}\n"
    "a{color:inherit;text-decoration:none}}\n";

void dd_page_style_(FILE *out)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        fputs(rules[i], out);
    dd_plot_css(true, out);
    fputs("}\n", out);
    dd_plot_css(false, out);
    fputs(print_rules, out);
}
