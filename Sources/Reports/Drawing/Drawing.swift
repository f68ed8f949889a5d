/// The shapes that charts are drawn with, as SVG in a page. Colours come from the page's style by class, so that one
/// drawing serves light, dark and paper.
enum Drawing {
    /// A drawing of a size in pixels, with words for those who do not see it. It shrinks with the page unless
    /// `isFixed`.
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

    /// A drawing as a file of its own, with the look that it has on a page.
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

    /// A rectangle, with a note that shows under the pointer.
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

    /// Where a text begins, is in the middle, or ends.
    enum Anchor: String { case start, middle, end }

    /// A line of text; `turned` turns it about its anchor, in degrees.
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

    /// A name, or its beginning where it is longer than `limit` characters.
    static func shortened(_ name: String, _ limit: Int) -> String {
        name.count > limit ? name.prefix(limit - 1) + "…" : name
    }

    /// About how many pixels a text takes in a font of that size.
    static func width(of text: String, size: Double) -> Double {
        text.reduce(0) { $0 + ($1.isASCII ? 0.56 : 0.95) } * size
    }

    private static func title(_ note: String) -> HTML { .element("title") { note } }
}
