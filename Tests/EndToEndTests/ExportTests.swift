import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// `mergevit export`.
@Suite struct ExportTests {
    let scratch: TemporaryFolder
    init() throws { scratch = try TemporaryFolder() }

    private func run(_ arguments: String...) throws -> Finished { try runMergeVit(arguments, folder: scratch.url) }

    private func object(_ path: String) throws -> JSONObject {
        try #require(try JSON(contentsOf: scratch.path(path)).objectValue)
    }

    @Test func oneTaskIsAWholeClassifier() throws {
        let bundle = try Samples.six()
        let run = try run("export", "--bundle", bundle, "--task", "corn", "-o", "corn")
        #expect(run.exitCode == 0 && run.standardOutput.isEmpty)
        #expect(run.errors == "wrote corn as ViTForImageClassification with 4 classes to corn\n")
        #expect(
            try scratch.entries("corn") == [
                "config.json", "export.json", "model.safetensors", "preprocessor_config.json",
            ])
        let configuration = try object("corn/config.json")
        #expect(configuration["architectures"] == .array(["ViTForImageClassification"]))
        #expect(configuration["problem_type"] == "single_label_classification")
        #expect(configuration["id2label"]?.objectValue?["3"] == "healthy")
        #expect(configuration["label2id"]?.objectValue?["healthy"] == .int(3))
        let file = try SafetensorsFile(path: scratch.path("corn/model.safetensors"))
        let own = try SafetensorsFile(path: bundle + "/model.safetensors")
        #expect(file.entries.count == own.entries.count + 2)
        for entry in own.entries { #expect(try file.tensor("vit." + entry.name) == own.tensor(entry.name)) }
        let heads = try SafetensorsFile(path: bundle + "/heads.safetensors")
        #expect(try file.tensor("classifier.weight") == heads.tensor("corn.weight"))
        let record = try object("corn/export.json")
        let sum = String(try runProgram("/usr/bin/sha256sum", [bundle + "/model.safetensors"]).output.prefix(64))
        let source = try #require(record["bundle"]?.objectValue)
        #expect(record["task"] == "corn" && source["path"]?.stringValue == bundle)
        #expect(source["sha256"]?.objectValue?["model.safetensors"]?.stringValue == sum)
        // It labels as the bundle does; its only task has another name.
        let rows = table(try label(scratch.path("corn"), ["--all-scores", "images"], folder: Samples.folder))
        let expected = table(
            try label(bundle, ["--all-scores", "--tasks", "corn", "images"], folder: Samples.folder))
        for (row, wanted) in zip(rows, expected) {
            #expect(row["label"] == wanted["corn"] && near(row["label:healthy"], wanted["corn:healthy"], 2e-6))
        }
        #expect(rows.count == expected.count)
    }

    /// The backbone is that of the task's group, and an exported classifier can be exported again.
    @Test func groupsAndPlainCheckpoints() throws {
        let merge = try runMergeVit(
            ["merge", "-q", "--base", Samples.base, "--groups", "corn+trash", "-o", "two"] + adapters("corn", "trash"),
            folder: scratch.url)
        #expect(merge.exitCode == 0)
        #expect(try run("export", "-q", "--bundle", "two", "--task", "trash", "-o", "trash").exitCode == 0)
        let file = try SafetensorsFile(path: scratch.path("trash/model.safetensors"))
        let own = try SafetensorsFile(path: scratch.path("two/group2/model.safetensors"))
        for entry in own.entries { #expect(try file.tensor("vit." + entry.name) == own.tensor(entry.name)) }
        let unnamed = try run("export", "--bundle", "two", "-o", "x")
        #expect(unnamed.exitCode == 2 && unnamed.errors.contains("Give a --task; there are corn, trash."))
        let again = try run("export", "--bundle", "trash", "-o", "again")
        #expect(
            again.exitCode == 0 && again.errors.hasPrefix("wrote label as ViTForImageClassification with 6 classes"))
        #expect(try scratch.read("trash/model.safetensors") == scratch.read("again/model.safetensors"))
        #expect(try scratch.read("trash/config.json") == scratch.read("again/config.json"))
    }

    @Test func activationsAreProblemTypes() throws {
        try scratch.copy(Samples.base, to: "base")
        for (type, outputs) in [("multi_label_classification", 200), ("regression", 200)] {
            var configuration = try object("base/config.json")
            configuration["problem_type"] = .string(type)
            try scratch.write("base/config.json", Array(JSON.object(configuration).serialized().utf8))
            #expect(try run("merge", "-q", "--base", "base", "--base-alone", "-o", "b", "--force").exitCode == 0)
            let export = try run("export", "--bundle", "b", "--task", "label", "-o", "e", "--force")
            #expect(export.exitCode == 0 && export.errors.contains("with \(outputs) classes"), "\(export.errors)")
            #expect(try object("e/config.json")["problem_type"]?.stringValue == type)
        }
    }

    @Test func whatCannotBeExportedIsRefused() throws {
        let bundle = try Samples.only("corn")
        let unknown = try run("export", "--bundle", bundle, "--task", "maize", "-o", "x")
        #expect(unknown.exitCode == 2 && unknown.errors.contains("maize") && unknown.errors.contains("corn"))
        // A head that reads the mean of the patches, too, as aligned ones do.
        try scratch.copy(bundle, to: "aligned")
        let heads = try SafetensorsFile(path: scratch.path("aligned/heads.safetensors"))
        let (weight, bias) = (try heads.tensor("corn.weight"), try heads.tensor("corn.bias"))
        let wide = Tensor(shape: [weight.shape[0], 2 * weight.shape[1]], repeating: 0.5)
        try writeSafetensors(
            [("corn.weight", wide), ("corn.bias", bias)], to: scratch.path("aligned/heads.safetensors"))
        let aligned = try run("export", "--bundle", "aligned", "-o", "x")
        #expect(aligned.exitCode == 3)
        #expect(
            aligned.errors == """
                mergevit: error: corn: the head was aligned with the merged backbone and reads 384 features, the mean \
                of the \
                patch tokens among them; ViTForImageClassification reads 192. Merge without --align to export it

                """)
        #expect(try scratch.entries() == ["aligned"])
        // Only what export wrote is replaced, and only when asked.
        try scratch.write("mine/config.json", "{}")
        let mine = try run("export", "--bundle", bundle, "-o", "mine", "--force")
        #expect(mine.exitCode == 3 && mine.errors.contains("already exists and is not an exported classifier"))
        #expect(try run("export", "-q", "--bundle", bundle, "-o", "x").exitCode == 0)
        let second = try run("export", "--bundle", bundle, "-o", "x")
        #expect(second.exitCode == 3 && second.errors == "mergevit: error: x: already exists; --force replaces it\n")
        #expect(try run("export", "-q", "--bundle", bundle, "-o", "x", "--force").exitCode == 0)
        #expect(try scratch.entries() == ["aligned", "mine", "x"])
    }

    /// What PEFT and transformers need to load an adapter that is written here.
    @Test func adaptersNameTheClassOfTheirBase() throws {
        let run = try run(
            "merge", "-q", "--base", Samples.base, "--adapter", "corn=\(Samples.adapter("corn"))", "--as", "adapter",
            "-o", "out")
        #expect(run.exitCode == 0)
        let configuration = try object("out/adapter_config.json")
        #expect(
            configuration["auto_mapping"]
                == .object([
                    "base_model_class": "ViTForImageClassification",
                    "parent_library": "transformers.models.vit.modeling_vit",
                ]))
        // The keys of PEFT 0.3 and no others, as older versions refuse what they do not know.
        #expect(
            Set(configuration.keys) == [
                "auto_mapping", "base_model_name_or_path", "bias", "fan_in_fan_out", "inference_mode",
                "init_lora_weights", "lora_alpha", "lora_dropout", "modules_to_save", "peft_type", "r",
                "target_modules",
                "task_type",
            ])
    }
}
