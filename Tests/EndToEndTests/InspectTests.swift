import Files
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct InspectTests {
    let scratch: TemporaryFolder
    init() throws { scratch = try TemporaryFolder() }

    /// The description as JSON; the text says it too.
    func described(_ path: String) throws -> JSONObject {
        let run = try runMergeVit(["inspect", "--json", path], folder: scratch.url)
        try #require(run.exitCode == 0 && run.errors.isEmpty, "\(run.errors)")
        let object = try #require(try JSON(parsing: run.standardOutput).objectValue)
        let text = try runMergeVit(["inspect", path], folder: scratch.url)
        #expect(text.exitCode == 0)
        #expect(text.output.hasPrefix("kind: \(object["kind"]?.stringValue ?? "?")\npath: \(path)\n"))
        for key in object.keys { #expect(text.output.contains("\n\(key):") || key == "kind", "\(key)") }
        return object
    }

    func names(_ object: JSONObject) -> [String]? {
        object["tasks"]?.arrayValue?.compactMap { $0.objectValue?["name"]?.stringValue }
    }

    @Test func checkpointsAreDescribed() throws {
        let object = try described(Samples.base)
        #expect(object["kind"] == "checkpoint" && object["family"] == "vit")
        for (key, value) in [
            ("layers", 6), ("hidden_size", 192), ("attention_heads", 3), ("intermediate_size", 768),
            ("parameters", 2_719_296), ("tensors", 104),
        ] { #expect(object[key]?.intValue == value, "\(key)") }
        #expect(object["image_size"] == "64 x 64" && object["patch_size"] == "8 x 8")
        #expect(names(object) == ["label"])
        #expect(object["sha256"]?.objectValue?["model.safetensors"]?.stringValue?.count == 64)
    }

    @Test func adaptersAndHeadsAreDescribed() throws {
        let adapter = try described(Samples.adapter("corn"))
        #expect(adapter["kind"] == "adapter" && adapter["method"] == "LoRA")
        #expect(adapter["rank"] == .array([.int(16)]) && adapter["adapted_modules"]?.intValue == 12)
        #expect(adapter["alpha"]?.doubleValue == 16 && adapter["classes"]?.intValue == 4)
        #expect(adapter["class_names"] == .array(["blight", "common_rust", "gray_leaf_spot", "healthy"]))
        #expect(try described(Samples.adapter("traffic"))["alpha"]?.doubleValue == 32)
        try scratch.write("head/head.safetensors", try readBytes(Samples.head("corn")))
        let head = try described("head")
        #expect(head["kind"] == "classification head" && head["classes"]?.intValue == 4)
        #expect(head["class_names"] == .null)
    }

    @Test func bundlesAreDescribedWithTheirRecipe() throws {
        let object = try described(try Samples.six())
        #expect(object["kind"] == "bundle" && names(object) == Samples.tasks)
        let tasks = object["tasks"]?.arrayValue?.compactMap(\.objectValue) ?? []
        #expect(
            tasks.allSatisfy { task in
                task["classes"]?.arrayValue?.count == Samples.classes[task["name"]?.stringValue ?? ""]
                    && task["features"]?.intValue == 192
            })
        let recipe = object["recipe"]?.objectValue
        #expect(recipe?["parameters"]?.objectValue?["scale"]?.doubleValue == 0.3)
        // The recipe's checksums are those of the files themselves.
        let base = try described(Samples.base)
        #expect(
            recipe?["base"]?.objectValue?["sha256"]?.objectValue?["model.safetensors"]
                == base["sha256"]?.objectValue?["model.safetensors"])
    }

    @Test func bundlesAreDescribedWithTheirFits() throws {
        try scratch.copy(Samples.folder + "/images", to: "images")
        let merge = try runMergeVit(
            "merge", "-q", "--base", Samples.base, "--adapter", "corn=\(Samples.adapter("corn"))", "--adapter",
            "trash=\(Samples.adapter("trash"))", "--calibration", "trash=images", "--calibration", "corn=drawn:20",
            "-o",
            "b", folder: scratch.url)
        try #require(merge.exitCode == 0, "\(merge.errors)")
        let object = try described("b")
        let fits = try #require(object["fits"]?.objectValue)
        let tasks = try #require(fits["tasks"]?.arrayValue).compactMap(\.objectValue)
        #expect(tasks.map { $0["name"]?.stringValue } == ["trash"])
        let heldOut = try #require(tasks.first?["held_out_images"]?.intValue)
        #expect(heldOut > 0 && heldOut < Samples.imageCount / 2)
        // What is said to be there is the file but for its header.
        let bytes = try #require(tasks.first?["bytes"]?.intValue) + #require(fits["background_bytes"]?.intValue)
        let file = try scratch.read("b/fit.safetensors")
        let header = file.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
        #expect(file.count == 8 + header + bytes)
        #expect(object["sha256"]?.objectValue?["fit.safetensors"]?.stringValue?.count == 64)
    }

    @Test func safetensorsFilesAreListed() throws {
        let object = try described(Samples.head("corn"))
        #expect(object["kind"] == "safetensors")
        #expect(
            object["tensors"]
                == .object(["classifier.bias": "F32 [4]", "classifier.weight": "F32 [4, 192]"]))
    }

    @Test func whatIsNoneOfTheseIsRefused() throws {
        try scratch.write("text.safetensors", "hello, this is no header")
        try scratch.write("text.txt", "hello")
        for (path, reason) in [
            ("none", "none: No such file or directory"), ("text.txt", "text.txt: expected a folder with"),
            ("text.safetensors", "text.safetensors: "), (".", ".: expected a folder with"),
        ] {
            let run = try runMergeVit(["inspect", "--json", path], folder: scratch.url)
            #expect(run.exitCode == 3 && run.standardOutput.isEmpty)
            #expect(run.errors.hasPrefix("mergevit: error: \(reason)"), "\(run.errors)")
        }
        for arguments in [
            [], ["--image", "x"], ["--bundle", "b", "--base", "c", "--image", "x", "--dump", "d"],
            ["x", "--dump", "d"],
        ] {
            let run = try runMergeVit(["inspect"] + arguments, folder: scratch.url)
            #expect(run.exitCode == 2 && run.standardOutput.isEmpty)
        }
    }
}

/// What `inspect --dump` shows of an image.
@Suite struct InspectDumpTests {
    let scratch: TemporaryFolder
    init() throws { scratch = try TemporaryFolder() }

    func dumped(_ model: [String], _ image: String) throws -> SafetensorsFile {
        let run = try runMergeVit(
            ["inspect"] + model + ["--image", Samples.image(image), "--dump", "stages.safetensors"], folder: scratch.url
        )
        try #require(run.exitCode == 0 && run.standardOutput.isEmpty && run.errors.isEmpty, "\(run.errors)")
        return try SafetensorsFile(path: scratch.path("stages.safetensors"))
    }

    @Test(arguments: ["signs/stop.png", "flowers/tulips-exif8.jpg", "clothing/jeans-rgba.png"])
    func theStagesLeadToTheRow(_ image: String) throws {
        let file = try dumped(["--bundle", try Samples.six()], image)
        #expect(
            file.entries.map(\.name) == ["rgb", "pixel_values", "hidden"] + Samples.tasks.map { "logits.\($0)" })
        let rgb = try #require(file.entry("rgb"))
        #expect(rgb.type == .uint8 && rgb.shape.count == 3 && rgb.shape[2] == 3)
        #expect(file.entry("pixel_values")?.shape == [1, 3, 64, 64])
        #expect(file.entry("hidden")?.shape == [1, 65, 192])

        // logits = W h_CLS + b, and their softmax is the row's score.
        let heads = try SafetensorsFile(path: try Samples.six() + "/heads.safetensors")
        let cls = try file.tensor("hidden").values.prefix(192)
        let row = try #require(table(try Samples.csv()).first { $0["path"] == "images/\(image)" })
        for task in Samples.tasks {
            let logits = try file.tensor("logits.\(task)")
            let (weight, bias) = (try heads.tensor("\(task).weight"), try heads.tensor("\(task).bias"))
            #expect(logits.shape == [1, bias.count])
            for index in 0..<bias.count {
                let product = zip(cls, weight.values[index * 192..<(index + 1) * 192]).map { Double($0) * Double($1) }
                #expect(abs(product.reduce(Double(bias.values[index]), +) - Double(logits.values[index])) < 1e-4)
            }
            let best = Double(logits.values.max() ?? 0)
            let score = 1 / logits.values.map { exp(Double($0) - best) }.reduce(0, +)
            // The row's last digit is rounded, and its last block is computed for fewer tokens, in another order.
            #expect(near("\(score)", row["\(task)_score"], 2e-6))
        }
    }

    @Test func pixelValuesAreThePictureResizedAndNormalised() throws {
        let stop = try dumped(["--base", Samples.base], "signs/stop.png")
        #expect(stop.entries.map(\.name) == ["rgb", "pixel_values", "hidden"])
        let rgb = try #require(stop.entry("rgb"))
        #expect(rgb.shape == [112, 112, 3])
        let bytes = stop.bytes(of: rgb)
        let values = try stop.tensor("pixel_values").values
        #expect(values.allSatisfy { (-1...1).contains($0) })
        // Resizing keeps the mean: of a channel, as the picture has it and as the network sees it.
        for channel in 0..<3 {
            let whole = stride(from: channel, to: bytes.count, by: 3).map { Double(bytes[$0]) }.reduce(0, +)
            let mean = whole / Double(112 * 112) / 127.5 - 1
            let seen = values[channel * 4096..<(channel + 1) * 4096].map(Double.init).reduce(0, +) / 4096
            #expect(abs(mean - seen) < 0.02, "channel \(channel): \(mean), \(seen)")
        }
    }

    @Test func mergingNothingDoesNotChangeWhatTheBackboneSees() throws {
        let run = try runMergeVit(
            ["merge", "-q", "--base", Samples.base, "--adapter", "t=\(Samples.head("trash"))", "-o", "heads"],
            folder: scratch.url)
        #expect(run.exitCode == 0)
        let base = try dumped(["--base", Samples.base], "waste/box.jpg")
        let (hidden, pixels) = (try base.tensor("hidden"), try base.tensor("pixel_values"))
        let heads = try dumped(["--bundle", "heads"], "waste/box.jpg")
        #expect(try heads.tensor("hidden") == hidden && heads.tensor("pixel_values") == pixels)
        let six = try dumped(["--bundle", try Samples.six()], "waste/box.jpg")
        #expect(try six.tensor("pixel_values") == pixels && six.tensor("hidden") != hidden)
    }

    @Test func imagesThatCannotBeUsedAreNamed() throws {
        try scratch.write("text.png", "hello")
        try scratch.write("empty.png", [])
        #expect(mkfifo(scratch.path("fifo"), 0o600) == 0)
        for (image, reason) in [
            ("none.png", "No such file or directory"), ("text.png", "not a picture but a text file"),
            ("empty.png", "empty file"), ("fifo", "not a regular file"), (".", "not a regular file"),
        ] {
            let run = try runMergeVit(
                ["inspect", "--base", Samples.base, "--image", image, "--dump", "out"], folder: scratch.url)
            #expect(run.exitCode == 3 && run.errors == "mergevit: error: \(image): \(reason)\n", "\(run.errors)")
        }
        #expect(try !scratch.entries().contains("out"))
    }
}
