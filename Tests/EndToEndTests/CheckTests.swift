import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// `mergevit check`.
@Suite struct CheckTests {
    @Test func sixAdaptersCanBeMerged() throws {
        let run = try runMergeVit(["check", "--base", Samples.base] + adapters(Samples.tasks))
        #expect(run.exitCode == 0 && run.errors.isEmpty)
        let lines = run.output.split(separator: "\n").map(String.init)
        #expect(lines.contains("no obstacles"))
        #expect(lines.count { $0.contains(" - ") && $0.contains("layers.") } == 15)
        #expect(lines.last?.contains("clash most") == true)
        #expect(lines.allSatisfy { $0.count < 120 })
    }

    @Test func theJSONHasEveryParameterOfEveryPair() throws {
        let run = try runMergeVit(["check", "--json", "--base", Samples.base] + adapters(Samples.tasks))
        #expect(run.exitCode == 0)
        let report = try #require(try JSON(parsing: run.standardOutput).objectValue)
        #expect(report["possible"]?.boolValue == true && report["findings"]?.arrayValue?.isEmpty == true)
        let pairs = try #require(report["pairs"]?.arrayValue?.compactMap { $0.objectValue })
        #expect(pairs.count == 15)
        for pair in pairs {
            let places = try #require(pair["parameters"]?.arrayValue?.compactMap { $0.objectValue })
            #expect(places.count == 12)
            for place in places {
                for key in ["column_overlap", "row_overlap", "clash"] {
                    #expect((0...1).contains(place[key]?.doubleValue ?? -1), "\(key)")
                }
            }
        }
    }

    @Test func allThatIsWrongIsListedAndIsExitCode3() throws {
        let scratch = try TemporaryFolder()
        try scratch.copy(Samples.adapter("corn"), to: "corn")
        try scratch.write("corn/labels.json", Array(#"["a"]"#.utf8))
        let text = String(decoding: try scratch.read("corn/adapter_config.json"), as: UTF8.self)
        try scratch.write("corn/adapter_config.json", Array(text.replacing(#""r": 16"#, with: #""r": 8"#).utf8))
        let run = try runMergeVit(
            [
                "check", "--base", Samples.base, "--adapter", "corn=corn", "--adapter", "gone=gone", "--adapter",
                "leaf=\(Samples.head("corn"))", "--adapter", "trash=\(Samples.adapter("trash"))", "--adapter",
                "trash=\(Samples.adapter("trash"))",
            ], folder: scratch.url)
        #expect(run.exitCode == 3 && run.errors.isEmpty)
        for expected in [
            "  corn: corn/adapter_model.safetensors: ",
            "  corn: corn/labels.json: 1 class names for a head of 4 classes",
            "  gone: gone: No such file or directory", "a second adapter of this name", "note: leaf: no class names",
            "note: leaf: a head alone", "trash - trash",
        ] { #expect(run.output.contains(expected), "\(expected) in \(run.output)") }
        // Each of its modules, not the first alone.
        #expect(run.output.split(separator: "\n").count { $0.contains(": rank 8 by adapter_config.json, 16 in") } == 12)
        let base = try runMergeVit(["check", "--base", "gone", "--adapter", "corn=corn"], folder: scratch.url)
        #expect(base.exitCode == 3 && base.output.contains("  base: gone: No such file or directory"))
        for wrong in [["--base", "x"], ["--adapter", "a=b"], ["--base", "x", "--adapter", "a"]] {
            #expect(try runMergeVit(["check"] + wrong).exitCode == 2)
        }
    }
}
