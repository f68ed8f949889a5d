import Evaluation
import Files

/// The common parts of all reports.
enum ReportPage {
    /// A whole page: one self-contained file without scripts.
    static func text(title: String, @HTMLBuilder _ content: () -> HTML) -> String {
        HTML.page(
            .element("html", ["lang": "en"]) {
                HTML.element("head") {
                    HTML.void("meta", ["charset": "utf-8"])
                    HTML.void("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"])
                    HTML.element("title") { title }
                    HTML.style(ReportStyle.colours)
                    HTML.style(ReportStyle.drawings)
                    HTML.style(ReportStyle.sheet)
                }
                HTML.element("body") { HTML.element("main", [:], content) }
            })
    }

    /// What comes before and after the content of a page that is written piece by piece.
    static func frame(title: String) -> (opening: String, closing: String) {
        let mark = "</main>"
        let text = text(title: title) { .empty }
        // The title is escaped, so there is one such end.
        let parts = text.split(separator: mark, maxSplits: 1, omittingEmptySubsequences: false)
        return (String(parts[0]), mark + (parts.count > 1 ? parts[1] : ""))
    }

    /// Links to the sections of a page.
    static func navigation(_ sections: [(identifier: String, title: String)]) -> HTML {
        .element("nav", ["aria-label": "Sections"]) {
            HTML.element("ul") {
                for section in sections {
                    HTML.element("li") {
                        HTML.element("a", ["href": "#\(section.identifier)"]) { section.title }
                    }
                }
            }
        }
    }

    /// A section with its heading.
    static func section(
        _ identifier: String, _ title: String, isFirst: Bool = false, @HTMLBuilder _ content: () -> HTML
    ) -> HTML {
        .element("section", ["id": identifier, "class": isFirst ? "first" : nil]) {
            HTML.element("h2") { title }
            content()
        }
    }

    /// A table that scrolls horizontally where the page is too narrow.
    ///
    /// - Parameter text: the columns that hold text; the others hold numbers.
    static func table(
        _ style: String? = nil, columns: [String], text: Set<Int>, @HTMLBuilder rows: () -> HTML
    ) -> HTML {
        .element("div", ["class": "scroll"]) {
            HTML.element("table", ["class": style]) {
                HTML.element("thead") {
                    HTML.element("tr") {
                        for (index, column) in columns.enumerated() {
                            HTML.element("th", ["scope": "col", "class": text.contains(index) ? "text" : nil]) {
                                column
                            }
                        }
                    }
                }
                HTML.element("tbody", [:], rows)
            }
        }
    }

    /// A number with its name and an optional detail.
    static func fact(_ name: String, _ value: String, _ detail: String?) -> HTML {
        .element("div") {
            HTML.element("dt") { name }
            HTML.element("dd") {
                value
                if let detail { HTML.element("small") { detail } }
            }
        }
    }

    /// A list of notes, or nothing.
    static func notes(_ notes: [String]) -> HTML {
        guard !notes.isEmpty else { return .empty }
        return .element("ul", ["class": "notes"]) { for note in notes { HTML.element("li") { note } } }
    }

    /// The command that made the report, its data and its models.
    static func provenance(
        command: String, version: String, facts: [(String, JSON)], tasks: [EvaluationTask]
    ) -> HTML {
        section("provenance", "Provenance") {
            HTML.element("h3") { "Command" }
            HTML.element("pre") { command }
            HTML.element("h3") { "Data" }
            data(tasks)
            for (title, fact) in facts {
                HTML.element("h3") { title }
                tree(fact)
            }
            HTML.element("p", ["class": "muted"]) { "mergevit \(version)" }
        }
    }

    /// The source and the number of images of each task.
    private static func data(_ tasks: [EvaluationTask]) -> HTML {
        table(
            "compact", columns: ["task", "path", "images", "left out", "classes", "without images"], text: [0, 1]
        ) {
            for task in tasks {
                HTML.element("tr") {
                    HTML.element("th", ["scope": "row", "class": "text"]) { task.name }
                    HTML.element("td", ["class": "text"]) { HTML.element("code") { task.source.description } }
                    for count in [
                        task.items.count, task.unknownImages, task.classes.count, task.classesWithoutImages.count,
                    ] { HTML.element("td") { NumberText.count(count) } }
                }
            }
        }
    }

    /// A JSON value as nested lists.
    static func tree(_ value: JSON) -> HTML {
        switch value {
        case .null: HTML("none")
        case .bool(let flag): HTML(flag ? "yes" : "no")
        case .number(let literal): HTML(literal)
        case .string(let text): HTML(text)
        case .array(let elements):
            if elements.allSatisfy({ $0.objectValue == nil && $0.arrayValue == nil }) {
                HTMLBuilder.buildArray(
                    elements.enumerated().map { index, element in
                        HTMLBuilder.buildArray([HTML(index > 0 ? ", " : ""), tree(element)])
                    })
            } else {
                HTMLBuilder.buildArray(elements.map { element in .element("div", ["class": "item"]) { tree(element) } })
            }
        case .object(let object):
            .element("dl", ["class": "tree"]) {
                for (key, value) in object.members {
                    let isNested =
                        value.objectValue != nil || value.arrayValue?.contains { $0.objectValue != nil } == true
                    HTML.element("dt") { key }
                    HTML.element("dd", ["class": isNested ? "nested" : nil]) {
                        if key.contains(".") { HTML.element("code") { tree(value) } } else { tree(value) }
                    }
                }
            }
        }
    }
}
