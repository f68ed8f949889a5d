import TestSupport
import Testing

/// How images become the model's input: where the settings are found, and whose resize is used.
@Suite struct MergePreprocessorTests {
    let scratch: TemporaryFolder
    /// A base whose settings were taken out of its folder: `base`, and the settings: `settings.json`.
    init() throws {
        scratch = try TemporaryFolder()
        try scratch.copy(Samples.base, to: "base")
        try scratch.write("settings.json", try scratch.read("base/preprocessor_config.json"))
        try scratch.remove("base/preprocessor_config.json")
    }

    private func run(_ arguments: [String], _ code: Int32 = 0) throws -> String {
        let run = try runMergeVit(arguments, folder: scratch.url)
        #expect(run.exitCode == code, "\(run.exitCode): \(run.errors)")
        return run.errors
    }

    private func merge(_ options: [String] = [], to output: String, _ code: Int32 = 0) throws -> String {
        try run(
            ["merge", "--base", "base", "--adapter", "corn=\(Samples.adapter("corn"))", "-o", output] + options, code)
    }

    private func label(_ bundle: String, _ options: [String] = []) throws -> String {
        let run = try runMergeVit(
            ["label", "-q", "--bundle", bundle, Samples.folder + "/images/flowers"] + options, folder: scratch.url)
        #expect(run.exitCode == 0, "\(run.errors)")
        return run.output
    }

    private func manifest(_ bundle: String) throws -> String {
        String(decoding: try scratch.read("\(bundle)/bundle.json"), as: UTF8.self)
    }

    @Test func missingSettingsAreGivenByFileFolderOrName() throws {
        let refusal = try merge(to: "none", 3)
        #expect(
            refusal.hasPrefix("mergevit: error: base/preprocessor_config.json: No such file or directory; it says how"))
        #expect(refusal.contains("or give --preprocessor with such a file, or with one of vit, deit, dinov2"))
        // The sample base has the settings of vit, for its own size.
        try scratch.copy(Samples.base, to: "whole")
        for (index, choice) in ["settings.json", "whole", "vit"].enumerated() {
            _ = try merge(["--preprocessor", choice], to: "out\(index)")
            #expect(try label("out\(index)") == label("out0"))
        }
        let wrong = try merge(["--preprocessor", "resnet"], to: "none", 3)
        #expect(wrong.contains("resnet: No such file or directory; --preprocessor takes a file, or vit, deit, dinov2"))
        #expect(try merge(["--preprocessor", "dinov2"], to: "none", 3).contains("gives images of 224 x 224"))
        #expect(try scratch.entries().filter { $0.hasPrefix("none") }.isEmpty)
    }

    @Test func settingsNestedInAProcessorsFileAreFound() throws {
        let settings = String(decoding: try scratch.read("settings.json"), as: UTF8.self)
        let nested = "{\"image_processor\": \(settings), \"processor_class\": \"AnyProcessor\"}"
        try scratch.write("base/processor_config.json", Array(nested.utf8))
        _ = try merge(to: "nested")
        _ = try merge(["--preprocessor", "settings.json"], to: "out")
        #expect(try label("nested") == label("out"))
        // transformers takes the nested one; two that differ are a question.
        try scratch.write("base/preprocessor_config.json", Array(settings.replacing("0.5", with: "0.25").utf8))
        #expect(
            try merge(to: "none", 3).contains("processor_config.json: differs from preprocessor_config.json beside it"))
        try scratch.write("base/preprocessor_config.json", Array(settings.utf8))
        #expect(try merge(to: "both").contains("merged 1 adapter"))
        // A processor of another modality has nothing to say.
        try scratch.write("base/processor_config.json", Array(#"{"feature_extractor": {"sampling_rate": 16000}}"#.utf8))
        #expect(try merge(to: "audio").contains("merged 1 adapter"))
    }

    @Test func aBundleRecordsWhoseResizeItWasMadeFor() throws {
        let settings = ["--preprocessor", "settings.json"]
        _ = try merge(settings, to: "pillow")
        _ = try merge(settings + ["--resize", "torchvision"], to: "torchvision")
        #expect(try !manifest("pillow").contains("resize"))
        #expect(try manifest("torchvision").contains(#""resize": "torchvision""#))
        #expect(try manifest("torchvision").contains(#""format_version": 3"#))
        let (pillow, torchvision) = (try label("pillow"), try label("torchvision"))
        #expect(pillow != torchvision)
        #expect(try label("pillow", ["--resize", "torchvision"]) == torchvision)
        #expect(try label("torchvision", ["--resize", "pillow"]) == pillow)
        // The recipe keeps it; an option changes it.
        _ = try run(["merge", "--recipe", "torchvision/bundle.json", "-o", "again"] + settings)
        #expect(try manifest("again") == manifest("torchvision"))
        _ = try run(["merge", "--recipe", "torchvision/bundle.json", "-o", "other", "--resize", "pillow"] + settings)
        #expect(try !manifest("other").contains("\"resize\""))
        let inspect = try runMergeVit(["inspect", "torchvision"], folder: scratch.url)
        #expect(inspect.output.contains("resize to 64 x 64, bilinear as torchvision"))
        #expect(
            try run(["export", "--bundle", "torchvision", "-o", "exported"]).contains(
                "label needs --resize torchvision"))
    }

    @Test func aFilterThatTorchvisionHasNotIsRefused() throws {
        let settings = String(decoding: try scratch.read("settings.json"), as: UTF8.self)
        let hamming = settings.replacing(/"resample": \d/, with: "\"resample\": 5")
        try scratch.write("settings.json", Array(hamming.utf8))
        let options = ["--preprocessor", "settings.json"]
        _ = try merge(options, to: "out")
        #expect(
            try merge(options + ["--resize", "torchvision"], to: "none", 3)
                .contains("settings.json: resample: torchvision has no filter 5 (hamming)"))
        #expect(try merge(options + ["--resize", "opencv"], to: "none", 2).contains("--resize"))
    }
}
