"""How the pages of a report look: on a wide window, on a narrow one, on paper and in grey."""

from __future__ import annotations

from tuning.report.models import STYLE as MODELS

STYLE = (
    """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2430; background: #fff; max-width: 76rem; margin: 0 auto;
       padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.8rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.3rem; margin: 2.6rem 0 .6rem; }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; } p, li { max-width: 48rem; overflow-wrap: anywhere; }
header p { margin: .3rem 0; } .lead { font-size: 1.2rem; }
.notice { border-left: .3rem solid #b45309; padding: .4rem .8rem; background: #fff7e6; }
nav ul { list-style: none; padding: 0; margin: 1rem 0 0; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; }
a { color: #0b5394; } a:focus-visible, .wide:focus-visible { outline: 3px solid #0b5394; outline-offset: 2px; }
.wide { overflow-x: auto; } figure { margin: 1rem 0; } figcaption, caption { color: #3a4552; font-size: .9rem; }
figcaption { max-width: 52rem; margin-top: .3rem; } caption { text-align: left; padding-bottom: .3rem; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { padding: .25rem .9rem .25rem 0; text-align: right; border-bottom: 1px solid #dde2e8; white-space: nowrap; }
thead th { white-space: normal; vertical-align: bottom; }
tbody th { font-weight: inherit; white-space: normal; min-width: 5rem; }
th.text, td.text { text-align: left; } tr.best > * { font-weight: 600; }
td.text:last-child { white-space: normal; min-width: 9rem; }
svg { display: block; width: calc(var(--inches) * 1.2in); max-width: 100%; min-width: calc(var(--inches) * .75in);
      height: auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; } svg text { font-family: system-ui, sans-serif !important; }
footer { margin-top: 3rem; border-top: 1px solid #dde2e8; color: #3a4552; font-size: .9rem; }
@media print {
  body { max-width: none; padding: 0; font-size: 10.5pt; } nav { display: none; }
  .wide { overflow: visible; } svg { min-width: 0; width: 100%; } figure, tr { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; } table { font-size: 8.5pt; } th, td { white-space: normal; }
  a { color: inherit; text-decoration: none; }
}
"""
    + MODELS
)
