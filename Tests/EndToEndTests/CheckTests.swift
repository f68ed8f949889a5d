import Files
import Foundation
import Tensors
import TestSupport
import Testing

private let sixAdapters = Samples.tasks.flatMap { ["--adapter", "\($0)=\(Samples.adapter($0))"] }

/// `mergevit check`.
@Suite struct CheckTests {
    @Test func sixAdaptersCanBeMerged() throws {
        let run = try runMergeVit(["check", "--base", Samples.base] + sixAdapters)
        #expect(run.exitCode == 0 && run.errors.isEmpty)
        let lines = run.output.split(separator: "\n").map(String.init)
        #expect(lines.contains("nothing stands in the way"))
        #expect(lines.count { $0.contains(" - ") && $0.contains("layers.") } == 15)
        #expect(lines.last?.contains("clash most") == true)
        #expect(lines.allSatisfy { $0.count < 120 })
    }

    @Test func theJSONHasEveryParameterOfEveryPair() throws {
        let run = try runMergeVit(["check", "--json", "--base", Samples.base] + sixAdapters)
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

/// `mergevit merge --as adapter` and `--recipe`.
@Suite struct MergeRecipeTests {
    let scratch: TemporaryFolder
    init() throws { scratch = try TemporaryFolder() }

    /// Two adapters in folders of the test's own, one with class names from elsewhere.
    private func place() throws -> [String] {
        try scratch.copy(Samples.base, to: "base")
        for task in ["corn", "trash"] { try scratch.copy(Samples.adapter(task), to: task) }
        try scratch.copy(Samples.head("aerial"), to: "sky.safetensors")
        try scratch.write("names.txt", "B\nC\nG\nH\n")
        return [
            "merge", "--base", "base", "--adapter", "corn=corn", "--adapter", "trash=trash", "--adapter",
            "sky=sky.safetensors", "--labels", "corn=names.txt", "--scale", "0.37", "--weight", "trash=-0.1", "--seed",
            "18446744073709551615", "-o", "first",
        ]
    }

    private func run(_ arguments: String...) throws -> Finished { try runMergeVit(arguments, folder: scratch.url) }

    @Test func aRecipeMakesTheSameBytes() throws {
        #expect(try runMergeVit(try place(), folder: scratch.url).exitCode == 0)
        let again = try run("merge", "--recipe", "first/bundle.json", "-o", "again")
        #expect(
            again.exitCode == 0 && again.errors.hasPrefix("merged 3 adapters by sum at scale 0.37"), "\(again.errors)")
        for name in MergeTests.files { #expect(try scratch.read("first/\(name)") == scratch.read("again/\(name)")) }
        // What has moved is the same, and only its places in the recipe are others.
        for (old, new) in [("base", "b"), ("corn", "c"), ("sky.safetensors", "s.safetensors"), ("names.txt", "n.txt")] {
            try FileManager.default.moveItem(atPath: scratch.path(old), toPath: scratch.path(new))
        }
        let lost = try run("merge", "--recipe", "first/bundle.json", "-o", "moved")
        #expect(lost.exitCode == 3)
        for name in ["base/config.json", "corn/adapter_model.safetensors", "sky.safetensors", "names.txt"] {
            #expect(lost.errors.contains("\(name): No such file"), "\(lost.errors)")
        }
        let moved = try run(
            "merge", "--recipe", "first/bundle.json", "--base", "b", "--adapter", "corn=c", "--adapter",
            "sky=s.safetensors", "--labels", "corn=n.txt", "-o", "moved")
        #expect(moved.exitCode == 0, "\(moved.errors)")
        for name in MergeTests.files where name != "bundle.json" {
            #expect(try scratch.read("first/\(name)") == scratch.read("moved/\(name)"))
        }
    }

    @Test func filesThatChangedAreNamed() throws {
        #expect(try runMergeVit(try place(), folder: scratch.url).exitCode == 0)
        var weights = try scratch.read("corn/adapter_model.safetensors")
        weights[weights.count - 1] ^= 1
        try scratch.write("corn/adapter_model.safetensors", weights)
        try scratch.write("names.txt", "B\nC\nG\nX\n")
        let run = try run("merge", "--recipe", "first/bundle.json", "-o", "again")
        #expect(run.exitCode == 3)
        for name in ["corn/adapter_model.safetensors", "names.txt"] {
            #expect(run.errors.contains("\(name): not the file that was merged: expected SHA-256 "), "\(run.errors)")
        }
        #expect(!run.errors.contains("trash/") && run.errors.contains(", found "))
        #expect(try !scratch.entries().contains("again"))
    }

    @Test func aFileThatWasNotThereIsNamed() throws {
        #expect(try runMergeVit(try place(), folder: scratch.url).exitCode == 0)
        try scratch.write("labels.json", Array(#"["1", "2", "3", "4", "5", "6", "7"]"#.utf8))
        let run = try run("merge", "--recipe", "first/bundle.json", "-o", "again")
        #expect(run.exitCode == 3 && run.errors.contains("labels.json: was not there when first/bundle.json was made"))
    }

    @Test(arguments: [
        ["--weight", "corn=1"], ["--scale", "1"], ["--set", "scale=1"], ["--seed", "1"], ["--adapter", "x=y"],
        ["--labels", "x=y"], ["--rank", "4"], ["--as", "adapter", "--rank", "0"], ["--as", "tarball"],
    ])
    func whatARecipeHasIsNotGivenAgain(_ arguments: [String]) throws {
        #expect(try runMergeVit(try place(), folder: scratch.url).exitCode == 0)
        let run = try runMergeVit(
            ["merge", "--recipe", "first/bundle.json", "-o", "again"] + arguments, folder: scratch.url)
        #expect(run.exitCode == 2, "\(run.errors)")
    }

    @Test func anAdapterOfOneTaskCanBeMergedLikeItsOriginal() throws {
        let corn = ["merge", "--base", Samples.base, "--adapter", "corn=\(Samples.adapter("corn"))"]
        let written = try runMergeVit(corn + ["--as", "adapter", "-o", "adapter"], folder: scratch.url)
        #expect(written.exitCode == 0)
        #expect(written.errors.hasSuffix("into adapter: 12 modules of rank 16, nothing cut off\n"), "\(written.errors)")
        #expect(try runMergeVit(corn + ["-q", "-o", "direct"], folder: scratch.url).exitCode == 0)
        let again = try runMergeVit(
            ["merge", "-q", "--base", Samples.base, "--adapter", "corn=adapter", "-o", "detour"], folder: scratch.url)
        #expect(again.exitCode == 0 && again.errors.isEmpty)
        let tests = try MergeTests()
        let direct = try tests.values(scratch.path("direct/model.safetensors"))
        let detour = try tests.values(scratch.path("detour/model.safetensors"))
        #expect(tests.distance(direct, detour) < 1e-6)
        #expect(try scratch.read("direct/heads.safetensors") == scratch.read("detour/heads.safetensors"))
        // Its recipe makes it again, too.
        let replayed = try run("merge", "-q", "--recipe", "adapter/recipe.json", "--as", "adapter", "-o", "again")
        #expect(replayed.exitCode == 0, "\(replayed.errors)")
        for name in try scratch.entries("adapter") {
            #expect(try scratch.read("adapter/\(name)") == scratch.read("again/\(name)"), "\(name)")
        }
    }

    @Test func aCutAdapterSaysWhatWasKept() throws {
        let run = try runMergeVit(
            ["merge", "--base", Samples.base, "--as", "adapter", "--rank", "8", "-o", "cut"] + sixAdapters,
            folder: scratch.url)
        #expect(run.exitCode == 0)
        #expect(
            run.errors.contains("12 modules of rank 8, ")
                && run.errors.contains(" of the change's energy kept, least in "))
        #expect(try scratch.entries("cut").contains("labels.trash.json"))
        let bias = try runMergeVit(
            ["merge", "--base", Samples.base, "--base-alone", "--as", "adapter", "-o", "none"], folder: scratch.url)
        #expect(bias.exitCode == 3 && bias.errors.contains("the merge changes nothing"))
    }
}
