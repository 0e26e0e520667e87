// How report.html looks: its style sheet, and the patterns that its pictures fill areas with.
//
// Hues are after Okabe and Ito, which people with any colour vision tell apart; on paper lines are
// dashed as well. Bands are ordered, so theirs is one hue from strong to pale.
#pragma once

namespace sluice::simulate {

inline constexpr const char* kReportPatterns =
    R"html(<svg xmlns="http://www.w3.org/2000/svg" class="patterns" aria-hidden="true"><defs>
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse"
patternTransform="rotate(45)">
<rect class="hatch-ground" width="6" height="6"/><rect class="hatch-line" width="2.2" height="6"/>
</pattern></defs></svg>
)html";

inline constexpr const char* kReportStyle = R"html(
:root {
  color-scheme: light dark;
  --page: #ffffff; --card: #f6f7f9; --ink: #16202c; --muted: #5a6675; --line: #dfe3e8;
  --base: #98a2ae; --shade: #16202c0d; --track: #e9ecf0;
  --worse: #b23a00; --better: #00694d;
  --r0: #0072b2; --r1: #d55e00; --r2: #009e73; --r3: #b0508a; --r4: #c98a00; --r5: #3fa2dc;
  --r6: #7d6a00; --r7: #59616b;
  --b0: #3f1d86; --b1: #7e6bc4; --b2: #b9aee3; --b3: #d8d1f1; --b4: #e6e1f7; --b5: #efecfa;
  --bq: #8a929d; --bq-ground: #dde1e6;
  --heat: #005f96; --queue: #c74f00;
}
@media (prefers-color-scheme: dark) { :root {
  --page: #11161d; --card: #1a212b; --ink: #e8edf3; --muted: #9eabba; --line: #2a3441;
  --base: #64717f; --shade: #ffffff0f; --track: #222b36;
  --worse: #ff9a5c; --better: #45d6a8;
  --r0: #5ab4f0; --r1: #ff8b3d; --r2: #2fcb9a; --r3: #e79cc6; --r4: #f0c04a; --r5: #2d86c9;
  --r6: #f0e442; --r7: #b4bdc8;
  --b0: #e2d6ff; --b1: #a890f0; --b2: #7257c2; --b3: #513d92; --b4: #3e306f; --b5: #2e2553;
  --bq: #a3aebb; --bq-ground: #36414d;
  --heat: #5ab4f0; --queue: #ff8b3d;
} }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 40px 32px 64px; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", "Helvetica Neue", "Noto Sans",
  "DejaVu Sans", Arial, sans-serif; }
.patterns { position: absolute; width: 0; height: 0; }
h1 { font-size: 32px; line-height: 1.2; margin: 0 0 20px; letter-spacing: -0.01em;
  overflow-wrap: anywhere; max-width: 34em;
  text-wrap: balance; }
h2 { font-size: 22px; margin: 0 0 4px; letter-spacing: -0.005em; }
h3 { font-size: 15px; margin: 20px 0 8px; }
section { margin-top: 48px; padding-top: 20px; border-top: 1px solid var(--line); }
.eyebrow { margin: 0 0 6px; color: var(--muted); font-size: 14px; letter-spacing: 0.04em; }
.about { margin: 0 0 12px; color: var(--muted); max-width: 46em; }
.n.r0 { color: var(--r0); } .n.r1 { color: var(--r1); } .n.r2 { color: var(--r2); }
.n.r3 { color: var(--r3); } .n.r4 { color: var(--r4); } .n.r5 { color: var(--r5); }
.n.r6 { color: var(--r6); } .n.r7 { color: var(--r7); }
.verdict { margin: 0 0 16px; padding: 14px 18px; background: var(--card);
  border-left: 5px solid var(--base); }
.verdict p { margin: 6px 0 0; overflow-wrap: anywhere; }
.verdict p:first-child { margin: 0 0 6px; }
.verdict h3 { margin: 0 0 2px; text-transform: uppercase; font-size: 14px; letter-spacing: 0.04em; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(400px, 100%), 1fr));
  gap: 12px 32px; }
.verdict ul { margin: 0; padding-left: 18px; }
.verdict li { overflow-wrap: anywhere; }
.v-worse, .v-mixed { border-color: var(--worse); }
.v-better { border-color: var(--better); }
.tiles + .verdict { margin-top: 24px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 16px;
  margin-top: 24px; }
.tile { background: var(--card); padding: 14px 18px 18px; min-width: 0; }
.tile h3 { margin: 0 0 8px; color: var(--muted); font-weight: 600; overflow-wrap: anywhere; }
.row { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 12px; }
.who { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: 14px; }
.num { margin-left: auto; font-size: 19px; font-weight: 650; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.bar { display: block; width: 100%; height: 8px; margin: 2px 0 8px; }
.worse { color: var(--worse); } .better { color: var(--better); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 8px 0 12px; font-size: 14px;
  align-items: center; }
.item { display: inline-flex; align-items: center; gap: 7px; overflow-wrap: anywhere; }
.key { width: 22px; height: 12px; flex: none; }
.scale { display: inline-flex; align-items: center; gap: 8px; margin-right: 16px; }
.ramp { width: 98px; height: 12px; }
.grid2 { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(460px, 100%), 1fr));
  gap: 24px 32px; }
.grid3 { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(330px, 100%), 1fr));
  gap: 24px 28px; }
figure { margin: 0; min-width: 0; max-width: 760px; break-inside: avoid; }
.grid3 figure { max-width: 440px; }
figcaption { display: flex; flex-wrap: wrap; gap: 2px 14px; align-items: baseline;
  margin-bottom: 6px; font-size: 15px; }
figcaption b { overflow-wrap: anywhere; }
.p99 { display: inline-flex; flex-wrap: wrap; gap: 2px 12px; color: var(--muted); font-size: 14px;
  font-variant-numeric: tabular-nums; }
.over { margin: 8px 0 2px; font-size: 13px; color: var(--muted); }
figure svg { display: block; width: 100%; height: auto; }
figcaption svg.key { width: 22px; height: 12px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
.setup { font-size: 15px; }
.setup th { text-align: left; font-weight: 400; color: var(--muted); padding: 3px 28px 3px 0;
  vertical-align: top; white-space: nowrap; }
.setup td { padding: 3px 28px 3px 0; overflow-wrap: anywhere; vertical-align: top; }
.setup .item { white-space: nowrap; }
.figures { min-width: min(100%, 640px); font-size: 15px; margin-top: 8px; }
.figures th { text-align: left; font-weight: 400; padding: 4px 24px 4px 0; }
.figures thead th { text-align: right; font-weight: 600; padding: 4px 0 8px 28px; }
.figures td { text-align: right; padding: 4px 0 4px 28px; white-space: nowrap; }
.figures tr { border-bottom: 1px solid var(--line); }
.figures .band th { padding-top: 18px; font-weight: 700; }
.figures td.worse, .figures td.better { font-weight: 650; }
dl { display: grid; grid-template-columns: max-content minmax(0, 46em); gap: 6px 28px;
  margin: 12px 0; }
dt { font-weight: 600; } dd { margin: 0; color: var(--muted); }
svg text { font-size: 12px; font-family: inherit; }
.t { fill: var(--muted); } .mid { text-anchor: middle; } .end { text-anchor: end; }
.grid, .base, .tick { fill: none; stroke: var(--line); stroke-width: 1; }
.base, .tick { stroke: var(--base); }
.shade { fill: var(--shade); } .track { fill: var(--track); }
.l { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
.l.r0, .l.c0 { stroke: var(--r0); } .l.r1, .l.c1 { stroke: var(--r1); }
.l.r2, .l.c2 { stroke: var(--r2); } .l.r3, .l.c3 { stroke: var(--r3); }
.l.r4, .l.c4 { stroke: var(--r4); } .l.r5, .l.c5 { stroke: var(--r5); }
.l.r6, .l.c6 { stroke: var(--r6); } .l.r7, .l.c7 { stroke: var(--r7); }
.l.r4, .l.r5, .l.r6, .l.r7, .l.c4, .l.c5, .l.c6, .l.c7 { stroke-dasharray: 7 3; }
.f.r0 { fill: var(--r0); } .f.r1 { fill: var(--r1); } .f.r2 { fill: var(--r2); }
.f.r3 { fill: var(--r3); } .f.r4 { fill: var(--r4); } .f.r5 { fill: var(--r5); }
.f.r6 { fill: var(--r6); } .f.r7 { fill: var(--r7); }
.b0 { fill: var(--b0); } .b1 { fill: var(--b1); } .b2 { fill: var(--b2); }
.b3 { fill: var(--b3); } .b4 { fill: var(--b4); } .b5 { fill: var(--b5); }
.bq { fill: url(#hatch); }
.hatch-ground { fill: var(--bq-ground); } .hatch-line { fill: var(--bq); }
.heat { fill: var(--heat); } .queue { fill: var(--queue); }
.h1 { fill-opacity: 0.18; } .h2 { fill-opacity: 0.34; } .h3 { fill-opacity: 0.5; }
.h4 { fill-opacity: 0.67; } .h5 { fill-opacity: 0.84; }
@page { size: landscape; margin: 12mm; }
@media print {
  body { padding: 0; max-width: none; font-size: 14px; print-color-adjust: exact;
    -webkit-print-color-adjust: exact; }
  section { margin-top: 24px; padding-top: 12px; }
  .tiles { grid-template-columns: repeat(4, 1fr); }
  .grid2 { grid-template-columns: 1fr 1fr; } .grid3 { grid-template-columns: repeat(3, 1fr); }
  h2, h3, .about, .legend { break-after: avoid; }
  tr, .verdict, .tile, #setup, #queue, #servers, #service { break-inside: avoid; }
  .l.r1, .l.c1 { stroke-dasharray: 8 3; } .l.r2, .l.c2 { stroke-dasharray: 2 2; }
  .l.r3, .l.c3 { stroke-dasharray: 10 3 2 3; }
}
)html";

}  // namespace sluice::simulate
