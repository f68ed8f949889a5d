import Foundation
import TestSupport
import Testing

/// Fits that `merge` and `add` make of calibration images: those that `fit` makes of the bundle.
@Suite struct MergeFitTests {
    private let scratch: TemporaryFolder
    private let images = ["--calibration", "corn=one", "--calibration", "trash=two"]

    /// Fourteen pictures for each of two tasks, and ten for a third.
    init() throws {
        scratch = try TemporaryFolder()
        let names = try Samples.imageNames()
        try scratch.writeTwoTasks(names)
        for (index, name) in names.suffix(10).enumerated() {
            try scratch.write("three/\(index).png", readBytes(Samples.image(name)))
        }
    }

    @discardableResult
    private func done(_ arguments: [String]) throws -> Finished {
        let run = try runMergeVit(arguments, folder: scratch.url)
        try #require(run.exitCode == 0, "\(arguments): \(run.errors)")
        return run
    }

    private func merge(_ tasks: String..., options: [String], to output: String) throws -> Finished {
        try done(["merge", "--base", Samples.base, "-o", output] + adapters(tasks) + options)
    }

    private func adapters(_ tasks: [String]) -> [String] {
        tasks.flatMap { ["--adapter", "\($0)=\(Samples.adapter($0))"] }
    }

    /// Checks that the recipe of a bundle makes the same files again.
    private func expectAgain(_ bundle: String) throws {
        try done(["merge", "-q", "--recipe", "\(bundle)/bundle.json", "-o", "again"])
        #expect(
            FileManager.default.contentsEqual(atPath: scratch.path("again"), andPath: scratch.path(bundle)), "\(bundle)"
        )
        try scratch.remove("again")
    }

    @Test func aMergeMakesTheFitsThatFitMakes() throws {
        let run = try merge("corn", "trash", options: ["--scale", "0.5"] + images, to: "at-once")
        #expect(run.errors.contains("with the fits of corn, trash, for label --min-fit\n"), "\(run.errors)")
        _ = try merge("corn", "trash", options: ["--scale", "0.5"], to: "later")
        try done(["fit", "-q", "--bundle", "later", "--images", "corn=one", "--images", "trash=two"])
        #expect(try scratch.read("at-once/fit.safetensors") == scratch.read("later/fit.safetensors"))
        #expect(try scratch.read("at-once/model.safetensors") == scratch.read("later/model.safetensors"))
        try expectAgain("at-once")
        // What is said by names is not asked of features.
        let byName = ["--group-by", "([0-9]+)"]
        _ = try merge("corn", "trash", options: ["--align"] + images + byName, to: "named")
        let before = try scratch.read("named/fit.safetensors")
        try done(["fit", "-q", "--bundle", "named", "--images", "corn=one", "--images", "trash=two"] + byName)
        #expect(try scratch.read("named/fit.safetensors") == before)
        try expectAgain("named")
    }

    @Test func groupsHaveFitsOfTheirOwn() throws {
        let options = ["--groups", "corn+trash", "--align"] + images
        _ = try merge("corn", "trash", options: options, to: "groups")
        let before = try scratch.read("groups/fit.safetensors")
        try done(["fit", "-q", "--bundle", "groups", "--images", "corn=one", "--images", "trash=two"])
        #expect(try scratch.read("groups/fit.safetensors") == before)
        try expectAgain("groups")
        try done(["remove", "-q", "--bundle", "groups", "--task", "corn", "-o", "left"])
        try expectAgain("left")
    }

    /// Features that are read instead of computed give the same bundle, and so does a recipe.
    @Test func featuresThatAreKeptGiveTheSameBundle() throws {
        let options = ["--align", "--tune", "--holdout", "corn=three"] + images
        let cache = ["--feature-cache", "cache"]
        let plain = try merge("corn", "trash", options: options, to: "plain")
        for name in ["first", "second"] {
            let run = try merge("corn", "trash", options: options + cache, to: name)
            #expect(run.errors.replacingOccurrences(of: name, with: "plain") == plain.errors)
            #expect(
                FileManager.default.contentsEqual(atPath: scratch.path("plain"), andPath: scratch.path(name)), "\(name)"
            )
        }
        // The base, and an adapter for each task.
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path("cache")).count == 3)
        try done(["merge", "-q", "--recipe", "plain/bundle.json", "-o", "again"] + cache)
        #expect(FileManager.default.contentsEqual(atPath: scratch.path("again"), andPath: scratch.path("plain")))
        let add = ["merge", "-q", "--base", Samples.base, "-o", "x"] + adapters(["corn"]) + images.prefix(2)
        let refused = try runMergeVit(add + ["--feature-cache", "one"], folder: scratch.url)
        #expect(refused.exitCode == 3 && refused.errors.contains("which is no file of a feature cache"))
        let alone = try runMergeVit(add + ["--feature-cache-limit", "5"], folder: scratch.url)
        #expect(alone.exitCode == 2 && alone.errors.contains("--feature-cache-limit needs --feature-cache."))
        let unused = try runMergeVit(add.dropLast(2) + cache, folder: scratch.url)
        #expect(unused.exitCode == 2 && unused.errors.contains("--feature-cache needs --calibration or --holdout."))
        let joined = ["add", "--bundle", "plain", "-o", "more", "--calibration", "flowers=three"]
        let streamless = try runMergeVit(joined + adapters(["flowers"]) + cache, folder: scratch.url)
        #expect(streamless.exitCode == 2 && streamless.errors.contains("--feature-cache: the bundle has no streams"))
    }

    @Test func recipesRepeatFitsOfTasksThatWereChanged() throws {
        _ = try merge("corn", "trash", options: ["--scale", "0.5"] + images, to: "two-tasks")
        try done(["rename", "-q", "--bundle", "two-tasks", "--task", "corn=maize", "-o", "renamed"])
        try done(["remove", "-q", "--bundle", "renamed", "--task", "trash", "-o", "one-task"])
        try expectAgain("one-task")
        // An adapter with a backbone of its own has a fit of its own images alone.
        let add = ["add", "--bundle", "one-task"] + adapters(["flowers"])
        let run = try done(add + ["--calibration", "flowers=three", "-o", "more"])
        #expect(run.errors.contains("with the fits of flowers, for label --min-fit\n"), "\(run.errors)")
        try done(add + ["-q", "-o", "plain"])
        try done(["fit", "-q", "--bundle", "plain", "--images", "flowers=three"])
        #expect(try scratch.read("more/fit.safetensors") == scratch.read("plain/fit.safetensors"))
        try expectAgain("more")
        try done(["rename", "-q", "--bundle", "more", "--task", "flowers=plants", "-o", "last"])
        try expectAgain("last")
    }

    @Test func streamsAreAddedWithTheirFits() throws {
        let streams = ["--method", "base", "--streams"]
        _ = try merge("corn", "trash", options: streams + images, to: "s")
        try expectAgain("s")
        let add = adapters(["flowers"]) + ["--calibration", "flowers=three"]
        try done(["add", "-q", "--bundle", "s", "-o", "more"] + add)
        try done(["add", "-q", "--bundle", "s", "-o", "later", "--no-fit"] + add)
        #expect(try scratch.read("later/fit.safetensors") == scratch.read("s/fit.safetensors"))
        try done(["fit", "-q", "--bundle", "later", "--images", "flowers=three"])
        #expect(try scratch.read("more/fit.safetensors") == scratch.read("later/fit.safetensors"))
        try expectAgain("more")
        // Without other fits there is nothing to compare a new task with.
        _ = try merge("corn", "trash", options: streams + images + ["--no-fit"], to: "without")
        #expect(try !scratch.entries("without").contains("fit.safetensors"))
        let run = try done(["add", "--bundle", "without", "-o", "none"] + add)
        #expect(
            run.errors.contains(
                "warning: no fit of flowers: the bundle's other tasks have none to compare it with; mergevit fit makes "
                    + "those of all tasks together\n"), "\(run.errors)")
        #expect(try !scratch.entries("none").contains("fit.safetensors"))
        try expectAgain("none")
    }

    @Test func imagesThatTellNoTaskMakeNoFit() throws {
        let shared = ["--calibration", "one", "--calibration", "corn=two", "--calibration", "flowers=three"]
        let run = try merge("corn", "trash", "aerial", "flowers", options: ["--align"] + shared, to: "shared")
        #expect(run.errors.contains("no fit of trash, aerial: the images are drawn, or those of another task as well"))
        #expect(run.errors.contains("with the fits of corn, flowers, for label --min-fit\n"))
        let drawn = try runMergeVit(
            ["merge", "--base", Samples.base, "-o", "d", "--calibration", "drawn:20"] + adapters(["corn"]),
            folder: scratch.url)
        #expect(drawn.exitCode == 2 && drawn.errors.contains("--calibration: nothing uses the images."))
        for options in [["--no-fit"], ["--as", "adapter"]] {
            let none = try runMergeVit(
                ["merge", "--base", Samples.base, "-o", "d"] + images + options + adapters(["corn", "trash"]),
                folder: scratch.url)
            #expect(none.exitCode == 2 && none.errors.contains("nothing uses the images"), "\(none.errors)")
        }
    }
}
