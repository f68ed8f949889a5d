import Files
import Foundation
import Tensors
import TestSupport
import Testing

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
        #expect(run.exitCode == 3 && run.errors.contains("labels.json: did not exist when the recipe was made"))
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
            ["merge", "--base", Samples.base, "--as", "adapter", "--rank", "8", "-o", "cut"] + adapters(Samples.tasks),
            folder: scratch.url)
        #expect(run.exitCode == 0)
        #expect(
            run.errors.contains("12 modules of rank 8, ")
                && run.errors.contains(" of the delta's energy kept, least in "))
        #expect(try scratch.entries("cut").contains("labels.trash.json"))
        let bias = try runMergeVit(
            ["merge", "--base", Samples.base, "--base-alone", "--as", "adapter", "-o", "none"], folder: scratch.url)
        #expect(bias.exitCode == 3 && bias.errors.contains("the merge changes nothing"))
    }
}
