import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// Merges of groups of tasks into one bundle.
@Suite struct MergeGroupTests {
    let scratch: TemporaryFolder
    init() throws { scratch = try TemporaryFolder() }

    static let groups = [["corn", "flowers", "aerial"], ["traffic", "trash", "clothing"]]

    /// A merge at scale 0.5.
    @discardableResult
    func merged(_ name: String, _ tasks: [String], _ arguments: [String] = []) throws -> String {
        let run = try merge(
            ["--scale", "0.5", "-o", name] + arguments
                + adapters(tasks), in: scratch)
        try #require(run.exitCode == 0 && run.standardOutput.isEmpty, "\(run.errors)")
        return run.errors
    }

    @Test func eachTaskAnswersAsInTheBundleOfItsGroup() throws {
        let said = try merged("all", Samples.tasks, ["--groups", "corn,flowers,aerial+traffic,trash,clothing"])
        #expect(said.hasPrefix("merged 6 adapters in 2 groups by sum at scale 0.5 into all: traffic (43), trash (6), "))
        let arguments = ["--all-scores", "images"]
        let bytes = try label(scratch.path("all"), arguments, folder: Samples.folder)
        let rows = table(bytes)
        #expect(rows.count == Samples.imageCount)
        let columns = cells(bytes)[0]
        #expect(
            columns.filter { $0.hasSuffix("_score") } == Samples.tasks.map { "\($0)_score" })
        for (index, tasks) in Self.groups.enumerated() {
            try merged("group\(index)", tasks)
            let alone = try label(scratch.path("group\(index)"), arguments, folder: Samples.folder)
            let expected = table(alone)
            let shared = cells(alone)[0]
            #expect(shared.count > 2 + tasks.count && shared.allSatisfy(columns.contains))
            for (row, wanted) in zip(rows, expected) {
                for column in shared { #expect(row[column] == wanted[column], "\(column)") }
            }
            let place = index == 0 ? "all" : "all/group2"
            for name in ["config.json", "model.safetensors"] {
                #expect(try scratch.read("\(place)/\(name)") == scratch.read("group\(index)/\(name)"))
            }
        }
        // Backbones that nobody asks for are left out; the others' answers stay.
        for tasks in ["aerial,corn", "trash", "corn,trash"] {
            let found = table(
                try label(scratch.path("all"), ["--tasks", tasks, "--all-scores", "images"], folder: Samples.folder))
            for (row, wanted) in zip(found, rows) { #expect(row.allSatisfy { wanted[$0.key] == $0.value }) }
            #expect(found.count == rows.count && found[0].count > 2)
        }
        let unknown = try runMergeVit(
            ["label", "--bundle", "all", "--tasks", "corn,maize", Samples.image("signs/stop.png")], folder: scratch.url)
        #expect(unknown.exitCode == 2 && unknown.errors.contains("maize") && unknown.errors.contains("clothing"))
        for (batch, threads) in [(1, 2), (3, 1), (64, 5)] {
            let found = try label(
                scratch.path("all"), arguments + ["--batch-size", "\(batch)", "--threads", "\(threads)"],
                folder: Samples.folder)
            #expect(found == bytes, "batch size \(batch), \(threads) threads")
        }
    }

    @Test func inspectShowsTheGroupsAndTheirStages() throws {
        try merged("all", Samples.tasks, ["--groups", "corn,flowers,aerial+traffic,trash,clothing"])
        let run = try runMergeVit(["inspect", "--json", "all"], folder: scratch.url)
        let groups = try #require(try JSON(parsing: run.standardOutput).objectValue?["groups"]?.arrayValue)
        // In a group the tasks have the order of the adapters.
        #expect(
            groups.map { $0.objectValue?["tasks"]?.arrayValue?.compactMap(\.stringValue) } == Self.groups)
        #expect(groups.map { $0.objectValue?["path"]?.stringValue } == ["all", "all/group2"])
        let text = try runMergeVit(["inspect", "all"], folder: scratch.url)
        #expect(text.exitCode == 0 && text.output.contains("\n  group2:\n    path: all/group2\n    tasks: traffic, "))
        let dump = try runMergeVit(
            ["inspect", "--bundle", "all", "--image", Samples.image("signs/stop.png"), "--dump", "stages"],
            folder: scratch.url)
        #expect(dump.exitCode == 0, "\(dump.errors)")
        let stages = try SafetensorsFile(path: scratch.path("stages"))
        #expect(
            stages.entries.map(\.name)
                == ["rgb", "pixel_values", "hidden", "hidden.group2"] + Samples.tasks.map { "logits.\($0)" })
        let (first, second) = (try stages.tensor("hidden"), try stages.tensor("hidden.group2"))
        #expect(first.shape == [1, 65, 192] && second.shape == first.shape && first != second)
    }

    @Test func oneGroupIsTheBundleWithoutGroups() throws {
        try merged("plain", ["corn", "trash"])
        try merged("group", ["corn", "trash"], ["--groups", "trash,corn", "-q"])
        for name in MergeTests.files { #expect(try scratch.read("plain/\(name)") == scratch.read("group/\(name)")) }
        #expect(try scratch.entries("group") == MergeTests.files)
        let run = try runMergeVit(["inspect", "--json", "group"], folder: scratch.url)
        #expect(try JSON(parsing: run.standardOutput).objectValue?["groups"] == nil)
    }

    @Test func aBundleOfGroupsIsReplaced() throws {
        try merged("out", ["corn", "trash"], ["--groups", "trash+corn"])
        #expect(try scratch.entries("out") == (MergeTests.files + ["group2"]).sorted())
        try merged("out", ["corn", "trash", "aerial"], ["--groups", "trash+corn+aerial", "--force"])
        #expect(try scratch.entries("out") == (MergeTests.files + ["group2", "group3"]).sorted())
        try merged("out", ["corn"], ["--force"])
        #expect(try scratch.entries("out") == MergeTests.files && scratch.entries() == ["out"])
    }

    /// While the second group is written, the merge is told to end. Whatever thread gets the signal, nothing is left.
    @Test(arguments: [SIGTERM, SIGINT]) func anInterruptedMergeLeavesNothing(_ number: Int32) throws {
        let process = try startMergeVit(
            ["merge", "-q", "--base", Samples.base, "-o", "out", "--groups", Samples.tasks.joined(separator: "+")]
                + adapters(Samples.tasks),
            folder: scratch.url)
        let begun = scratch.path(".out.partial-\(process.identifier)/group2")
        let run = try process.interrupted(by: number) { FileManager.default.fileExists(atPath: begun) }
        if run.exitCode == 0 {
            // The folder had its name before the signal came.
            #expect(try scratch.entries() == ["out"])
        } else {
            #expect(run.exitCode == 128 + number)
            #expect(try scratch.entries().isEmpty)
        }
    }

    @Test(arguments: [
        ("corn", "the task \"trash\" is in none"), ("corn,trash+corn", "\"corn\" appears twice"),
        ("corn+trash+maize", "there is no task \"maize\""), ("corn,trash+", "expected names of tasks"),
        ("+corn,trash", "expected names of tasks"), ("corn,,trash", "expected names of tasks"),
        ("", "expected names of tasks"), ("corn, trash", "there is no task \" trash\""),
    ])
    func groupsThatDoNotFitAreWrongUsage(_ groups: String, _ reason: String) throws {
        let run = try merge(
            ["--groups", groups, "-o", "out"]
                + adapters("corn", "trash"), in: scratch)
        #expect(run.exitCode == 2 && run.standardOutput.isEmpty)
        #expect(run.errors.hasPrefix("mergevit: error: --groups") && run.errors.contains(reason), "\(run.errors)")
        #expect(try scratch.entries().isEmpty)
    }

    @Test func aNameWithAPlusCannotBeGrouped() throws {
        let run = try merge(
            ["--adapter", "a+b=\(Samples.adapter("corn"))", "--groups", "a+b", "-o", "out"], in: scratch)
        #expect(run.exitCode == 2 && run.errors.contains("the name \"a+b\" holds a +"), "\(run.errors)")
    }

    @Test func damagedGroupsAreNamed() throws {
        try merged("out", ["corn", "trash"], ["--groups", "trash+corn"])
        func said() throws -> String {
            let run = try runMergeVit(
                ["label", "--bundle", "out", Samples.image("signs/stop.png")], folder: scratch.url)
            #expect(run.exitCode == 3 && run.standardOutput.isEmpty)
            return run.errors
        }
        let weights = try scratch.read("out/group2/model.safetensors")
        try scratch.write("out/group2/model.safetensors", Array(weights.dropLast(4)))
        #expect(try said().hasPrefix("mergevit: error: out/group2/model.safetensors: "))
        try scratch.remove("out/group2")
        #expect(try said() == "mergevit: error: out/group2/config.json: No such file or directory\n")
        let manifest = String(decoding: try scratch.read("out/bundle.json"), as: UTF8.self)
        try scratch.write("out/bundle.json", Array(manifest.replacing(": 2", with: ": 1").utf8))
        #expect(
            try said() == "mergevit: error: out/bundle.json: groups: expected only with format_version 2 and later\n")
    }
}
