/// The style of reports on light and dark screens, at least 400 pixels wide, and on paper.
enum ReportStyle {
    /// The style sheet of pages, after `colours` and `drawings`.
    static let sheet: StaticString = """

        * { box-sizing: border-box; }
        html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
        body {
          margin: 0; background: var(--paper); color: var(--ink);
          font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", "DejaVu Sans", \
        sans-serif;
        }
        main { max-width: 1120px; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
        h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .35rem; font-weight: 650; letter-spacing: -.01em; }
        h2 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 .35rem; font-weight: 650; overflow-wrap: anywhere; }
        h3 { font-size: 1.02rem; line-height: 1.3; margin: 2rem 0 .5rem; font-weight: 650; }
        p { margin: 0 0 .8rem; max-width: 44rem; }
        a { color: var(--accent); text-underline-offset: .15em; }
        code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: \
        .84em; }
        code { overflow-wrap: anywhere; }
        pre {
          margin: 0; padding: .75rem .9rem; background: var(--soft); border-radius: 6px; white-space: pre-wrap;
          overflow-wrap: anywhere;
        }
        .lede { color: var(--muted); font-size: 1.05rem; overflow-wrap: anywhere; }
        .muted, figcaption, small { color: var(--muted); }
        small { font-size: .84em; }
        .bad { color: var(--bad); font-weight: 600; }
        .good { color: var(--good); font-weight: 600; }
        nav { margin: 1.25rem 0 0; padding: .7rem 0; border-block: 1px solid var(--rule); }
        nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 0; padding: 0; list-style: none; }
        section { margin-top: 3rem; padding-top: 1.5rem; border-top: 1px solid var(--rule); scroll-margin-top: 1rem; }
        section.first { border-top: 0; margin-top: 1rem; padding-top: .5rem; }
        .scroll { overflow-x: auto; margin: 0 -1.25rem; padding: 0 1.25rem .5rem; }
        table { border-collapse: collapse; font-variant-numeric: tabular-nums lining-nums; }
        th, td { padding: .38rem .9rem .38rem 0; text-align: right; vertical-align: baseline; white-space: nowrap; }
        th { font-weight: 600; color: var(--muted); font-size: .84rem; border-bottom: 1px solid var(--rule); }
        td { border-bottom: 1px solid var(--rule); }
        tbody tr:last-child td, tbody tr:last-child th { border-bottom: 0; }
        tbody th { color: var(--ink); font-size: 1rem; font-weight: 500; }
        .text { text-align: left; }
        td.wrap { white-space: normal; overflow-wrap: anywhere; min-width: 12rem; }
        td small { display: block; line-height: 1.3; }
        .overview { width: 100%; }
        .compact { font-size: .92rem; }
        .compact th, .compact td { padding: .22rem .7rem .22rem 0; }
        .compact tbody th { font-size: .92rem; }
        .facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 1rem 1.5rem; \
        margin: 1.1rem 0; }
        .facts div { border-top: 2px solid var(--accent); padding-top: .4rem; }
        .facts dt { color: var(--muted); font-size: .84rem; }
        .facts dd { margin: 0; font-size: 1.35rem; font-weight: 600; line-height: 1.25; font-variant-numeric: \
        tabular-nums; }
        .facts dd small { display: block; font-weight: 400; font-size: .84rem; }
        .notes { margin: .8rem 0; padding: .1rem 0 .1rem 1rem; border-left: 3px solid var(--second); list-style: none; }
        .notes li { margin: .25rem 0; overflow-wrap: anywhere; max-width: 52rem; }
        .plain { margin: .4rem 0; padding-left: 1.2rem; }
        .columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 1rem \
        2.5rem; }
        .columns.wide { grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
        .columns h3 { margin-top: 1rem; }
        figure { margin: 0; }
        figcaption { font-size: .84rem; line-height: 1.4; max-width: 34rem; margin-top: .5rem; }
        figure + p { margin-top: .8rem; }
        .pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 1.1rem 1.1rem; }
        .pictures figure { min-width: 0; }
        .pictures img, .absent {
          display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: var(--soft); border-radius: \
        6px;
          margin-bottom: .4rem;
        }
        .absent { display: grid; place-items: center; color: var(--muted); font-size: .84rem; }
        .pictures figcaption { overflow-wrap: anywhere; }
        .pictures strong { color: var(--ink); font-weight: 600; }
        .pictures a { color: inherit; text-decoration: none; }
        .pictures a:hover { text-decoration: underline; }
        .absent { padding: .5rem; text-align: center; overflow-wrap: anywhere; overflow: hidden; }
        .classes { display: flex; flex-wrap: wrap; gap: .15rem .9rem; margin: .8rem 0 0; padding: 0; list-style: none; \
        font-size: .92rem; }
        h3 small { font-weight: 400; margin-left: .35rem; }
        h4 { font-size: .84rem; line-height: 1.3; margin: 1rem 0 .4rem; font-weight: 600; color: var(--muted); }
        .top { font-size: .84rem; }
        .tree { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .2rem 1rem; margin: 0; \
        font-size: .92rem; }
        .tree dt { color: var(--muted); overflow-wrap: anywhere; }
        .tree dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
        .tree .tree { padding-left: .75rem; border-left: 1px solid var(--rule); font-size: 1em; }
        .nested { grid-column: 1 / -1; padding-left: .75rem; }
        .item + .item { margin-top: .6rem; }

        @media (max-width: 560px) {
          body { font-size: 15px; }
          main { padding: 1.5rem 1rem 3rem; }
          .scroll { margin: 0 -1rem; padding: 0 1rem .5rem; }
          h1 { font-size: 1.5rem; }
          .facts { grid-template-columns: repeat(2, 1fr); gap: .8rem 1rem; }
          .pictures { grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)); }
          .compact, .compact tbody th { font-size: .84rem; }
          .compact th, .compact td { padding-right: .5rem; }
          .tree { grid-template-columns: 1fr; gap: 0; }
          .tree dd { margin-bottom: .35rem; }
        }
        @media print {
          :root {
            color-scheme: light;
            --paper: #ffffff; --ink: #000000; --muted: #444444; --rule: #bbbbbb; --soft: #f2f2f2;
            --accent: #174ea6; --second: #b35900; --bad: #a4242f; --good: #1a6b3c; --on-strong: #ffffff; --on-middle: \
        #000000;
          }
          * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
          body { font-size: 10pt; }
          main { max-width: none; padding: 0; }
          nav { display: none; }
          .scroll { overflow: visible; }
          .scroll > svg.fixed { max-width: 100%; height: auto; }
          .facts { grid-template-columns: repeat(6, 1fr); gap: .8rem; }
          section { border-top: 0; break-before: page; margin-top: 0; padding-top: 0; }
          section.first { break-before: auto; }
          figure, tr, .facts, .pictures figure { break-inside: avoid; }
          h2, h3 { break-after: avoid; }
          a { color: inherit; text-decoration: none; }
        }

        """
}

extension ReportStyle {
    /// The colours of pages and standalone drawings, on light and dark screens.
    static let colours: StaticString = """

        :root {
          color-scheme: light dark;
          --paper: #ffffff; --ink: #1b1f24; --muted: #57606a; --rule: #d7dce2; --soft: #f4f6f8;
          --accent: #174ea6; --second: #b35900; --bad: #a4242f; --good: #1a6b3c; --on-strong: #ffffff; --on-middle: \
        #101418;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --paper: #12151a; --ink: #e6e9ee; --muted: #a0a9b4; --rule: #343b45; --soft: #1b2027;
            --accent: #8ab4f8; --second: #f0a45d; --bad: #ff9a94; --good: #7fd6a2; --on-strong: #0b0f14; --on-middle: \
        #0b0f14;
          }
        }

        """

    /// The style sheet of drawings.
    static let drawings: StaticString = """

        svg { display: block; font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", \
        sans-serif; }
        svg.chart { max-width: 100%; height: auto; }
        svg.fixed { max-width: none; }
        svg text { fill: var(--ink); font-variant-numeric: tabular-nums; }
        svg .tick { fill: var(--muted); font-size: 12px; }
        svg .axis-title { fill: var(--muted); font-size: 12px; }
        svg .name { font-size: 12px; }
        svg .dense { font-size: 11px; }
        svg .value.dense { font-size: 10px; }
        .axis { stroke: var(--muted); stroke-width: 1; }
        .grid { stroke: var(--rule); stroke-width: 1; }
        .diagonal { stroke: var(--muted); stroke-width: 1.25; stroke-dasharray: 4 3; }
        .plot { fill: var(--paper); }
        .cell { fill: var(--accent); }
        .cell.opposite { fill: var(--second); }
        .cell-rule { stroke: var(--rule); stroke-width: .75; }
        svg .value.middle { fill: var(--on-middle); }
        svg .value.strong { fill: var(--on-strong); font-weight: 600; }
        .series1 { fill: var(--accent); }
        .series2 { fill: var(--second); }
        .series3 { fill: var(--good); }
        .series4 { fill: var(--bad); }
        .series5 { fill: var(--muted); }
        .series6 { fill: var(--muted); fill-opacity: .45; }
        .gap { fill: var(--second); fill-opacity: .3; stroke: var(--second); stroke-width: 1; }
        .gap.inside { fill-opacity: .65; }
        .histogram { fill: var(--muted); fill-opacity: .55; }
        .whisker { stroke: var(--ink); stroke-width: 1.25; }
        .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
        .line1 { stroke: var(--accent); }
        .line2 { stroke: var(--second); stroke-dasharray: 6 3; }
        .line3 { stroke: var(--good); stroke-dasharray: 2 3; }
        .line4 { stroke: var(--bad); stroke-dasharray: 8 3 2 3; }
        .line5 { stroke: var(--muted); stroke-dasharray: 1 3; }
        .line6 { stroke: var(--ink); stroke-dasharray: 12 4; }
        .mark1 { fill: var(--accent); }
        .mark2 { fill: var(--second); }
        .mark3 { fill: var(--good); }
        .mark4 { fill: var(--bad); }
        .mark5 { fill: var(--muted); }
        .mark6 { fill: var(--ink); }
        .point { fill: var(--accent); fill-opacity: .65; stroke: var(--paper); stroke-width: 1; }
        .trend { stroke: var(--second); stroke-width: 1.5; }
        .track { stroke: var(--rule); stroke-width: 2; stroke-linecap: round; }
        .span { stroke: var(--accent); stroke-width: 5; stroke-linecap: butt; stroke-opacity: .55; }
        .mark { fill: var(--accent); stroke: var(--paper); stroke-width: 1.5; }

        """
}
