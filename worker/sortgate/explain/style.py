"""How the page looks: light and dark, narrow and wide, on paper."""

from __future__ import annotations

#: Of the page; every shade comes with a solid or a dashed line, for those who see no colour.
STYLE = """
:root{color-scheme:light dark;--ink:#1c2127;--dim:#5b6570;--paper:#fff;--line:#d9dee3;--for:#1769aa;--against:#b85a00}
@media(prefers-color-scheme:dark){:root{--ink:#e3e7eb;--dim:#9aa4ae;--paper:#14181c;--line:#333b43;
--for:#5aa9e6;--against:#eb955c}}
*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:56rem;margin:0 auto;
padding:1.5rem 1rem 4rem;overflow-wrap:anywhere}
h1{white-space:pre-wrap;font-size:1.7rem;line-height:1.25;margin:.2rem 0}h2{font-size:1.2rem;margin:2.2rem 0 .5rem;
border-top:1px solid var(--line);padding-top:1.1rem}p{margin:.5rem 0}.dim{color:var(--dim)}
.tokens{display:flex;flex-wrap:wrap;gap:.3rem .25rem;padding:0;margin:.6rem 0;list-style:none}
.t{padding:.1rem .35rem;border-radius:.3rem .3rem 0 0;background:color-mix(in srgb,var(--tone) var(--v),transparent);
border-bottom:3px var(--rule) var(--tone);text-align:center;white-space:pre-wrap}
.t small{display:block;font-size:.7rem;line-height:1.1;font-variant-numeric:tabular-nums;color:var(--ink);opacity:.85}
.f{--tone:var(--for);--rule:solid}.a{--tone:var(--against);--rule:dashed}.n{--tone:transparent;--rule:solid}
.v0{--v:0%}.v1{--v:14%}.v2{--v:30%}.v3{--v:50%}.u{font-style:italic;text-decoration:underline dotted}
.cut{align-self:center;color:var(--dim);font-size:.85rem}
.legend{display:flex;flex-wrap:wrap;gap:.4rem 1.4rem;padding:0;list-style:none;font-size:.85rem;color:var(--dim)}
.legend li{display:flex;gap:.5rem;align-items:center}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
td,th{padding:.25rem .5rem;text-align:right;white-space:nowrap;vertical-align:top;border-bottom:1px solid var(--line)}
th{color:var(--dim);font-weight:600}.w{text-align:left;white-space:normal;min-width:5.5rem}
.bar{display:inline-block;height:.7rem;background:var(--tone);border-radius:.15rem;min-width:1px}
svg{display:block;width:100%;height:auto;max-width:44rem}svg text{font:11px system-ui,sans-serif;fill:var(--dim)}
dl{display:grid;grid-template-columns:minmax(7rem,auto) 1fr;gap:.4rem 1rem;margin:.6rem 0}dt{color:var(--dim)}
dd{margin:0;white-space:pre-wrap}
@media(max-width:34rem){dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 .6rem}
.narrow{display:none}td,th{padding:.25rem .35rem}svg text{font-size:20px}}
.grid{stroke:var(--line)}.line{fill:none;stroke:var(--for);stroke-width:2}.dot{fill:var(--for)}
@media print{:root{color-scheme:light;--ink:#000;--dim:#444;--paper:#fff;--for:#1769aa;--against:#b85a00}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}tr,figure{break-inside:avoid}}
"""
