import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// Adapters over another base of the same shape than the one that they were trained over.
@Suite struct MergeOtherBaseTests {
    let scratch: TemporaryFolder
    /// Why it is refused over `vit-two`.
    let reason: String

    /// `vit-one`, `vit-two` of the same shape with another weight, and `corn` with a record that it was trained over
    /// `vit-one`.
    init() throws {
        let scratch = try TemporaryFolder()
        self.scratch = scratch
        try scratch.copy(Samples.base, to: "vit-one")
        try scratch.copy(Samples.base, to: "vit-two")
        var weights = try scratch.read("vit-two/model.safetensors")
        weights[weights.count - 2] ^= 1
        try scratch.write("vit-two/model.safetensors", weights)
        let found = ["vit-one", "vit-two"].map { scratch.path("\($0)/model.safetensors") }
        let digests = try found.map { try runProgram("/usr/bin/sha256sum", [$0]).output.prefix(12) }
        reason =
            "was trained over another base (training.json: model.safetensors \(digests[0])..., here \(digests[1])...)"
        try scratch.copy(Samples.adapter("corn"), to: "corn")
        try name("vit-one")
        try record("corn/training.json", over: "vit-one", format: "mergevit-training")
    }

    /// Writes `base_model_name_or_path`.
    private func name(_ name: String) throws {
        let path = "corn/adapter_config.json"
        var object = try #require(try JSON(contentsOf: scratch.path(path)).objectValue)
        object["base_model_name_or_path"] = .string(name)
        try scratch.write(path, Array(JSON.object(object).serialized().utf8))
    }

    /// Writes a record of the files of a base.
    private func record(_ file: String, over base: String, format: String) throws {
        var digests = JSONObject()
        for name in ["config.json", "preprocessor_config.json", "model.safetensors"] {
            digests[name] = .string(try digest("\(base)/\(name)"))
        }
        let place = JSON.object(["path": .string(base), "sha256": .object(digests)])
        let isRecipe = format == "mergevit-adapter"
        let json = JSON.object([
            "format": .string(format), isRecipe ? "recipe" : "base": isRecipe ? .object(["base": place]) : place,
        ])
        try scratch.write(file, Array(json.serialized().utf8))
    }

    private func digest(_ name: String) throws -> String {
        String(try runProgram("/usr/bin/sha256sum", [scratch.path(name)]).output.prefix(64))
    }

    private func run(_ arguments: String...) throws -> Finished { try runMergeVit(arguments, folder: scratch.url) }

    private func merge(_ base: String, _ arguments: String...) throws -> Finished {
        try runMergeVit(
            ["merge", "--base", base, "--adapter", "corn=corn", "-o", "out"] + arguments, folder: scratch.url)
    }

    @Test func checkListsItAndMergeRefusesIt() throws {
        let right = try run("check", "--base", "vit-one", "--adapter", "corn=corn")
        #expect(right.exitCode == 0 && right.output.contains("no obstacles"))
        #expect(!right.output.contains("note:"), "\(right.output)")
        let check = try run("check", "--base", "vit-two", "--adapter", "corn=corn")
        #expect(check.exitCode == 3 && check.output.contains("\n  corn: corn \(reason)\n"), "\(check.output)")
        let allowed = try run("check", "--base", "vit-two", "--adapter", "corn=corn", "--allow-other-base")
        #expect(allowed.exitCode == 0 && allowed.output.contains("note: corn: corn was trained over another base"))
        let refused = try merge("vit-two")
        #expect(refused.exitCode == 3 && refused.standardOutput.isEmpty)
        #expect(refused.errors.hasPrefix("mergevit: error: corn: \(reason);"), "\(refused.errors)")
        #expect(refused.errors.contains("--allow-other-base"))
        #expect(try !scratch.entries().contains("out"))
    }

    @Test func itIsMergedWhenTheUserInsists() throws {
        let allowed = try merge("vit-two", "--allow-other-base")
        #expect(allowed.exitCode == 0)
        #expect(allowed.errors.hasPrefix("mergevit: warning: corn: corn \(reason)\n"), "\(allowed.errors)")
        // --force has another purpose, too, so that it is never silent about this one.
        let forced = try merge("vit-two", "--force", "-q")
        #expect(forced.exitCode == 0 && forced.errors == "mergevit: warning: corn: corn \(reason)\n")
        let quiet = try merge("vit-two", "--force", "-q", "--allow-other-base")
        #expect(quiet.exitCode == 0 && quiet.errors.isEmpty)
        // Made again from its recipe it is as wrong as it was.
        let again = try run("merge", "--recipe", "out/bundle.json", "-o", "again")
        #expect(again.exitCode == 3 && again.errors.contains("trained over another base"), "\(again.errors)")
        #expect(try run("merge", "--recipe", "out/bundle.json", "-o", "again", "--allow-other-base").exitCode == 0)
        #expect(try scratch.read("out/model.safetensors") == scratch.read("again/model.safetensors"))
    }

    @Test func everythingElseThatUsesItRefusesIt() throws {
        try scratch.copy(Samples.image("leaves"), to: "data/healthy")
        let evaluate = ["evaluate", "-q", "--base", "vit-two", "--adapter", "corn=corn", "--data", "corn=data"]
        let refused = try runMergeVit(evaluate, folder: scratch.url)
        #expect(refused.exitCode == 3 && refused.errors.contains(reason), "\(refused.errors)")
        let allowed = try runMergeVit(evaluate + ["--allow-other-base"], folder: scratch.url)
        #expect(allowed.exitCode == 0, "\(allowed.errors)")
        let groups = try runMergeVit(
            [
                "merge", "--base", "vit-two", "--adapter", "corn=corn", "--adapter",
                "trash=\(Samples.adapter("trash"))", "--groups", "corn+trash", "-o", "out",
            ], folder: scratch.url)
        #expect(groups.exitCode == 3 && groups.errors.contains(reason))
    }

    /// A head alone, a file of the folder, and what `merge --as adapter` wrote have records, too.
    @Test func everyRecordCounts() throws {
        try scratch.copy(Samples.head("corn"), to: "head.safetensors")
        try record("training.json", over: "vit-one", format: "mergevit-training")
        let file = try run("merge", "--base", "vit-two", "--adapter", "corn=head.safetensors", "-o", "out")
        #expect(file.exitCode == 3 && file.errors.contains("trained over another base"), "\(file.errors)")
        let folder = try run("merge", "--base", "vit-two", "--adapter", "corn=.", "-o", "out")
        #expect(folder.exitCode == 3 && folder.errors.contains("trained over another base"), "\(folder.errors)")
        try scratch.remove("corn/training.json")
        try record("corn/recipe.json", over: "vit-one", format: "mergevit-adapter")
        let recipe = try merge("vit-two")
        #expect(recipe.exitCode == 3 && recipe.errors.contains("another base (recipe.json: model"), "\(recipe.errors)")
    }

    /// Weights of the same bytes are the same base, whatever files beside them say.
    @Test func otherSettingsAreAWarning() throws {
        let path = "vit-one/preprocessor_config.json"
        try scratch.write(path, try scratch.read(path) + [UInt8(ascii: "\n")])
        let merged = try merge("vit-one")
        #expect(merged.exitCode == 0)
        #expect(
            merged.errors.hasPrefix("mergevit: warning: corn: vit-one/preprocessor_config.json is not the one that it"),
            "\(merged.errors)")
        let check = try run("check", "--base", "vit-one", "--adapter", "corn=corn")
        #expect(check.exitCode == 0 && check.output.contains("note: corn: vit-one/preprocessor_config.json is not"))
    }

    @Test func anotherResizeIsAWarning() throws {
        let warning =
            "warning: corn: trained on images resized as pillow does (training.json), and images are resized as torch"
        #expect(try merge("vit-one", "--resize", "torchvision").errors.contains(warning))
        var training = try #require(try JSON(contentsOf: scratch.path("corn/training.json")).objectValue)
        training["options"] = .object(["resize": "torchvision"])
        try scratch.write("corn/training.json", Array(JSON.object(training).serialized().utf8))
        let other = try merge("vit-one", "--force").errors
        #expect(other.contains("trained on images resized as torchvision does (training.json), and images"), "\(other)")
        #expect(other.contains("as pillow does here; --resize torchvision resizes them as in training\n"), "\(other)")
        #expect(try !merge("vit-one", "--force", "--resize", "torchvision").errors.contains("--resize"))
    }

    @Test func recordsThatCannotBeReadAreSpokenOf() throws {
        try scratch.write("corn/training.json", "{\"format\": \"mergevit-tr")
        let cut = try merge("vit-two")
        #expect(cut.exitCode == 0 && cut.errors.contains("warning: corn: corn/training.json: "), "\(cut.errors)")
        try scratch.write("corn/training.json", Array(#"{"format": "mergevit-training"}"#.utf8))
        let empty = try merge("vit-two", "--force")
        #expect(empty.exitCode == 3 && empty.errors.contains("corn/training.json: base: expected the SHA-256"))
        // Another tool's file of this name.
        try scratch.write("corn/training.json", Array(#"{"epochs": 3}"#.utf8))
        let foreign = try merge("vit-two", "-q", "--force")
        #expect(foreign.exitCode == 0 && foreign.errors.isEmpty, "\(foreign.errors)")
    }

    @Test(arguments: [
        ("google/vit-two", false), ("/home/me/vit-two/", false), ("C:\\models\\ViT-Two", false), ("../vit-two", false),
        ("/x/models--google--vit-two/snapshots/0123456789abcdef0123456789abcdef01234567", false),
        ("/x/snapshots/0123456789abcdef0123456789abcdef01234567", false), ("model", false), ("./", false), ("", false),
        ("runs/checkpoint-500", false), ("google/vit-three", true), ("/home/me/vit-three/", true),
        ("/x/models--google--vit-three/snapshots/0123456789abcdef0123456789abcdef01234567", true),
    ])
    func namesThatDisagreeAreANote(_ recorded: String, _ isNoted: Bool) throws {
        try scratch.remove("corn/training.json")
        try name(recorded)
        let check = try run("check", "--base", "./vit-two/", "--adapter", "corn=corn")
        #expect(check.exitCode == 0)
        let note = "note: corn: made for \(recorded) by adapter_config.json, the base is ./vit-two/\n"
        #expect(check.output.contains(note) == isNoted, "\(check.output)")
        #expect(check.output.contains("made for") == isNoted, "\(check.output)")
    }

    @Test func theBaseMaySayItsNameItself() throws {
        try scratch.remove("corn/training.json")
        try name("google/vit-three")
        try FileManager.default.moveItem(atPath: scratch.path("vit-two"), toPath: scratch.path("base"))
        #expect(try !run("check", "--base", "base", "--adapter", "corn=corn").output.contains("made for"))
        for (own, isNoted) in [("google/vit-three", false), ("google/vit-four", true)] {
            var object = try #require(try JSON(contentsOf: scratch.path("vit-one/config.json")).objectValue)
            object["_name_or_path"] = .string(own)
            try scratch.write("base/config.json", Array(JSON.object(object).serialized().utf8))
            let check = try run("check", "--base", "base", "--adapter", "corn=corn")
            #expect(check.output.contains("made for google/vit-three") == isNoted, "\(check.output)")
        }
    }

    /// One whose configuration names another base than its record is spoken of, one whose base has moved is not.
    @Test func aNameIsComparedWithTheRecord() throws {
        try FileManager.default.moveItem(atPath: scratch.path("vit-one"), toPath: scratch.path("moved"))
        #expect(try !run("check", "--base", "moved", "--adapter", "corn=corn").output.contains("note:"))
        try name("google/vit-base-patch16-224-in21k")
        let check = try run("check", "--base", "moved", "--adapter", "corn=corn")
        #expect(check.exitCode == 0)
        #expect(
            check.output.hasSuffix(
                "note: corn: made for google/vit-base-patch16-224-in21k by adapter_config.json, the base is moved\n"))
    }
}

/// Bases that are merged models themselves.
@Suite struct MergedBaseTests {
    let scratch: TemporaryFolder
    init() throws { scratch = try TemporaryFolder() }

    private func run(_ arguments: String...) throws -> Finished { try runMergeVit(arguments, folder: scratch.url) }

    @Test func aMergeThatWouldDropTasksIsRefusedWithTheWay() throws {
        try scratch.copy(Samples.only("corn"), to: "bundle")
        let before = try scratch.read("bundle/bundle.json")
        let trash = "trash=\(Samples.adapter("trash"))"
        for output in [["-o", "out"], ["-o", "bundle", "--force"]] {
            let run = try runMergeVit(["merge", "--base", "bundle", "--adapter", trash] + output, folder: scratch.url)
            #expect(run.exitCode == 3)
            #expect(
                run.errors == """
                    mergevit: error: bundle: is a merged model with the task corn, which a merge over it would drop; \
                    merge \
                    the new adapters together with its own over the base that it was made of (its recipe: --base \
                    \(Samples.base) --adapter corn=\(Samples.adapter("corn")))

                    """)
        }
        #expect(try scratch.read("bundle/bundle.json") == before && scratch.entries() == ["bundle"])
        let alone = try run("merge", "--base", "bundle", "--base-alone", "-o", "out")
        #expect(alone.exitCode == 3 && alone.errors.contains("is a merged model with the task corn"))
        let check = try run("check", "--base", "bundle", "--adapter", trash)
        #expect(check.exitCode == 3 && check.output.contains("\n  base: bundle: is a merged model with the task corn"))
        // The way that is shown.
        let both = try run(
            "merge", "-q", "--base", Samples.base, "--adapter", "corn=\(Samples.adapter("corn"))", "--adapter", trash,
            "-o", "both")
        #expect(both.exitCode == 0)
    }

    @Test func anAdapterOfTheBaseIsNotAppliedTwice() throws {
        try scratch.copy(Samples.only("corn"), to: "bundle")
        try scratch.copy(Samples.image("leaves"), to: "data/healthy")
        let run = try run(
            "evaluate", "--base", "bundle", "--adapter", "corn=\(Samples.adapter("corn"))", "--data", "corn=data")
        #expect(run.exitCode == 3)
        let reason = "bundle: is a merged model with the task corn, and nothing tells that"
        #expect(run.errors.contains(reason), "\(run.errors)")
    }

    /// A head can be trained over a merged backbone, and evaluated over it alone.
    @Test func overABundleAHeadAloneIsTrained() throws {
        let scene = try TrainingScene()
        try scene.scratch.copy(Samples.only("corn"), to: "bundle")
        let train = ["train", "--base", "bundle", "--data", "stripes=d", "-o", "out", "--epochs", "1"]
        let adapter = try runMergeVit(train, folder: scene.scratch.url)
        #expect(adapter.exitCode == 3)
        #expect(adapter.errors.contains("bundle: is a merged model with the task corn, and an adapter over it"))
        #expect(adapter.errors.contains(Samples.base) && adapter.errors.contains("--head-only"))
        let head = try runMergeVit(train + ["--head-only"], folder: scene.scratch.url)
        #expect(head.exitCode == 0)
        let notice = "bundle is a merged model with the task corn; the head will fit its backbone alone"
        #expect(head.errors.contains(notice))
        let evaluate = ["evaluate", "-q", "--adapter", "stripes=out", "--data", "stripes=d/val", "--base"]
        #expect(try runMergeVit(evaluate + ["bundle"], folder: scene.scratch.url).exitCode == 0)
        let other = try runMergeVit(evaluate + [Samples.base], folder: scene.scratch.url)
        #expect(other.exitCode == 3 && other.errors.contains("out: was trained over another base"), "\(other.errors)")
        let study = try runMergeVit(
            "study", "--base", "bundle", "--data", "a=d", "--data", "b=d", "-o", "study", folder: scene.scratch.url)
        #expect(study.exitCode == 3 && study.errors.contains("is a merged model with the task corn"), "\(study.errors)")
    }
}
