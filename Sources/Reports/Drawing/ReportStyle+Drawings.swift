extension ReportStyle {
    /// The colours of pages and of drawings that stand alone, on light and dark screens.
    package static let colours: StaticString = """

        :root {
          color-scheme: light dark;
          --paper: #ffffff; --ink: #1b1f24; --muted: #57606a; --rule: #d7dce2; --soft: #f4f6f8;
          --accent: #174ea6; --second: #b35900; --bad: #a4242f; --good: #1a6b3c; --on-strong: #ffffff; --on-middle: #101418;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --paper: #12151a; --ink: #e6e9ee; --muted: #a0a9b4; --rule: #343b45; --soft: #1b2027;
            --accent: #8ab4f8; --second: #f0a45d; --bad: #ff9a94; --good: #7fd6a2; --on-strong: #0b0f14; --on-middle: #0b0f14;
          }
        }

        """

    /// What drawings look like.
    static let drawings: StaticString = """

        svg { display: block; font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
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
