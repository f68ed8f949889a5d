/// SVG shapes of charts. Colours come from the style sheet by class, so one drawing serves light and dark screens and
/// paper.
enum Drawing {
    /// A drawing with its size in pixels and its text alternative. It shrinks with the page unless `isFixed`.
    static func svg(
        width: Double, height: Double, description: String, isFixed: Bool = false, @HTMLBuilder _ content: () -> HTML
    ) -> HTML {
        let (w, h) = (NumberText.coordinate(width), NumberText.coordinate(height))
        return .element(
            "svg",
            [
                "viewBox": "0 0 \(w) \(h)", "width": w, "height": h, "role": "img", "aria-label": description,
                "class": isFixed ? "chart fixed" : "chart",
            ], content)
    }

    /// A drawing as a standalone SVG file with the style of the page.
    static func file(_ drawing: HTML) -> String {
        let start = "<svg "
        let rest = drawing.markup.dropFirst(start.count)
        guard drawing.markup.hasPrefix(start), let end = rest.firstIndex(of: ">") else { return drawing.markup }
        let looks = HTML.style(ReportStyle.colours).markup + HTML.style(ReportStyle.drawings).markup
        let paper = rectangle(0, 0, 1e5, 1e5, "plot").markup
        return "\(start)xmlns=\"http://www.w3.org/2000/svg\" \(rest[...end])\(looks)\(paper)"
            + "\(rest[rest.index(after: end)...])\n"
    }

    static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) -> HTML {
        .void(
            "line",
            [
                "x1": NumberText.coordinate(x1), "y1": NumberText.coordinate(y1), "x2": NumberText.coordinate(x2),
                "y2": NumberText.coordinate(y2), "class": style,
            ])
    }

    /// A rectangle; `note` is its tooltip.
    static func rectangle(
        _ x: Double, _ y: Double, _ width: Double, _ height: Double, _ style: String, opacity: Double? = nil,
        note: String? = nil
    ) -> HTML {
        .element(
            "rect",
            [
                "x": NumberText.coordinate(x), "y": NumberText.coordinate(y),
                "width": NumberText.coordinate(max(width, 0)), "height": NumberText.coordinate(max(height, 0)),
                "class": style, "fill-opacity": opacity.map(NumberText.coordinate),
            ]
        ) { if let note { title(note) } }
    }

    static func circle(_ x: Double, _ y: Double, _ radius: Double, _ style: String, note: String? = nil) -> HTML {
        .element(
            "circle",
            [
                "cx": NumberText.coordinate(x), "cy": NumberText.coordinate(y), "r": NumberText.coordinate(radius),
                "class": style,
            ]
        ) { if let note { title(note) } }
    }

    static func polyline(_ points: [(x: Double, y: Double)], _ style: String) -> HTML {
        let text = points.map { "\(NumberText.coordinate($0.x)),\(NumberText.coordinate($0.y))" }.joined(separator: " ")
        return .void("polyline", ["points": text, "class": style])
    }

    /// The part of a text that its coordinates refer to.
    enum Anchor: String { case start, middle, end }

    /// A line of text, rotated about its anchor by `turned` degrees.
    static func text(
        _ text: String, _ x: Double, _ y: Double, _ style: String = "", anchor: Anchor = .start, turned: Double? = nil,
        note: String? = nil
    ) -> HTML {
        let (px, py) = (NumberText.coordinate(x), NumberText.coordinate(y))
        return .element(
            "text",
            [
                "x": px, "y": py, "text-anchor": anchor.rawValue, "class": style.isEmpty ? nil : style,
                "transform": turned.map { "rotate(\(NumberText.coordinate($0)) \(px) \(py))" },
            ]
        ) {
            text
            if let note { title(note) }
        }
    }

    /// A name, truncated to `limit` characters.
    static func shortened(_ name: String, _ limit: Int) -> String {
        name.count > limit ? name.prefix(limit - 1) + "…" : name
    }

    /// The approximate width of a text in pixels.
    static func width(of text: String, size: Double) -> Double {
        text.reduce(0) { $0 + ($1.isASCII ? 0.56 : 0.95) } * size
    }

    private static func title(_ note: String) -> HTML { .element("title") { note } }
}
