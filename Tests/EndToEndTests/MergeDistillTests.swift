import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// Short runs of `merge --method distill` over the sample pictures.
struct DistillScene: StepScene {
    let scratch: TemporaryFolder
    static let tasks = ["traffic", "aerial"]
    /// A run over two rounds.
    static let bundle = ["--steps", "34", "--set", "batch=1", "--set", "rank=2", "--scale", "0.3"]
    /// The same without the alignment of heads, which takes its time in a debug build.
    static let short = bundle + ["--as", "adapter"]

    init() throws {
        scratch = try TemporaryFolder()
        try scratch.copy(Samples.folder + "/images", to: "images")
    }

    static func command(_ output: String, _ arguments: [String]) -> [String] {
        ["merge", "--base", Samples.base, "--method", "distill", "--calibration", "images", "-o", output]
            + adapters(tasks) + arguments
    }

    /// The recipe of a bundle or an adapter.
    func recipe(_ name: String) throws -> JSONObject {
        let file = try scratch.entries(name).contains("bundle.json") ? "bundle.json" : "recipe.json"
        return try #require(try JSON(contentsOf: scratch.path("\(name)/\(file)")).objectValue?["recipe"]?.objectValue)
    }
}

/// What distillation gives.
@Suite struct MergeDistillTests {
    let scene: DistillScene
    var scratch: TemporaryFolder { scene.scratch }

    init() throws { scene = try DistillScene() }

    @Test func theRecipeMakesTheSameBytesAgainOnAnyNumberOfThreads() throws {
        let run = try scene.run("a", DistillScene.bundle + ["--threads", "1"])
        #expect(run.exitCode == 0 && run.standardOutput.isEmpty, "\(run.errors)")
        let lines = run.errors.split(separator: "\n")
        // The first line warns of few held-out images.
        #expect(lines[1].hasPrefix("step 3 of 34: features 0.") && lines[1].contains(" % of labels the same; "))
        #expect(run.errors.contains("aerial: aligned on \(Samples.imageCount) images"))
        #expect(
            lines.last
                == "merged 2 adapters by distill from sum at scale 0.3 in 34 steps into a: traffic (43), aerial (7)")
        #expect(try scratch.entries() == ["a", "images"])
        let recipe = try scene.recipe("a")
        let parameters = try #require(recipe["parameters"]?.objectValue)
        #expect(recipe["method"] == "distill" && parameters["steps"]?.doubleValue == 34)
        let start = try #require(recipe["start"]?.objectValue)
        #expect(start["method"] == "sum" && start["parameters"]?.objectValue?["scale"]?.doubleValue == 0.3)
        let again = try runMergeVit(
            "merge", "-q", "--recipe", "a/bundle.json", "--threads", "2", "-o", "b", folder: scratch.url)
        #expect(again.exitCode == 0 && again.errors.isEmpty, "\(again.errors)")
        #expect(try scratch.files("a") == scratch.files("b"))
        _ = try label(scratch.path("b"), ["images/signs"], folder: scratch.url.path)
    }

    /// With streams the patch tokens are trained that they read, and the streams fitted again.
    @Test func streamsAreTrainedForAndMadeAgainFromTheRecipe() throws {
        let arguments = ["--steps", "3", "--set", "batch=1", "--scale", "0.3", "--streams", "--stream-rank", "8"]
        let run = try scene.run("a", arguments + ["--threads", "1"])
        #expect(run.exitCode == 0 && run.standardOutput.isEmpty, "\(run.errors)")
        #expect(run.errors.contains("step 3 of 3: patch tokens 0."))
        #expect(run.errors.contains("held-out images: ") && run.errors.contains("from the single adapters before"))
        #expect(run.errors.contains(" steps with a stream for each into a: traffic (43), aerial (7)"))
        let recipe = try scene.recipe("a")
        #expect(recipe["method"] == "distill" && recipe["streams"]?.objectValue?["rank"]?.intValue == 8)
        let again = try runMergeVit(
            "merge", "-q", "--recipe", "a/bundle.json", "--threads", "2", "-o", "b", folder: scratch.url)
        #expect(again.exitCode == 0 && again.errors.isEmpty, "\(again.errors)")
        #expect(try scratch.files("a") == scratch.files("b"))
        _ = try label(scratch.path("b"), ["images/signs"], folder: scratch.url.path)
    }

    @Test func theStartIsChosenAndAnyMethods() throws {
        try scene.runQuietly(
            "a", ["--steps", "1", "--set", "rank=1", "--from", "ties", "--set", "density=0.4", "--as", "adapter"])
        let start = try #require(try scene.recipe("a")["start"]?.objectValue)
        #expect(start["method"] == "ties" && start["parameters"]?.objectValue?["density"]?.doubleValue == 0.4)
        let scale = try #require(start["parameters"]?.objectValue?["scale"]?.doubleValue)
        #expect((0.1...3).contains(scale))
        #expect(try scene.recipe("a")["calibration"]?.objectValue?["tune"] == "agreement")
    }

    @Test func everyWeightIsTrainedAndMinutesAreRecordedAsSteps() throws {
        try scene.runQuietly("a", ["--minutes", "0.001", "--set", "batch=1", "--scale", "0.3"])
        let steps = try #require(try scene.recipe("a")["parameters"]?.objectValue?["steps"]?.doubleValue)
        #expect(steps >= 32)
        let (plain, trained) = (
            try SafetensorsFile(path: Samples.base + "/model.safetensors"),
            try SafetensorsFile(path: scratch.path("a/model.safetensors"))
        )
        for entry in trained.entries where entry.name.hasSuffix("fc1.weight") {
            let own = try plain.tensor("vit.\(entry.name)")
            #expect(try trained.tensor(entry.name) != own)
        }
    }

    @Test func groupsAndAdaptersAreTrainedToo() throws {
        try scene.runQuietly("g", DistillScene.bundle + ["--groups", "traffic+aerial"])
        let manifest = try #require(try JSON(contentsOf: scratch.path("g/bundle.json")).objectValue)
        #expect(manifest["groups"]?.arrayValue?.count == 2)
        try scene.runQuietly("l")
        let shapes = try SafetensorsFile(path: scratch.path("l/adapter_model.safetensors")).entries.map(\.shape)
        #expect(shapes.contains { $0[0] == 34 } && shapes.contains { $0[0] == 2 })
        #expect(try scratch.entries() == ["g", "images", "l"])
    }

    @Test(arguments: [
        (["--from", "ties", "--method", "sum"], "--from and --steps belong to --method distill"),
        (["--from", "distill"], "--from distill: expected a method that does not train"),
        (["--from", "none"], "--from \"none\" is not known"),
        (["--set", "beta=1"], "distill from sum has no parameter \"beta\""),
        (["--steps", "3", "--minutes", "1"], "--steps and --minutes: give one"),
        (["--minutes", "0"], "--minutes must be above 0"), (["--max-drop", "5"], "--max-drop compares many merges"),
        (["--steps", "3", "--set", "steps=4"], "are the same"),
        (["--threads", "0"], "--threads must be from 1 to 256"),
        (["--method", "sum", "--resume"], "belong to --method distill"),
        (["--streams", "--set", "kl=2"], "--set kl=...: with --streams distillation compares patch tokens"),
        (["--checkpoint-steps", "0"], "--checkpoint-steps must be at least 1"),
    ])
    func wrongUsageIsNamed(_ arguments: [String], _ reason: String) throws {
        let own = arguments.contains("--method") ? arguments.filter { $0 != "distill" } : arguments
        let run = try scene.run("none", own)
        #expect(run.exitCode == 2 && run.errors.contains(reason), "\(run.errors)")
    }
}

/// Merges that are stopped, killed, and go on.
@Suite struct MergeDistillResumeTests {
    let scene: DistillScene
    var scratch: TemporaryFolder { scene.scratch }

    init() throws { scene = try DistillScene() }

    @Test func aKilledMergeGoesOnToTheSameBytes() throws {
        try scene.runQuietly("whole")
        for steps in [0, 3, 33] {
            let run = try scene.interrupted("a", DistillScene.short + ["--resume"], by: SIGKILL, after: steps)
            #expect(run.exitCode == -SIGKILL)
        }
        #expect(try scene.steps("a") >= 33 && !scratch.entries().contains("a"))
        let end = try scene.run("a", DistillScene.short + ["--resume"])
        #expect(end.exitCode == 0 && end.errors.hasPrefix("resuming after step "), "\(end.errors)")
        #expect(try scratch.files("a") == scratch.files("whole"))
        #expect(try scratch.entries() == ["a", "images", "whole"])
    }

    @Test func aKilledMergeWithStreamsGoesOnToTheSameBytes() throws {
        let arguments = ["--steps", "6", "--set", "batch=1", "--set", "rank=2", "--scale", "0.3", "--streams"]
        #expect(try scene.run("whole", arguments).exitCode == 0)
        let run = try scene.interrupted("a", arguments + ["--resume"], by: SIGKILL, after: 2)
        #expect(run.exitCode == -SIGKILL)
        let end = try scene.run("a", arguments + ["--resume"])
        #expect(end.exitCode == 0 && end.errors.contains("resuming after step "), "\(end.errors)")
        #expect(try scratch.files("a") == scratch.files("whole"))
    }

    @Test func aMergeThatIsToldToStopSaysHowToGoOn() throws {
        let run = try scene.interrupted("a", by: SIGTERM, after: 2)
        #expect(run.exitCode == 128 + SIGTERM)
        let steps = try scene.steps("a")
        #expect(
            run.errors.hasSuffix(
                "mergevit: stopped by SIGTERM after step \(steps) of 34; "
                    + "to resume, run the same command with --resume\n"), "\(run.errors)")
        #expect(try scratch.entries() == [".a.training", "images"])
        let again = try scene.run("a")
        #expect(again.exitCode == 3 && again.errors.contains("--resume continues it, --force starts over"))
        let other = try scene.run("a", DistillScene.short + ["--set", "lr=0.01", "--resume"])
        #expect(
            other.exitCode == 3
                && other.errors == "mergevit: error: .a.training: belongs to another run: lr was 0.0003, now 0.01\n",
            "\(other.errors)")
        try scratch.remove("images/signs/stop.png")
        let changed = try scene.run("a", DistillScene.short + ["--resume"])
        #expect(changed.exitCode == 3 && changed.errors.contains("belongs to another run: images traffic was "))
        try scene.runQuietly("a", DistillScene.short + ["--force"])
        #expect(try scratch.entries() == ["a", "images"])
    }

    @Test func anOutputThatIsThereIsRefusedAtOnce() throws {
        try scratch.write("a/x", [1])
        let run = try scene.run("a", ["--steps", "1000000"])
        #expect(run.exitCode == 3 && run.errors.contains("a: already exists"), "\(run.errors)")
    }
}
