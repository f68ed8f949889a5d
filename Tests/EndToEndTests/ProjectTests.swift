import Foundation
import TestSupport
import Testing

@testable import mergevit

/// Project files: what they put among the arguments, and runs of the command with them.
@Suite struct ProjectTests {
    let scratch: TemporaryFolder
    private var file: String { scratch.path("mergevit.json") }
    private var place: String { scratch.path }

    init() throws {
        scratch = try TemporaryFolder()
        try scratch.write(
            "mergevit.json",
            """
            {"base": "b", "calibration": "all=x/y", "tasks": [
              {"name": "corn", "data": "d/corn", "adapter": "a/corn", "calibration": ["u/1", "u/2"]},
              {"name": "trash", "data": "d/trash", "adapter": "a/trash", "head": "h", "labels": "l",
               "activation": "sigmoid", "head_alone": "alone"},
              {"name": "flowers", "data": "d/flowers", "calibration": "drawn:20"}
            ]}
            """)
    }

    /// What the file adds to a command line, with the folder of the file left out.
    private func added(_ arguments: [String]) throws -> [String] {
        let all = try ProjectArguments.expanded(
            Array(arguments.prefix(1)) + ["--project", file] + arguments.dropFirst()
        ).arguments
        #expect(all.first == arguments.first && all.suffix(arguments.count - 1) == arguments.dropFirst())
        return all.dropFirst().prefix(all.count - arguments.count - 2).map { $0.replacing("\(place)/", with: "") }
    }

    private func refused(_ arguments: [String], _ message: String) {
        #expect {
            try added(arguments)
        } throws: { error in
            "\(error)".contains(message)
        }
    }

    private let adapters = ["--adapter=corn=a/corn", "--adapter=trash=a/trash"]
    private let trash = ["--head=trash=h", "--labels=trash=l", "--activation=trash=sigmoid"]
    private let images = ["--calibration=corn=u/1", "--calibration=corn=u/2", "--calibration=trash=d/trash"]
    private let two = ["--tasks", "corn,trash"]

    @Test func everyCommandTakesWhatItNeeds() throws {
        #expect(try added(["train", "--tasks", "corn"]) == ["--base=b", "--data=corn=d/corn", "--output=a/corn"])
        #expect(try added(["train", "--tasks", "flowers", "-o", "x"]) == ["--base=b", "--data=flowers=d/flowers"])
        #expect(try added(["check"] + two) == ["--base=b"] + adapters + trash)
        let merged = ["--base=b"] + adapters + trash
        for option in ["--no-fit", "--as=adapter"] { #expect(try added(["merge", option] + two) == merged) }
        for options in [[], ["--no-fit", "--tune"], ["--no-fit", "--method", "regmean"]] {
            #expect(try added(["merge"] + options + two) == merged + images + ["--calibration=all=x/y"])
        }
        #expect(try added(["add", "--bundle", "none"] + two) == adapters + trash + images.prefix(2))
        try scratch.write("streams/bundle.json", "{\"tasks\": [], \"streams\": true}")
        let all = adapters + trash + images + ["--calibration=all=x/y"]
        #expect(try added(["add", "--bundle", scratch.path("streams")] + two) == all)
        #expect(
            try added(["fit", "--bundle", "none"])
                == ["--images=corn=u/1", "--images=corn=u/2", "--images=trash=d/trash", "--images=flowers=d/flowers"])
        let data = ["--data=corn=d/corn", "--data=trash=d/trash"]
        #expect(try added(["evaluate"] + two) == ["--base=b"] + adapters + trash + data)
        let bundle = ["--bundle", "none"]
        for subject in [bundle, bundle + ["--own"], ["--predictions", "f"], ["--compare", "a"]] {
            #expect(try added(["evaluate"] + two + subject) == data)
        }
        #expect(try added(["study"] + two) == ["--base=b"] + data + adapters + ["--head-alone=trash=alone"])
        #expect(
            try added(["quantize", "--bundle", "none"])
                == images + ["--calibration=flowers=d/flowers", "--calibration=all=x/y"])
        for command in ["label", "inspect", "export", "gallery"] {
            let arguments = [command, "--project", file]
            #expect(try ProjectArguments.expanded(arguments).arguments == arguments)
        }
    }

    @Test func whatIsGivenIsNotAddedTo() throws {
        #expect(try added(["check", "--base", "c"] + two) == adapters + trash)
        #expect(try added(["merge", "--adapter", "corn=x", "--no-fit"]) == ["--base=b"])
        #expect(
            try added(["merge", "--adapter=corn=x", "--align"])
                == ["--base=b", "--calibration=corn=u/1", "--calibration=corn=u/2", "--calibration=all=x/y"])
        #expect(try added(["merge", "--tune", "--calibration", "z"] + two) == ["--base=b"] + adapters + trash)
        let merge = ["merge", "--no-fit", "--labels", "trash=m"] + two
        #expect(try added(merge) == ["--base=b"] + adapters + [trash[0], trash[2]])
        #expect(try added(["merge", "--recipe", "r"]).isEmpty)
        #expect(try added(["merge", "--base-alone"]) == ["--base=b"])
        #expect(try added(["train", "--data", "other=x"]) == ["--base=b"])
        #expect(try added(["train", "--data", "corn=x"]) == ["--base=b", "--output=a/corn"])
        #expect(try added(["evaluate", "--adapter", "corn=x"]) == ["--base=b", "--data=corn=d/corn"])
        #expect(try added(["evaluate", "--bundle", "n", "--own", "--adapter", "corn=x"] + two).count == 2)
        #expect(
            try added(["study", "--data", "trash=x", "--data", "corn=y"])
                == ["--base=b"] + adapters + ["--head-alone=trash=alone"])
        // Behind "--" there are no options.
        #expect(try added(["check"] + two + ["--", "--base"]) == ["--base=b"] + adapters + trash)
        // Whoever asks for help gets it, whatever the file holds.
        try scratch.write("mergevit.json", "{")
        #expect(try ProjectArguments.expanded(["merge", "--project", file, "-h"]).notice == nil)
    }

    @Test func theBundleChoosesTasks() throws {
        try scratch.write("bundle/bundle.json", "{\"tasks\": [{\"name\": \"corn\"}, {\"name\": \"other\"}]}")
        let bundle = ["--bundle", scratch.path("bundle")]
        #expect(try added(["evaluate"] + bundle) == ["--data=corn=d/corn"])
        let (_, notice) = try ProjectArguments.expanded(["evaluate", "--project", file] + bundle)
        #expect(notice == "project \(file): --data of corn; not in the bundle: trash, flowers")
        refused(["add"] + bundle, "the task \"flowers\" has no adapter, which add needs")
        #expect(try added(["add", "--tasks", "trash"] + bundle).first == "--adapter=trash=a/trash")
        try scratch.write("bundle/bundle.json", "{\"tasks\": [{\"name\": \"birds\"}]}")
        refused(["evaluate"] + bundle, "bundle has none of its tasks (corn, trash, flowers)")
    }

    @Test func whatIsMissingIsNamed() throws {
        refused(["merge"], "the task \"flowers\" has no adapter, which merge needs: add it, give --adapter, or choose")
        refused(["train"], "train takes one task of \(file): --tasks NAME, one of corn, trash, flowers.")
        refused(["check", "--tasks", "maize"], "has no task \"maize\"; its tasks are: corn, trash, flowers")
        refused(["check", "--no-project"], "--project and --no-project: give one.")
    }

    private func run(_ arguments: String...) throws -> Finished { try runMergeVit(arguments, folder: scratch.url) }

    /// A project of two sample tasks in the current folder.
    private func writeSamples() throws {
        let tasks = ["corn", "aerial"].map { "{\"name\": \"\($0)\", \"adapter\": \"\(Samples.adapter($0))\"}" }
        try scratch.write(
            "mergevit.json", "{\"base\": \"\(Samples.base)\", \"tasks\": [\(tasks.joined(separator: ", "))]}")
    }

    @Test func aMergeOfAProjectIsTheMergeOfItsOptions() throws {
        try writeSamples()
        let merge = try run("merge", "--scale", "0.4", "-o", "one")
        #expect(merge.exitCode == 0)
        #expect(merge.errors.hasPrefix("mergevit: project mergevit.json: --base, --adapter of corn, aerial\n"))
        let explicit = try run(
            "merge", "--base", Samples.base, "--adapter", "corn=\(Samples.adapter("corn"))", "--adapter",
            "aerial=\(Samples.adapter("aerial"))", "--scale", "0.4", "-o", "two")
        #expect(explicit.exitCode == 0 && !explicit.errors.contains("project"))
        #expect(try scratch.files("one") == scratch.files("two"))
        // The recipe says what was merged; the project adds nothing to it.
        try scratch.write("mergevit.json", "{\"base\": \"z\", \"tasks\": [{\"name\": \"x\", \"adapter\": \"y\"}]}")
        let again = try run("merge", "--recipe", "one/bundle.json", "-o", "three")
        #expect(again.exitCode == 0 && !again.errors.contains("project"))
        #expect(try scratch.files("one") == scratch.files("three"))
        let quiet = try run("merge", "-q", "-o", "four", "--base", Samples.base)
        #expect(quiet.exitCode == 3 && quiet.errors == "mergevit: error: y: No such file or directory\n")
    }

    @Test func aProjectThatIsWrongIsRefusedAndCanBeIgnored() throws {
        try scratch.write("mergevit.json", "{\"base\": \"b\", \"task\": []}")
        let check = ["check", "--base", Samples.base, "--adapter", "corn=\(Samples.adapter("corn"))"]
        let wrong = try runMergeVit(check, folder: scratch.url)
        #expect(wrong.exitCode == 3 && wrong.standardOutput.isEmpty)
        #expect(
            wrong.errors == "mergevit: error: mergevit.json: \"task\" is not known (did you mean \"tasks\"?); expected "
                + "base, tasks, calibration; --no-project goes without it\n")
        #expect(try runMergeVit(check + ["--no-project"], folder: scratch.url).exitCode == 0)
        let none = try run("check", "--project", "none.json")
        #expect(none.exitCode == 3 && none.errors.contains("mergevit: error: none.json: No such file or directory"))
        try scratch.remove("mergevit.json")
        let tasks = try run("check", "--tasks", "corn")
        #expect(tasks.exitCode == 2 && tasks.errors.contains("--tasks chooses tasks of a project file"))
        let unknown = try run("check", "--project", "\(Samples.folder)/mergevit.json", "--tasks", "maize")
        #expect(unknown.exitCode == 2 && unknown.errors.contains("has no task \"maize\""))
    }

    @Test func theSamplesAreCheckedAndEvaluated() throws {
        let project = ["--project", "\(Samples.folder)/mergevit.json"]
        let check = try runMergeVit(["check"] + project + ["--tasks", "corn,aerial"], folder: scratch.url)
        #expect(check.exitCode == 0, "\(check.errors)")
        let measured = try runMergeVit(["evaluate"] + project + ["--tasks", "corn"], folder: scratch.url)
        #expect(measured.exitCode == 0 && measured.output.contains("corn"), "\(measured.errors)")
        // The data are tables, whose images quantize takes as merge does.
        let options = ["--bundle", try Samples.six(), "--tasks", "corn,trash", "--images", "4", "-o", "int8"]
        let rounded = try runMergeVit(["quantize"] + project + options, folder: scratch.url)
        #expect(rounded.exitCode == 0 && rounded.errors.contains("rounded for 4 images"), "\(rounded.errors)")
        #expect(!rounded.errors.contains("left out"))
    }
}
