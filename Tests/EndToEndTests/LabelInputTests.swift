import Foundation
import Tensors
import TestSupport
import Testing

/// Which files are labelled, and under which names.
@Suite struct LabelInputTests {
    let bundle: String
    let scratch: TemporaryFolder
    /// What follows the path in the row of `stop.png`.
    let stop: String

    init() throws {
        bundle = try Samples.six()
        scratch = try TemporaryFolder()
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
        try scratch.write("list", "a.png\n\nb.png\na.png")
        let found = table(try labelled(["b.png", "a.png", "b.png", "--files-from", "list"]))
        #expect(found.map { $0["path"] } == ["b.png", "a.png", "b.png", "a.png", "b.png", "a.png"])
        let run = try runMergeVit(
            ["label", "--bundle", bundle, "--files-from", "none"], folder: scratch.url)
        #expect(run.exitCode == 3 && run.output.isEmpty)
        #expect(run.errors == "mergevit: error: the list of files none: No such file or directory\n")
    }

    @Test func absolutePathsAreThoseOfTheCurrentFolder() throws {
        try scratch.copy(Samples.image("signs/stop.png"), to: "a.png")
        let here = URL(fileURLWithPath: scratch.url.path).resolvingSymlinksInPath().path
        let found = table(try labelled(["--absolute", "a.png", "./a.png", scratch.path("a.png")]))
        #expect(found.map { $0["path"] } == ["\(here)/a.png", "\(here)/a.png", scratch.path("a.png")])
    }

    @Test func nothingToLabelIsAHeaderAlone() throws {
        try FileManager.default.createDirectory(atPath: scratch.path("empty"), withIntermediateDirectories: true)
        try scratch.write("some/notes.txt", [1])
        let hint = "; --allow-empty accepts that"
        for (arguments, message) in [
            (["empty"], "there is no file in empty\(hint)"),
            (
                ["some", "--endings", "jpg,png"],
                "there is no file with an extension of jpg,png in some; --endings names the extensions\(hint)"
            ),
            (["--files-from", "/dev/null"], "there is no file in the list\(hint)"),
        ] {
            let none = try runMergeVit(["label", "--bundle", bundle, "-o", "x"] + arguments, folder: scratch.url)
            #expect(none.exitCode == 3 && none.errors.hasSuffix("mergevit: error: \(message)\n"), "\(none.errors)")
            #expect(try runMergeVit(["list"] + arguments, folder: scratch.url).exitCode == 3)
            #expect(try runMergeVit(["list", "--allow-empty"] + arguments, folder: scratch.url).exitCode == 0)
        }
        #expect(try scratch.entries() == ["empty", "some"])
        let run = try runMergeVit(
            ["label", "--allow-empty", "--bundle", bundle, "--tasks", "corn", "empty"], folder: scratch.url)
        #expect(run.exitCode == 0 && run.output == "path,status,corn,corn_score\n")
        #expect(run.errors.contains("mergevit: warning: there was nothing to label\n"))
        let quiet = try labelled(["--files-from", "-", "--tasks", "corn", "--allow-empty"])
        #expect(String(decoding: quiet, as: UTF8.self) == "path,status,corn,corn_score\n")
        // More shards than inputs are no mistake.
        try scratch.copy(Samples.image("signs/stop.png"), to: "one.png")
        #expect(try labelled(["one.png", "--shard", "2/2", "-o", "part.csv"]).isEmpty)
    }

    @Test func aNamedInputThatIsNotThereIsAnErrorBeforeAnythingIsWritten() throws {
        try scratch.copy(Samples.image("signs/stop.png"), to: "a.png")
        for name in ["typo", "", "a.png/x"] {
            for command in [["label", "--bundle", bundle], ["list"]] {
                let run = try runMergeVit(command + ["a.png", name, "-o", "out.csv"], folder: scratch.url)
                #expect(run.exitCode == 3 && run.errors.hasPrefix("mergevit: error: \(name): "), "\(run.errors)")
            }
        }
        #expect(try scratch.entries() == ["a.png"])
        // An entry of a list is a row.
        try scratch.write("list", "a.png\ntypo\n")
        let run = try runMergeVit(["label", "-q", "--bundle", bundle, "--files-from", "list"], folder: scratch.url)
        #expect(run.exitCode == 1 && run.output.contains("typo,error: No such file or directory,"))
        #expect(
            run.errors
                == "mergevit: error: 1 of 2 inputs has no label: 1 not there; the first: typo: No such file or "
                + "directory\n"
        )
    }

    @Test func theRunsOwnFilesAreNoInputs() throws {
        for name in ["a.png", "b.png"] { try scratch.copy(Samples.image("signs/stop.png"), to: name) }
        for arguments in [
            ["-o", "labels.csv"], ["-o", "rows.tsv", "--manifest"], ["-o", "./labels.csv", "--absolute"],
        ] {
            for _ in 0..<2 {
                let run = try runMergeVit(["label", "-q", "--bundle", bundle, "."] + arguments, folder: scratch.url)
                #expect(run.exitCode == (arguments[1] == "labels.csv" ? 0 : 1), "\(run.errors)")
            }
            #expect(table(try scratch.read("labels.csv")).count == 2 || arguments[1] != "labels.csv")
        }
        try scratch.remove("labels.csv")
        try scratch.remove("rows.tsv")
        try scratch.remove("rows.tsv.manifest.json")
        for _ in 0..<2 { #expect(try runMergeVit("list", ".", "-o", "in.list", folder: scratch.url).exitCode == 0) }
        #expect(scratch.content("in.list") == "./a.png\n./b.png\n")
        try scratch.remove("in.list")
        let shell = try runProgram(
            "/bin/sh", ["-c", "\"$0\" label -q --bundle \"$1\" . > out.csv 2> log", try mergeVitBinary(), bundle],
            folder: scratch.url)
        #expect(shell.exitCode == 0)
        #expect(table(try scratch.read("out.csv")).count == 2)
    }

    @Test func listsOfWindowsAreRead() throws {
        for name in ["a.png", "b.png", "end\r"] { try scratch.copy(Samples.image("signs/stop.png"), to: name) }
        for list in ["a.png\r\nb.png\r\n", "\u{FEFF}a.png\nb.png", "\u{FEFF}a.png\r\n\r\nb.png\r\n", "a.png\nb.png\r"] {
            try scratch.write("list", Array(list.utf8))
            #expect(table(try labelled(["--files-from", "list"])).map { $0["path"] } == ["a.png", "b.png"], "\(list)")
            #expect(table(try labelled(["--files-from", "list", "--as-listed"])).count == 2)
        }
        try scratch.write("list", "end\r\na.png\n")
        #expect(table(try labelled(["--files-from", "list"])).map { $0["path"] } == ["end\r", "a.png"])
        try scratch.write("list", [0xFF, 0xFE] + "a.png\r\n".utf8.flatMap { [$0, 0] })
        let wide = try runMergeVit(["label", "--bundle", bundle, "--files-from", "list"], folder: scratch.url)
        #expect(wide.exitCode == 3 && wide.errors.contains("it is text in UTF-16; save it as UTF-8"), "\(wide.errors)")
    }
}

/// Files that cannot be labelled have a row that says why, and no other row knows of them.
@Suite struct LabelBadInputTests {
    let bundle: String
    let scratch: TemporaryFolder

    init() throws {
        bundle = try Samples.six()
        scratch = try TemporaryFolder()
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
        try scratch.write("e-text.jpg", "hello")
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
            ["label", "--bundle", bundle, "--batch-size", batchSize, "--threads", threads, ".", "--files-from", "-"],
            input: Array("missing.png\n".utf8), folder: scratch.url)
        #expect(run.exitCode == 1)
        #expect(run.errors.hasPrefix("labelled 3 of 13 images in ") && run.errors.contains("; 10 failed\n"))
        #expect(
            run.errors.contains(
                "mergevit: error: 10 of 13 inputs have no label: 2 not there, 1 not readable, 1 empty, "))
        #expect(run.errors.contains("; the first: ./b-cut.png: PNG: "))
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
        let tsv = try runMergeVit([
            "label", "-q", "--bundle", bundle, "--tasks", "corn", "--format", "tsv", "/dev/null",
        ])
        #expect(tsv.exitCode == 1)
        #expect(tsv.output == "path\tstatus\tcorn\tcorn_score\n/dev/null\terror: not a regular file\t\t\n")
        let json = try runMergeVit(["label", "-q", "--bundle", bundle, "--format", "jsonl", "/dev/null"])
        #expect(json.exitCode == 1)
        #expect(json.output == #"{"path":"/dev/null","status":"error: not a regular file","tasks":{}}"# + "\n")
        let long = try runMergeVit(["label", "-q", "--bundle", bundle, "--layout", "long", "/dev/null"])
        #expect(long.exitCode == 1)
        #expect(long.output == "path,status,task,rank,label,score\n/dev/null,error: not a regular file,,,,\n")
    }

    @Test func someFailuresCanBeTolerated() throws {
        let picture = try readBytes(Samples.image("signs/stop.png"))
        for name in ["a.png", "b.png", "d.png"] { try scratch.write("p/\(name)", picture) }
        try scratch.write("p/c.txt", "hello")
        func label(_ limit: String) throws -> Finished {
            try runMergeVit(["label", "-q", "--bundle", bundle, "p", "--max-failed", limit], folder: scratch.url)
        }
        for limit in ["1", "25%", "100%"] {
            let run = try label(limit)
            #expect(run.exitCode == 0 && run.errors.isEmpty, "\(limit)")
        }
        for limit in ["0", "24.9%"] {
            let run = try label(limit)
            #expect(run.exitCode == 1)
            #expect(
                run.errors.hasPrefix("mergevit: error: 1 of 4 inputs has no label: 1 in other formats; the first: "))
            #expect(run.errors.contains("; the first: p/c.txt: ") && run.errors.contains("--endings jpg,jpeg,png"))
        }
        for limit in ["-1", "101%", "x", "1.5", "nan%"] { #expect(try label(limit).exitCode != 0, "\(limit)") }
    }

    @Test func whatSystemsLeaveInFoldersIsNoInput() throws {
        let picture = try readBytes(Samples.image("signs/stop.png"))
        try scratch.write("p/a.png", picture)
        for name in [
            "Thumbs.db", "desktop.ini", "Desktop.ini", "ehthumbs.db", ".DS_Store", "._a.png", "Icon\r", "@eaDir/a.png",
            "__MACOSX/._a.png", "sub/.hidden/x",
        ] {
            try scratch.write("p/\(name)", [1])
        }
        try #require(
            try runProgram("/bin/tar", ["-C", scratch.url.path, "-cf", scratch.path("p.tar"), "p"]).exitCode == 0)
        for input in ["p", "p.tar"] {
            let found = table(try EndToEndTests.label(bundle, [input], folder: scratch.url.path))
            #expect(found.map { $0["path"] }.map { $0?.hasSuffix("p/a.png") } == [true], "\(found)")
        }
        // One that is named is an input.
        #expect(try runMergeVit("label", "--bundle", bundle, "p/Thumbs.db", folder: scratch.url).exitCode == 1)
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
