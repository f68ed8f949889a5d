import Foundation
import Glibc
import Tensors
import TestSupport
import Testing

/// Where rows go, and what is left when they cannot go there.
@Suite struct LabelOutputTests {
    let bundle: String
    let scratch: TemporaryFolder
    let picture = Samples.image("signs/stop.png")

    init() throws {
        bundle = try Samples.six()
        scratch = try TemporaryFolder()
    }

    func run(_ arguments: [String], input: [UInt8] = []) throws -> Finished {
        try runMergeVit(["label", "-q", "--bundle", bundle] + arguments, input: input, folder: scratch.url)
    }

    @Test func aFileHoldsWhatStdoutWould() throws {
        let expected = try run([picture])
        let toFile = try run([picture, "-o", "out.csv"])
        #expect(toFile.exitCode == 0 && toFile.standardOutput.isEmpty && toFile.errors.isEmpty)
        #expect(try scratch.read("out.csv") == expected.standardOutput)
        #expect(try scratch.entries() == [".out.csv.reuse", "out.csv"])
        // Over an old one, and when some inputs fail.
        let some = try run([picture, "/dev/null", "-o", "out.csv"])
        #expect(some.exitCode == 1)
        let failures = try run(["/dev/null"]).output.split(separator: "\n").dropFirst().joined() + "\n"
        #expect(try scratch.read("out.csv") == expected.standardOutput + Array(failures.utf8))
        #expect(try scratch.entries() == [".out.csv.reuse", "out.csv"])
        // One that somebody has changed, or something else wrote, only when told so.
        for old in [expected.standardOutput + [0x0A], Array("old".utf8)] {
            try scratch.write("out.csv", old)
            let refused = try run([picture, "-o", "out.csv"])
            #expect(refused.exitCode == 3 && refused.errors.hasSuffix("; --force replaces it\n"), "\(refused.errors)")
            #expect(try scratch.read("out.csv") == old && scratch.entries() == [".out.csv.reuse", "out.csv"])
            #expect(try run([picture, "-o", "out.csv", "--force"]).exitCode == 0)
            #expect(try scratch.read("out.csv") == expected.standardOutput)
        }
        try scratch.write("empty.csv", [])
        #expect(try run([picture, "-o", "empty.csv"]).exitCode == 0)
    }

    @Test func theEndingOfTheFileIsItsFormat() throws {
        for (name, format) in [
            ("a.csv", "csv"), ("a.TSV", "tsv"), ("a.jsonl", "jsonl"), ("a.ndjson", "jsonl"), ("a", "csv"),
        ] {
            #expect(try run([picture, "-o", name]).exitCode == 0)
            #expect(try scratch.read(name) == run([picture, "--format", format]).standardOutput, "\(name)")
        }
        for arguments in [
            ["-o", "b.jsonl", "--format", "csv"], ["-o", "b.parquet"], ["-o", "b.csv.gz"], ["-o", "b.json"],
            ["-o", "b.jsonl", "--csv-safe"],
        ] {
            let refused = try run([picture] + arguments)
            #expect(refused.exitCode == 2 && refused.standardOutput.isEmpty, "\(arguments)")
        }
        #expect(try !scratch.entries().contains { $0.hasPrefix("b") })
        let odd = try runMergeVit("label", "--bundle", bundle, picture, "-o", "c.txt", folder: scratch.url)
        #expect(odd.exitCode == 0)
        #expect(odd.errors.hasPrefix("mergevit: warning: the ending .txt says nothing about the format; writing CSV"))
        #expect(try run([picture, "-o", "d.gz", "--format", "csv"]).exitCode == 0)
    }

    @Test func anOldFileStaysWhenTheRunFails() throws {
        try scratch.write("out.csv", "old")
        for arguments in [["--files-from", "none"], ["--bundle", "nowhere", picture], ["--tasks", "none", picture]] {
            let run = try run(arguments + ["-o", "out.csv", "--force"])
            #expect([2, 3].contains(run.exitCode) && run.standardOutput.isEmpty)
            #expect(scratch.content("out.csv") == "old")
            #expect(try scratch.entries() == ["out.csv"])
        }
    }

    @Test(arguments: [
        ("none/out.csv", "No such file or directory"), (".", "Is a directory"), ("", "not the name of a file"),
    ])
    func placesThatCannotBeWrittenAreNamed(_ place: String, _ reason: String) throws {
        let run = try run([picture, "-o", place])
        #expect(run.exitCode == 3 && run.standardOutput.isEmpty)
        #expect(run.errors == "mergevit: error: cannot write \(place): \(reason)\n")
        #expect(try scratch.entries().isEmpty)
    }

    @Test func fullDevicesAreErrors() throws {
        let run = try run([picture, "-o", "/dev/full"])
        #expect(run.exitCode == 3)
        #expect(run.errors == "mergevit: error: cannot write /dev/full: No space left on device\n")
    }

    /// What a shell makes of stdout: the exit code, and stderr.
    @Test(arguments: [
        // Nobody reads any more: not a failure, as in `| head`.
        ("{ sleep 0.1; \"$MERGEVIT\" \"$@\"; echo $? >&2; } 2>result | :; cat result", "0\n"),
        (
            "\"$MERGEVIT\" \"$@\" 2>&1 >/dev/full; echo $?",
            "mergevit: error: cannot write standard output: No space left on device\n3\n"
        ),
        (
            "\"$MERGEVIT\" \"$@\" 2>&1 >&-; echo $?",
            "mergevit: error: cannot write standard output: Bad file descriptor\n3\n"
        ),
        ("\"$MERGEVIT\" \"$@\" 2>&1 >/dev/null <&-; echo $?", "0\n"),
    ])
    func stdoutThatCannotBeWrittenIsAnErrorUnlessNobodyReads(_ script: String, _ expected: String) throws {
        let shell = try runProgram(
            "/bin/sh", ["-c", script, "sh", "label", "-q", "--bundle", bundle, picture], folder: scratch.url,
            environment: ["MERGEVIT": try mergeVitBinary(), "LC_ALL": "C"])
        #expect(shell.output == expected)
    }

    /// While it waits for its list, the run is told to end; rows are there by then, under a hidden name.
    @Test func anInterruptedRunKeepsItsRowsAndTheOldFile() throws {
        try scratch.write("out.csv", "old")
        let process = try startMergeVit(
            ["label", "-q", "--bundle", bundle, picture, "--files-from", "-", "-o", "out.csv", "--force"],
            keepsInputOpen: true,
            folder: scratch.url)
        func written() -> Int { ((try? scratch.read(".out.csv.partial")) ?? []).count { $0 == 0x0A } }
        while written() < 2, process.isRunning { usleep(2000) }
        #expect(scratch.content("out.csv") == "old")
        process.send(SIGTERM)
        #expect(try process.finish().exitCode == 143)
        #expect(try scratch.entries() == [".out.csv.journal", ".out.csv.partial", ".out.csv.reuse.partial", "out.csv"])
        #expect(scratch.content("out.csv") == "old")
        let last = try run([picture, "--files-from", "-", "-o", "out.csv", "--force"])
        #expect(last.exitCode == 0)
        #expect(try scratch.read("out.csv") == run([picture]).standardOutput)
        #expect(try scratch.entries() == [".out.csv.reuse", "out.csv"])
    }
}

/// Models that cannot be used: exit code 3, the file by name, and not a row.
@Suite struct LabelModelErrorTests {
    let scratch: TemporaryFolder

    init() throws {
        scratch = try TemporaryFolder()
        try scratch.copy(try Samples.six(), to: "bundle")
    }

    /// What is said when the bundle is used.
    func said(_ bundle: String = "bundle") throws -> String {
        let run = try runMergeVit(
            ["label", "--bundle", bundle, Samples.image("signs/stop.png"), "-o", "out.csv"], folder: scratch.url)
        #expect(run.exitCode == 3 && run.standardOutput.isEmpty)
        #expect(try !scratch.entries().contains { $0.contains("out.csv") })
        return run.errors
    }

    @Test func missingFoldersAndFilesAreNamed() throws {
        #expect(try said("none") == "mergevit: error: none: No such file or directory\n")
        for name in ["heads.safetensors", "preprocessor_config.json", "config.json"] {
            let bytes = try scratch.read("bundle/\(name)")
            try scratch.remove("bundle/\(name)")
            #expect(try said().hasPrefix("mergevit: error: bundle/\(name): No such file or directory"))
            try scratch.write("bundle/\(name)", bytes)
        }
        try scratch.remove("bundle/model.safetensors")
        #expect(
            try said()
                == "mergevit: error: bundle: neither model.safetensors nor pytorch_model.bin is there, nor an "
                + "index of either\n"
        )
    }

    @Test func otherVersionsAreRefused() throws {
        let manifest = String(decoding: try scratch.read("bundle/bundle.json"), as: UTF8.self)
        try scratch.write(
            "bundle/bundle.json",
            Array(manifest.replacing(#""format_version": 1"#, with: #""format_version": 5"#).utf8))
        #expect(try said() == "mergevit: error: bundle/bundle.json: format_version: expected 1 to 4, found 5\n")
        try scratch.write("bundle/bundle.json", Array(manifest.dropLast(10).utf8))
        #expect(try said().hasPrefix("mergevit: error: bundle/bundle.json: not valid JSON: "))
    }

    @Test(arguments: ["model.safetensors", "heads.safetensors"]) func shortFilesAreRefused(_ name: String) throws {
        let bytes = try scratch.read("bundle/\(name)")
        for length in [0, 5, 100, bytes.count / 2, bytes.count - 1] {
            try scratch.write("bundle/\(name)", Array(bytes.prefix(length)))
            #expect(try said().hasPrefix("mergevit: error: bundle/\(name): "), "\(length) bytes")
        }
    }

    @Test(arguments: ["model.safetensors", "heads.safetensors"], [Float.nan, .infinity])
    func valuesThatAreNoNumbersAreRefused(_ name: String, _ value: Float) throws {
        var bytes = try scratch.read("bundle/\(name)")
        withUnsafeBytes(of: value.bitPattern.littleEndian) {
            bytes.replaceSubrange(bytes.count - 4..<bytes.count, with: $0)
        }
        try scratch.write("bundle/\(name)", bytes)
        let said = try said()
        #expect(
            said.hasPrefix("mergevit: error: bundle/\(name): tensor \"") && said.hasSuffix(", not a finite number\n"))
    }

    /// An index of shards may name files of its own folder, and nothing else.
    @Test(arguments: ["../outside.safetensors", "/etc/passwd", "..", ".", "", "a/b"])
    func shardsElsewhereAreRefused(_ shard: String) throws {
        let file = try SafetensorsFile(path: scratch.path("bundle/model.safetensors"))
        let map = file.entries.map { "\"\($0.name)\": \"\(shard)\"" }.joined(separator: ", ")
        try scratch.copy(scratch.path("bundle/model.safetensors"), to: "outside.safetensors")
        try scratch.remove("bundle/model.safetensors")
        try scratch.write("bundle/model.safetensors.index.json", "{\"weight_map\": {\(map)}}")
        let said = try said()
        #expect(said.contains("expected a file name in this folder") || said.contains("not a regular file"), "\(said)")
    }

    @Test func keysThatStandTwiceAreRefused() throws {
        for name in ["bundle.json", "config.json", "preprocessor_config.json"] {
            let text = String(decoding: try scratch.read("bundle/\(name)"), as: UTF8.self)
            let brace = try #require(text.firstIndex(of: "{"))
            let long = String(repeating: "k", count: 1_000_000)
            let twice = "{ \"\(long)\": 1, \"\(long)\": 2," + text[text.index(after: brace)...]
            try scratch.write("bundle/\(name)", Array(twice.utf8))
            #expect(try said().contains("bundle/\(name): not valid JSON: duplicate key"))
            try scratch.write("bundle/\(name)", Array(text.utf8))
        }
    }

    @Test func imagesOfAnotherSizeAreRefused() throws {
        let settings = String(decoding: try scratch.read("bundle/preprocessor_config.json"), as: UTF8.self)
        try scratch.write("bundle/preprocessor_config.json", Array(settings.replacing("64", with: "72").utf8))
        let said = try said()
        #expect(
            said.contains("preprocessor_config.json: gives images of 72 x 72") && said.contains("64 x 64"), "\(said)")
    }
}
