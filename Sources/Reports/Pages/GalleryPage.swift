import Compute
package import Files
package import Images
package import Labelling
import Synchronization

/// The page of a gallery: thumbnails by task and class, of withheld labels, and the reasons of failures.
///
/// It is one self-contained file that is written group by group, so that memory holds the thumbnails of one group.
package struct GalleryPage {
    /// A picture of the page that cannot be shown.
    package struct Absent: Sendable, Equatable {
        package let path: BytePath
        package let reason: String
    }

    /// What became of the pictures of a page.
    package struct Outcome: Sendable, Equatable {
        /// How many pictures are on the page, each as often as it is.
        package internal(set) var shown = 0
        /// The pictures that cannot be shown, each once.
        package internal(set) var absent: [Absent] = []
    }

    private let gallery: Gallery
    private let source: BytePath
    private let command: String
    private let version: String
    private let thumbnail: Thumbnail
    private let folder: BytePath
    private let current: BytePath

    /// A page about a gallery.
    ///
    /// - Parameters:
    ///   - source: the file of labels.
    ///   - output: the page's file, to whose folder the links to pictures are relative.
    ///   - command: the command line that made it.
    /// - Throws: `FileError` when there is no current folder.
    package init(
        _ gallery: Gallery, source: BytePath, output: BytePath, command: String, version: String,
        decoding: DecodingOptions = DecodingOptions()
    ) throws {
        (self.gallery, self.source, self.command, self.version) = (gallery, source, command, version)
        thumbnail = Thumbnail(decoding: decoding)
        current = try BytePath.currentFolder()
        folder = output.normalized(in: current).parent
    }

    /// Writes the page.
    ///
    /// - Parameters:
    ///   - threads: how many threads decode pictures.
    ///   - write: takes the text, piece by piece.
    /// - Throws: what `write` throws; `CancellationRequested`; `ComputeError` when no threads can be started.
    package func write(threads: Int, to write: @escaping (String) throws -> Void) throws -> Outcome {
        let frame = ReportPage.frame(title: "Gallery: \(source)")
        var total = 0
        var copy = gallery
        copy.forEachGroup { total += $0.count }
        let writer = Writer(
            pool: try WorkerPool(workers: threads), counter: LongWork.Counter("thumbnails", of: total), write: write)
        try write(frame.opening)
        try write(header.markup)
        for (index, task) in gallery.tasks.enumerated() { try writeTask(task, "task-\(index + 1)", writer) }
        if gallery.failed > 0 { try write(failures.markup) }
        if !writer.outcome.absent.isEmpty { try write(absent(writer.outcome.absent).markup) }
        try write(provenance.markup)
        try write(frame.closing)
        return writer.outcome
    }

    /// What a page is written with.
    private final class Writer {
        let pool: WorkerPool
        let counter: LongWork.Counter
        let write: (String) throws -> Void
        var outcome = Outcome()
        private var known: Set<BytePath> = []

        init(pool: WorkerPool, counter: LongWork.Counter, write: @escaping (String) throws -> Void) {
            (self.pool, self.counter, self.write) = (pool, counter, write)
        }

        func note(_ path: BytePath, _ reason: String) {
            if known.insert(path).inserted { outcome.absent.append(Absent(path: path, reason: reason)) }
        }
    }

    // MARK: The parts of the page

    private var header: HTML {
        let sections = gallery.tasks.enumerated().map { ("task-\($0 + 1)", $1.name) }
        let failed = gallery.failed > 0 ? [("failures", "Failures")] : []
        return HTMLBuilder.buildBlock(
            HTML.element("header", ["id": "top"]) {
                HTML.element("h1") { "Gallery" }
                HTML.element("p", ["class": "lede"]) {
                    "\(source): \(NumberText.count(gallery.pictures, "picture")), "
                        + NumberText.count(gallery.tasks.count, "task")
                        + (gallery.failed > 0 ? "; \(NumberText.count(gallery.failed)) failed" : "")
                }
                ReportPage.navigation(sections + failed + [("provenance", "Provenance")])
            },
            ReportPage.section("tasks", "All tasks", isFirst: true) {
                ReportPage.table("overview", columns: ["task", "labelled", "without a label", "classes"], text: [0]) {
                    for (index, task) in gallery.tasks.enumerated() {
                        HTML.element("tr") {
                            HTML.element("th", ["scope": "row", "class": "text"]) {
                                HTML.element("a", ["href": "#task-\(index + 1)"]) { task.name }
                            }
                            HTML.element("td") { NumberText.count(task.labelled) }
                            HTML.element("td") { NumberText.count(task.withheld.reduce(0) { $0 + $1.count }) }
                            HTML.element("td") { task.isValues ? "–" : NumberText.count(task.classes.count) }
                        }
                    }
                }
            })
    }

    private func writeTask(_ task: Gallery.Task, _ identifier: String, _ writer: Writer) throws {
        // The section's end is written last.
        let whole = ReportPage.section(identifier, task.name) {
            HTML.element("p", ["class": "muted"]) { summary(task) }
            if task.classes.count > 1 {
                HTML.element("ul", ["class": "classes"]) {
                    for (index, group) in task.classes.enumerated() {
                        HTML.element("li") {
                            HTML.element("a", ["href": "#\(identifier)-\(index + 1)"]) { group.name }
                            HTML.element("small") { " \(NumberText.count(group.count))" }
                        }
                    }
                }
            }
        }.markup
        let end = "</section>"
        try writer.write(String(whole.dropLast(end.count)))
        for (index, group) in task.classes.enumerated() {
            try writer.write(heading("\(identifier)-\(index + 1)", group.name, group.count).markup)
            let hasScores = group.surest.first?.score != nil
            let isWhole = group.leastSure.isEmpty
            let first = task.isValues ? "Largest" : "Surest"
            let last = task.isValues ? "Smallest" : "Least sure"
            let title =
                hasScores
                ? (isWhole ? "All, \(first.lowercased()) first" : first) : isWhole ? "All" : "The first"
            try write(group.surest, group.count > 1 ? title : nil, writer)
            try write(group.leastSure, last, writer)
        }
        for group in task.withheld {
            try writer.write(heading(nil, capitalized(group.title), group.count).markup)
            let isWhole = group.tiles.count == group.count
            try write(group.tiles, group.count > 1 ? (isWhole ? "All, surest first" : "Surest") : nil, writer)
        }
        if let group = task.leastFit {
            try writer.write(heading(nil, "Fit least", nil).markup)
            try write(group.tiles, "Of the pictures with a label, those that the task fits least", writer)
        }
        let link = HTML.element("p", ["class": "top"]) { HTML.element("a", ["href": "#top"]) { "To the top" } }
        try writer.write(link.markup + end)
    }

    private func summary(_ task: Gallery.Task) -> String {
        let parts = ["\(NumberText.count(task.labelled)) \(task.isValues ? "with values" : "labelled")"]
        return (parts + task.withheld.map { "\(NumberText.count($0.count)) \($0.title)" }).joined(separator: "; ")
    }

    private func heading(_ identifier: String?, _ title: String, _ count: Int?) -> HTML {
        .element("h3", ["id": identifier]) {
            title
            if let count { HTML.element("small") { NumberText.count(count) } }
        }
    }

    private func capitalized(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }

    /// Writes the thumbnails of a group.
    private func write(_ tiles: [Gallery.Tile], _ title: String?, _ writer: Writer) throws {
        guard !tiles.isEmpty else { return }
        let results = Mutex([Int: Result<String, any Error>]())
        writer.pool.forEach(tiles.count) { _, index in
            guard (try? writer.counter.check()) != nil else { return }
            let result = Result { try thumbnail.loaded(tiles[index].path) }
            results.withLock { $0[index] = result }
            writer.counter.count()
        }
        try writer.counter.check()
        let loaded = results.withLock(\.self)
        let block = HTMLBuilder.buildBlock(
            title.map { title in HTML.element("h4") { title } } ?? .empty,
            HTML.element("div", ["class": "pictures"]) {
                for (index, tile) in tiles.enumerated() { figure(tile, loaded[index], writer) }
            })
        try writer.write(block.markup)
    }

    private func figure(_ tile: Gallery.Tile, _ loaded: Result<String, any Error>?, _ writer: Writer) -> HTML {
        let name = BytePath(tile.path.lastComponent).description
        var reason: String?
        if case .failure(let error) = loaded {
            reason = PictureFolder.archiveReason(tile.path) ?? "\(error)"
        }
        if let reason { writer.note(tile.path, reason) } else { writer.outcome.shown += 1 }
        return HTML.element("figure") {
            if case .success(let address)? = loaded {
                HTML.element("a", ["href": link(to: tile.path)]) {
                    HTML.void("img", ["src": address, "alt": name, "loading": "lazy"])
                }
            } else {
                HTML.element("div", ["class": "absent"]) { "not shown: \(reason ?? "")" }
            }
            HTML.element("figcaption") {
                HTML.element("strong") { caption(tile) }
                HTML.void("br")
                HTML.element("code", ["title": tile.path.description]) { name }
            }
        }
    }

    private func caption(_ tile: Gallery.Tile) -> String {
        var parts = tile.label.map { [$0] } ?? []
        if let score = tile.score {
            parts.append(score >= 0 && score <= 1 ? NumberText.fixed(score, 3) : NumberText.significant(score))
        }
        if let fit = tile.fit { parts.append("fit \(NumberText.fixed(fit, 3))") }
        return parts.joined(separator: ", ")
    }

    /// The address of a picture, relative to the page's folder.
    private func link(to path: BytePath) -> String {
        let target = path.normalized(in: current).bytes.split(separator: slash)
        let start = folder.bytes.split(separator: slash)
        let common = zip(target, start).prefix { $0.elementsEqual($1) }.count
        let parts =
            Array(repeating: "..", count: start.count - common) + target.dropFirst(common).map { Self.escaped($0) }
        // A first part such as `a:b` would be taken for a scheme.
        return parts.first == ".." ? parts.joined(separator: "/") : "./" + parts.joined(separator: "/")
    }

    /// A part of a path with all but unreserved characters as `%XX` (RFC 3986).
    private static func escaped(_ part: ArraySlice<UInt8>) -> String {
        let digits = Array("0123456789ABCDEF")
        return part.reduce(into: "") { text, byte in
            let scalar = Unicode.Scalar(byte)
            if scalar.isASCII, scalar.properties.isAlphabetic || "0123456789-._~".unicodeScalars.contains(scalar) {
                text.unicodeScalars.append(scalar)
            } else {
                text += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
    }

    private var failures: HTML {
        ReportPage.section("failures", "Failures") {
            HTML.element("p", ["class": "muted"]) { "Pictures without labels, by the reason" }
            for failure in gallery.failures {
                heading(nil, failure.reason, failure.count)
                paths(failure.paths.map { ($0, nil) }, more: failure.count - failure.paths.count)
            }
            if gallery.otherFailures > 0 {
                heading(nil, "Other reasons", gallery.otherFailures)
            }
        }
    }

    private static let mostAbsent = 100

    private func absent(_ pictures: [Absent]) -> HTML {
        ReportPage.section("absent", "Not shown") {
            HTML.element("p", ["class": "muted"]) { "Pictures with labels that could not be read for this page" }
            paths(
                pictures.prefix(Self.mostAbsent).map { ($0.path, $0.reason) },
                more: pictures.count - Self.mostAbsent)
        }
    }

    private func paths(_ paths: [(path: BytePath, reason: String?)], more: Int) -> HTML {
        .element("ul", ["class": "plain"]) {
            for item in paths {
                HTML.element("li") {
                    HTML.element("code") { item.path.description }
                    if let reason = item.reason { ": \(reason)" }
                }
            }
            if more > 0 { HTML.element("li", ["class": "muted"]) { "and \(NumberText.count(more)) more" } }
        }
    }

    private var provenance: HTML {
        ReportPage.section("provenance", "Provenance") {
            HTML.element("h3") { "Command" }
            HTML.element("pre") { command }
            HTML.element("p", ["class": "muted"]) { "mergevit \(version)" }
        }
    }
}
