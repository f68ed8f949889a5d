import ChildProcesses
import Foundation
import Tensors
import Testing

/// Which files are labelled, and under which names.
@Suite struct InputTests {
    let bundle: String
    let scratch: Scratch
    /// What follows the path in the row of `stop.png`.
    let stop: String

    init() throws {
        bundle = try Samples.six()
        scratch = try Scratch()
        let rows = String(decoding: try label(bundle, [Samples.image("signs/stop.png")]), as: UTF8.self)
        let line = try #require(rows.split(separator: "\n").last)
        stop = String(line.dropFirst(Samples.image("signs/stop.png").count))
    }

    func labelled(_ arguments: [String], input: [UInt8] = []) throws -> [UInt8] {
        try label(bundle, arguments, input: input, folder: scratch.url.path)
    }

    /// The lines after the header, as bytes.
    func rows(_ bytes: [UInt8]) -> [UInt8] { Array(bytes.drop { $0 != 0x0A }.dropFirst()) }

    static let hostile: [[UInt8]] = [
        Array("plain.png".utf8), Array("a,b.png".utf8), Array("\"quoted\".png".utf8), Array("line\nbreak.png".utf8),
        Array("return\r.png".utf8), Array(" blank .png".utf8), Array("-q.png".utf8), Array("tab\t.png".utf8),
        Array("é日本😀.png".utf8), [0xFF, 0xC3, 0x28] + Array(".png".utf8), Array("back\\slash".utf8), [0x80],
    ]

    @Test func everyNameComesBackAsItIs() throws {
        let picture = try readBytes(Samples.image("signs/stop.png"))
        var expected: [UInt8] = []
        // In byte order, as a folder's files come.
        for name in Self.hostile.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            try scratch.write(Array("d/".utf8) + name, picture)
            let path = Array("d/".utf8) + name
            let isPlain = path.allSatisfy { !Array(",\"\n\r".utf8).contains($0) }
            let quoted = path.flatMap { $0 == UInt8(ascii: "\"") ? [$0, $0] : [$0] }
            expected += isPlain ? path : [0x22] + quoted + [0x22]
            expected += Array("\(stop)\n".utf8)
        }
        #expect(rows(try labelled(["d"])) == expected)
        // The same names one by one in a list, on stdin and in a file.
        var list: [UInt8] = []
        for name in Self.hostile.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            list += Array("d/".utf8) + name + [0]
        }
        #expect(rows(try labelled(["--files-from", "-", "-0"], input: list)) == expected)
        try scratch.write("list", list)
        #expect(rows(try labelled(["--files-from", "list", "--null"])) == expected)
    }

    @Test func jsonNamesEveryByte() throws {
        let picture = try readBytes(Samples.image("signs/stop.png"))
        for name in Self.hostile { try scratch.write(name, picture) }
        let text = String(decoding: try labelled(["--format", "jsonl", "."]), as: UTF8.self)
        for escaped in [
            #""./a,b.png""#, #""./\"quoted\".png""#, #""./line\nbreak.png""#, #""./return\r.png""#, #""./tab\t.png""#,
            #""./é日本😀.png""#, #""./\udcff\udcc3(.png""#, #""./back\\slash""#, #""./\udc80""#,
        ] {
            #expect(text.contains("{\"path\":\(escaped),\"status\":\"ok\""), "\(escaped)")
        }
    }

    @Test func argumentsAndListsKeepTheirOrder() throws {
        try scratch.copy(Samples.image("signs/stop.png"), to: "b.png")
        try scratch.copy(Samples.image("signs/stop.png"), to: "a.png")
        try scratch.write("list", Array("a.png\n\nb.png\na.png".utf8))
        let found = table(try labelled(["b.png", "a.png", "b.png", "--files-from", "list"]))
        #expect(found.map { $0["path"] } == ["b.png", "a.png", "b.png", "a.png", "b.png", "a.png"])
        let run = try runMergeVit(
            ["label", "--bundle", bundle, "--files-from", "none"], folder: scratch.url)
        #expect(run.exitCode == 3 && run.output.isEmpty)
        #expect(run.errors == "mergevit: error: cannot read the list of files none: No such file or directory\n")
    }

    @Test func absolutePathsAreThoseOfTheCurrentFolder() throws {
        try scratch.copy(Samples.image("signs/stop.png"), to: "a.png")
        let here = URL(fileURLWithPath: scratch.url.path).resolvingSymlinksInPath().path
        let found = table(try labelled(["--absolute", "a.png", "./a.png", scratch.path("a.png")]))
        #expect(found.map { $0["path"] } == ["\(here)/a.png", "\(here)/a.png", scratch.path("a.png")])
    }

    @Test func nothingToLabelIsAHeaderAlone() throws {
        try FileManager.default.createDirectory(atPath: scratch.path("empty"), withIntermediateDirectories: true)
        let run = try runMergeVit(["label", "--bundle", bundle, "--tasks", "corn", "empty"], folder: scratch.url)
        #expect(run.exitCode == 0 && run.output == "path,status,corn,corn_score\n")
        #expect(run.errors.hasPrefix("mergevit: warning: there was nothing to label\n"))
        let quiet = try labelled(["--files-from", "-", "--tasks", "corn"])
        #expect(String(decoding: quiet, as: UTF8.self) == "path,status,corn,corn_score\n")
    }
}

/// Files that cannot be labelled have a row that says why, and no other row knows of them.
@Suite struct BadInputTests {
    let bundle: String
    let scratch: Scratch

    init() throws {
        bundle = try Samples.six()
        scratch = try Scratch()
    }

    static let damaged = [
        "b-cut.png", "c-cut.jpg", "d-empty.png", "e-text.jpg", "f-flipped.png", "g-fifo.png", "h-link.png",
        "j-signature.png", "k-soi.jpg",
    ]

    /// Puts three sound pictures and, between them, those that are not.
    func fill() throws {
        let png = try readBytes(Samples.image("signs/stop.png"))
        let jpeg = try readBytes(Samples.image("flowers/dandelion.jpg"))
        for name in ["a.png", "i.png", "z.png"] { try scratch.write(name, png) }
        try scratch.write("b-cut.png", Array(png.prefix(png.count / 2)))
        try scratch.write("c-cut.jpg", Array(jpeg.prefix(jpeg.count / 2)))
        try scratch.write("d-empty.png", [])
        try scratch.write("e-text.jpg", Array("hello".utf8))
        var flipped = png
        flipped[png.count / 2] ^= 0xFF
        try scratch.write("f-flipped.png", flipped)
        #expect(mkfifo(scratch.path("g-fifo.png"), 0o600) == 0)
        #expect(symlink("nowhere", scratch.path("h-link.png")) == 0)
        try scratch.write("j-signature.png", Array(png.prefix(8)))
        try scratch.write("k-soi.jpg", [0xFF, 0xD8, 0xFF])
    }

    @Test(arguments: [("1", "1"), ("8", "3")])
    func everyBadFileHasItsRowAndTheOthersTheirs(_ batchSize: String, _ threads: String) throws {
        try fill()
        let run = try runMergeVit(
            ["label", "--bundle", bundle, "--batch-size", batchSize, "--threads", threads, ".", "missing.png"],
            folder: scratch.url)
        #expect(run.exitCode == 1)
        #expect(run.errors.hasPrefix("labelled 3 of 13 images in ") && run.errors.hasSuffix("; 10 failed\n"))
        let rows = table(run.standardOutput)
        let reasons = [
            "./b-cut.png": "PNG: ", "./c-cut.jpg": "JPEG: premature end of data", "./d-empty.png": "the file is empty",
            "./e-text.jpg": "not a picture but a text file", "./f-flipped.png": "PNG: ",
            "./g-fifo.png": "not a regular file", "./h-link.png": "a symbolic link that leads nowhere",
            "./j-signature.png": "PNG: ", "./k-soi.jpg": "JPEG: ", "missing.png": "No such file or directory",
        ]
        for row in rows where row["status"] != "ok" {
            let path = try #require(row["path"])
            let reason = try #require(reasons[path])
            #expect(row["status"]?.hasPrefix("error: \(reason)") == true, "\(path): \(row["status"] ?? "")")
            #expect(row.filter { !["path", "status"].contains($0.key) }.values.allSatisfy { $0.isEmpty })
        }
        #expect(rows.filter { $0["status"] == "ok" }.compactMap { $0["path"] } == ["./a.png", "./i.png", "./z.png"])

        for name in Self.damaged { try scratch.remove(name) }
        let without = try label(bundle, ["."], folder: scratch.url.path)
        let good = run.standardOutput.split(separator: 0x0A).filter { line in
            !String(decoding: line, as: UTF8.self).contains(",error: ")
        }
        #expect(good.flatMap { Array($0) + [0x0A] } == without)
    }

    @Test func everyFormatTellsOfErrors() throws {
        let tsv = try runMergeVit(["label", "-q", "--bundle", bundle, "--tasks", "corn", "--format", "tsv", "x"])
        #expect(tsv.exitCode == 1 && tsv.errors.isEmpty)
        #expect(tsv.output == "path\tstatus\tcorn\tcorn_score\nx\terror: No such file or directory\t\t\n")
        let json = try runMergeVit(["label", "-q", "--bundle", bundle, "--format", "jsonl", "x"])
        #expect(json.exitCode == 1)
        #expect(json.output == #"{"path":"x","status":"error: No such file or directory","tasks":{}}"# + "\n")
        let long = try runMergeVit(["label", "-q", "--bundle", bundle, "--layout", "long", "x"])
        #expect(long.exitCode == 1)
        #expect(long.output == "path,status,task,rank,label,score\nx,error: No such file or directory,,,,\n")
    }

    @Test func imagesOfMorePixelsThanAllowedAreErrors() throws {
        let run = try runMergeVit(
            ["label", "-q", "--bundle", bundle, "--tasks", "corn", "--max-pixels", "12543", "signs/stop.png"],
            folder: URL(fileURLWithPath: Samples.folder + "/images"))
        #expect(run.exitCode == 1)
        #expect(run.output.hasSuffix("signs/stop.png,error: 112 x 112 pixels exceed the limit of 12543,,\n"))
        #expect(
            try label(bundle, ["--max-pixels", "12544", "signs/stop.png"], folder: Samples.folder + "/images").count > 0
        )
    }
}
