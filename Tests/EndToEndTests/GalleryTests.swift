import Foundation
import FoundationXML
import TestSupport
import Testing

/// `mergevit gallery`, and `label --gallery`.
@Suite struct GalleryTests {
    let scratch: TemporaryFolder

    init() throws { scratch = try TemporaryFolder() }

    /// The page as XML, with the texts of some elements.
    private func page(_ name: String = "page.html") throws -> (text: String, images: Int, headings: [String]) {
        let text = try #require(scratch.content(name))
        let reader = PageReader()
        let parser = XMLParser(data: Data(text.utf8))
        parser.delegate = reader
        try #require(parser.parse(), "\(parser.parserError.map { "\($0)" } ?? "")")
        return (text, reader.images, reader.headings)
    }

    /// Rows of members of an archive are read, but the pictures are only named, with what to do.
    @Test func membersOfArchivesAreNamed() throws {
        try scratch.copy(Samples.image("leaves"), to: "leaves")
        let tar = try runProgram("/usr/bin/env", ["tar", "-cf", "all.tar", "leaves"], folder: scratch.url)
        try #require(tar.exitCode == 0, "\(tar.errors)")
        let label = try runMergeVit(
            "label", "-q", "--bundle", try Samples.six(), "all.tar", "-o", "labels.csv", folder: scratch.url)
        try #require(label.exitCode == 0, "\(label.errors)")
        let advice = "it is in the archive all.tar; unpack that and label the folder"
        let run = try runMergeVit("gallery", "labels.csv", "-o", "page.html", folder: scratch.url)
        #expect(run.exitCode == 1 && run.errors.contains(advice), "\(run.errors)")
        let page = try page()
        #expect(page.images == 0 && page.text.contains(advice))
        let sort = try runMergeVit(
            "sort", "labels.csv", "--by", "corn", "--copy", "-o", "sorted", folder: scratch.url)
        #expect(
            sort.exitCode == 1 && sort.errors.contains("archive \(scratch.path("all.tar")); unpack"), "\(sort.errors)")
        #expect(try scratch.entries("sorted").allSatisfy { $0.hasPrefix(".") })
    }

    @Test func aPageOfTheSamples() throws {
        try scratch.write("labels.csv", Samples.csv())
        let run = try runMergeVit(
            "gallery", "labels.csv", "--root", Samples.folder, "-o", "page.html", "--per-class", "2",
            folder: scratch.url)
        #expect(run.exitCode == 0 && run.output.isEmpty, "\(run.errors)")
        let page = try page()
        #expect(run.errors == "wrote page.html with \(page.images) thumbnails\n" && page.images > 60)
        #expect(page.headings.prefix(2) == ["All tasks", "traffic"] && page.headings.contains("aerial"))
        #expect(!page.text.contains("<script") && page.text.contains("prefers-color-scheme: dark"))
        #expect(!page.text.contains("src=\"http") && page.text.contains("data:image/jpeg;base64,"))
        // The same thumbnails for any number of threads, and again over its own page.
        let first = page.text
        let again = try runMergeVit(
            "gallery", "labels.csv", "--root", Samples.folder, "-o", "page.html", "--per-class", "2", "--threads", "3",
            folder: scratch.url)
        #expect(again.exitCode == 0)
        #expect(try self.page().text.replacing(" --threads 3", with: "") == first)
        #expect(try scratch.entries() == ["labels.csv", "page.html"])
    }

    @Test func everyFormatGivesTheSamePictures() throws {
        var pages: [String] = []
        for name in ["labels.csv", "labels.tsv", "labels.jsonl"] {
            _ = try label(Samples.six(), ["images", "-o", scratch.path(name)], folder: Samples.folder)
            let run = try runMergeVit(
                "gallery", "-q", name, "--root", Samples.folder, "-o", "page.html", "--force", "--tasks", "corn,trash",
                folder: scratch.url)
            #expect(run.exitCode == 0 && run.errors.isEmpty, "\(run.errors)")
            pages.append(try page().text.replacing(name, with: "labels"))
        }
        #expect(pages[0] == pages[1] && pages[0] == pages[2])
    }

    /// Names that want to be markup, a picture that is gone, one that is damaged, and failures.
    @Test func hostileNamesAndMissingPictures() throws {
        let name = "<b>&\"'\n.png"
        try scratch.write(name, readBytes(Samples.image("signs/stop.png")))
        try scratch.write("bad.png", readBytes(Samples.image("signs/stop.png")).dropLast(200))
        try scratch.write(
            "labels.csv",
            """
            path,status,a,a_score
            "<b>&""'\n.png",ok,<i>x</i>,0.9
            gone.png,ok,<i>x</i>,0.8
            bad.png,ok,y,0.7
            junk,error: not a picture but <text>,,

            """)
        let run = try runMergeVit("gallery", "labels.csv", "-o", "page.html", folder: scratch.url)
        #expect(run.exitCode == 1, "\(run.errors)")
        #expect(
            run.errors.contains(
                "2 pictures could not be shown; the first: gone.png: No such file or directory"), "\(run.errors)")
        let page = try page()
        #expect(page.images == 1 && !page.text.contains("<i>") && !page.text.contains("<b>"))
        #expect(page.text.contains("not a picture but &lt;text&gt;") && page.headings.contains("Not shown"))
        #expect(page.text.contains("href=\"./%3Cb%3E%26%22%27%0A.png\""))
        let tolerant = try runMergeVit(
            "gallery", "labels.csv", "-o", "page.html", "--max-failed", "2", folder: scratch.url)
        #expect(tolerant.exitCode == 0)
    }

    @Test func whatCannotBeShownIsRefused() throws {
        let header = "path,status,a,a_score\n"
        func run(_ text: String, _ more: String...) throws -> Finished {
            try scratch.write("labels.csv", text)
            return try runMergeVit(["gallery", "labels.csv", "-o", "page.html"] + more, folder: scratch.url)
        }
        for (text, code, message) in [
            (header, 3, "labels.csv: has no rows"), ("", 3, "labels.csv: the file is empty"),
            ("path,status\n1,ok\n", 3, "has no column of a task"),
            (header + "1.png,ok,x\n", 3, "line 2: expected 4 cells"),
            (header + "1.png,ok,x,0.5\n", 3, "none of its pictures is there: 1.png (--root DIR names the folder"),
        ] {
            let run = try run(text)
            #expect(run.exitCode == code && run.errors.contains(message), "\(run.errors)")
            #expect(try scratch.entries() == ["labels.csv"])
        }
        let unknown = try run(header + "1.png,ok,x,0.5\n", "--tasks", "b")
        #expect(unknown.exitCode == 2 && unknown.errors.contains("labels.csv has no task \"b\"; its tasks are: a"))
        let same = try runMergeVit("gallery", "labels.csv", "-o", "./labels.csv", "--force", folder: scratch.url)
        #expect(same.exitCode == 2 && scratch.content("labels.csv")?.hasPrefix(header) == true)
        try scratch.write("page.html", "mine")
        let taken = try run(header + "1.png,ok,x,0.5\n")
        #expect(taken.exitCode == 3 && taken.errors.contains("--force replaces it"))
        #expect(scratch.content("page.html") == "mine")
    }

    @Test func labelWritesAGallery() throws {
        try scratch.write("README.md", "text")
        let run = try runMergeVit(
            "label", "--bundle", Samples.six(), Samples.image("leaves"), "README.md", "-o", "labels.csv", "--gallery",
            "page.html", folder: scratch.url)
        #expect(run.exitCode == 1 && run.errors.contains("wrote page.html with "), "\(run.errors)")
        #expect(try page().headings.contains("Failures"))
        let alone = try runMergeVit(
            "label", "--bundle", Samples.six(), ".", "--gallery", "page.html", folder: scratch.url)
        #expect(alone.exitCode == 2 && alone.errors.contains("--gallery needs -o."))
    }
}

/// Counts images and collects headings.
private final class PageReader: NSObject, XMLParserDelegate {
    var images = 0
    var headings: [String] = []
    private var isInHeading = false

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String] = [:]
    ) {
        if name == "img" { images += 1 }
        isInHeading = name == "h2"
        if isInHeading { headings.append("") }
    }

    func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
        isInHeading = false
    }

    func parser(_ parser: XMLParser, foundCharacters text: String) {
        if isInHeading, !headings.isEmpty { headings[headings.count - 1] += text }
    }
}
