/** The page's style: light and dark, and readable from a phone's width up. */
export const STYLE = `
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --text: #1b1f24; --dim: #59636e; --line: #d5dae0;
  --l0: #e8ebef; --l1: #b6d7f2; --l2: #6fb0e4; --l3: #2f83c9; --l4: #0f4f87; --good: #1a7f37; --bad: #b42318;
  --badbg: #fdecea; --going: #d9a441; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171b; --card: #1d2126; --text: #e6e9ed; --dim: #9aa4af;
  --line: #343b43; --l0: #2a3037; --l1: #17436b; --l2: #1f639f; --l3: #3f93d8; --l4: #a5d4fb; --good: #57c777;
  --bad: #ff8a80; --badbg: #3b1f1d; --going: #c8923a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--bg); color: var(--text);
  font: 16px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .2rem; } h2 { font-size: 1.05rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; } .dim { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.tile, .card, .alert { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .7rem
  .9rem; }
.tile b { display: block; font-size: 1.25rem; } .alert { background: var(--badbg); border-color: var(--bad); }
.alert ul { margin: .3rem 0 0; padding-left: 1.2rem; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(21rem, 100%), 1fr)); gap: .8rem;
  margin-top: 1rem; }
svg { display: block; width: 100%; height: auto; margin: .6rem 0; } svg text { font-size: 9px; fill: var(--dim); }
.l0 { fill: var(--l0); } .l1 { fill: var(--l1); } .l2 { fill: var(--l2); } .l3 { fill: var(--l3); } .l4 { fill:
  var(--l4); }
.bar { fill: var(--l2); } .going { fill: var(--going); } polyline { fill: none; stroke: var(--l4); stroke-width: 1.5; }
details { margin-top: .4rem; } summary { cursor: pointer; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; } th, td { text-align: left; padding: .15rem .8rem .15rem 0;
  white-space: nowrap; } td.n, th.n { text-align: right; } tr.going td { color: var(--going); fill: none; }
footer { margin-top: 1.2rem; font-size: .85rem; color: var(--dim); }
`;
