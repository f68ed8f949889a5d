import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// What `label` would refuse is refused before it is written.
@Suite struct MergeUsableTests {
    let scratch: TemporaryFolder

    init() throws {
        scratch = try TemporaryFolder()
        try scratch.copy(Samples.base, to: "base")
        try scratch.copy(Samples.adapter("corn"), to: "corn")
    }

    /// Replaces text in a file.
    private func replace(_ file: String, _ old: String, _ new: String) throws {
        let text = String(decoding: try scratch.read(file), as: UTF8.self)
        try #require(text.contains(old))
        try scratch.write(file, Array(text.replacing(old, with: new).utf8))
    }

    /// Writes a value over an element of a tensor.
    private func set(_ file: String, _ tensor: String, _ element: Int, to value: Float) throws {
        var bytes = try scratch.read(file)
        let entry = try #require(try SafetensorsFile(path: scratch.path(file)).entry(tensor))
        withUnsafeBytes(of: value.bitPattern.littleEndian) {
            bytes.replaceSubrange(
                entry.range.lowerBound + element * 4..<entry.range.lowerBound + element * 4 + 4, with: $0)
        }
        try scratch.write(file, bytes)
    }

    /// Checks that `check` and `merge` say the same, and that nothing is written.
    private func expectRefusal(_ message: String, _ subject: String) throws {
        let arguments = ["--base", "base", "--adapter", "corn=corn"]
        let check = try runMergeVit(["check"] + arguments, folder: scratch.url)
        #expect(check.exitCode == 3 && check.output.contains("  \(subject): \(message)"), "\(check.output)")
        let merge = try runMergeVit(["merge", "-o", "out"] + arguments, folder: scratch.url)
        #expect(merge.exitCode == 3 && merge.errors.hasPrefix("mergevit: error: \(message)"), "\(merge.errors)")
        #expect(try scratch.entries() == ["base", "corn"])
    }

    @Test func preprocessingThatGivesImagesOfAnotherSize() throws {
        try replace("base/preprocessor_config.json", "\"height\": 64", "\"height\": 96")
        let message =
            "preprocessor_config.json: gives images of 96 x 64, the model's position embeddings are for 64 x 64"
        try expectRefusal(message, "base")
        let label = try runMergeVit("label", "--bundle", "base", "base", folder: scratch.url)
        #expect(label.exitCode == 3 && label.errors == "mergevit: error: \(message)\n", "\(label.errors)")
        let scene = try TrainingScene()
        let train = try runMergeVit(
            "train", "--base", scratch.path("base"), "--data", "s=d", "-o", "out",
            folder: scene.scratch.url)
        #expect(train.exitCode == 3 && train.errors == "mergevit: error: \(message)\n", "\(train.errors)")
    }

    @Test func aSettingThatLabelRefuses() throws {
        try replace("base/preprocessor_config.json", "{\n", "{\"do_flip_channel_order\": true,\n")
        try expectRefusal("base/preprocessor_config.json: ", "base")
    }

    @Test(arguments: [Float.nan, .infinity]) func aNumberOfAnAdapterThatIsNone(_ value: Float) throws {
        let (file, tensor) = (
            "corn/adapter_model.safetensors", "base_model.model.vit.layers.1.attention.q_proj.lora_A.weight"
        )
        try set(file, tensor, 5, to: value)
        try expectRefusal("\(file): tensor \"\(tensor)\": element 5 is \(value), not a finite number", "corn")
    }

    @Test func aNumberOfAHeadThatIsNone() throws {
        let (file, tensor) = ("corn/adapter_model.safetensors", "base_model.model.classifier.bias")
        try set(file, tensor, 2, to: -.infinity)
        try expectRefusal("\(file): tensor \"\(tensor)\": element 2 is -inf, not a finite number", "corn")
    }

    @Test func aNumberOfTheBaseThatIsNone() throws {
        try set("base/model.safetensors", "vit.layernorm.weight", 7, to: .nan)
        try expectRefusal(
            "base/model.safetensors: tensor \"vit.layernorm.weight\": element 7 is nan, not a finite number", "base")
    }

    /// Finite factors whose product is not.
    @Test func aChangeThatIsTooLargeIsTheAdapters() throws {
        let (file, name) = ("corn/adapter_model.safetensors", "base_model.model.vit.layers.0.attention.q_proj.lora_")
        try set(file, name + "A.weight", 0, to: 3e38)
        try set(file, name + "B.weight", 0, to: 3e38)
        let run = try runMergeVit(
            "merge", "--base", "base", "--adapter", "corn=corn", "--adapter", "trash=\(Samples.adapter("trash"))", "-o",
            "out", folder: scratch.url)
        #expect(run.exitCode == 3)
        #expect(
            run.errors.hasPrefix("mergevit: error: corn: its delta is too large for 32-bit floats: layers.0."),
            "\(run.errors)")
    }

    @Test func anAdapterThatChangesNothingIsSpokenOf() throws {
        let file = try SafetensorsFile(path: scratch.path("corn/adapter_model.safetensors"))
        var bytes = try scratch.read("corn/adapter_model.safetensors")
        for entry in file.entries where entry.name.contains("lora_B") {
            bytes.replaceSubrange(entry.range, with: [UInt8](repeating: 0, count: entry.range.count))
        }
        try scratch.write("corn/adapter_model.safetensors", bytes)
        let arguments = ["--base", "base", "--adapter", "corn=corn"]
        let merge = try runMergeVit(["merge", "-o", "out"] + arguments, folder: scratch.url)
        #expect(merge.exitCode == 0)
        #expect(
            merge.errors.hasPrefix("mergevit: warning: corn: corn changes nothing: its updates are all zero\n"),
            "\(merge.errors)")
        let check = try runMergeVit(["check"] + arguments, folder: scratch.url)
        #expect(check.exitCode == 0 && check.output.contains("note: corn: changes nothing: its updates are all zero"))
    }

    @Test(arguments: [
        ["--calibration", "crn=data", "--align"], ["--calibration", "data", "--labelled", "crn=data", "--tune"],
        ["--labels", "crn=x.json"], ["--weight", "crn=1"],
    ])
    func aTaskThatIsNotThereIsNamedWithThoseThatAre(_ arguments: [String]) throws {
        let run = try runMergeVit(
            [
                "merge", "--base", "base", "--adapter", "corn=corn", "--adapter", "trash=gone", "-o", "out",
            ] + arguments, folder: scratch.url)
        #expect(run.exitCode == 2 && run.errors.contains("crn=...: there is no"), "\(run.errors)")
        #expect(run.errors.contains("there are corn, trash."), "\(run.errors)")
    }

    @Test func aFolderForAllTasksMayHaveAnEqualSign() throws {
        try scratch.write("a=b/x.png", [])
        let arguments = ["merge", "--base", "base", "--adapter", "corn=corn", "--align", "-o", "out", "--calibration"]
        let named = try runMergeVit(arguments + ["a=b"], folder: scratch.url)
        #expect(named.exitCode == 2 && named.errors.contains("write ./a=..."), "\(named.errors)")
        let folder = try runMergeVit(arguments + ["./a=b"], folder: scratch.url)
        #expect(folder.exitCode == 3 && folder.errors.contains("corn: no calibration images"), "\(folder.errors)")
    }

    @Test func withoutAdaptersAMergeHasToBeAskedFor() throws {
        let run = try runMergeVit("merge", "--base", "base", "-o", "out", folder: scratch.url)
        #expect(run.exitCode == 2)
        #expect(run.errors.contains("Give at least one --adapter NAME=DIR, or --base-alone"), "\(run.errors)")
        let both = try runMergeVit(
            "merge", "--base", "base", "--adapter", "corn=corn", "--base-alone", "-o", "out", folder: scratch.url)
        #expect(both.exitCode == 2)
        #expect(try scratch.entries() == ["base", "corn"])
    }
}
