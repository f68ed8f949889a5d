import Foundation
import Tensors
import TestSupport
import Testing

/// Every command over a model of each family.
@Suite struct FamilyTests {
    let scratch: TemporaryFolder
    init() throws { scratch = try TemporaryFolder() }

    private static let cases = "\(Samples.package)/Tests/VisionTransformersTests/Cases"
    private static let families = [
        "dinov2_registers", "siglip", "clip", "vit_msn", "ijepa", "beit", "dit", "data2vec", "timm_augreg",
        "timm_deit3", "timm_deit_distilled", "timm_dinov3", "timm_eva_large", "dinov3", "vit_mae", "siglip_vision",
    ]

    private func done(_ arguments: [String]) throws -> Finished {
        let run = try runMergeVit(arguments, folder: scratch.url)
        try #require(run.exitCode == 0, "\(arguments): \(run.errors)")
        return run
    }

    /// Two classes of pictures to train on.
    private func writeData() throws {
        for (name, folder) in [("flowers", "signs"), ("signs", "flowers")] {
            for split in ["train", "val"] { try scratch.copy(Samples.image(name), to: "data/\(split)/not-\(folder)") }
        }
    }

    @Test(arguments: families) func everyCommandTakesIt(_ name: String) throws {
        let base = "\(Self.cases)/\(name)"
        try writeData()
        #expect(try done(["inspect", base]).output.contains("family"))
        let train = ["train", "-q", "--base", base, "--data", "kind=data", "--batch-size", "4"]
        _ = try done(train + ["--epochs", "1", "--rank", "2", "--targets", "query,value,mlp", "-o", "adapter"])
        _ = try done(train + ["--epochs", "2", "--head-only", "-o", "head"])
        let merge = ["merge", "-q", "--base", base, "--adapter", "kind=adapter", "--adapter", "other=adapter"]
        let images = ["--calibration", "data/train", "--align"]
        _ = try done(merge + images + ["--method", "regmean", "-o", "bundle"])
        let rows = try done(["label", "-q", "--bundle", "bundle", "data/val"]).output
        #expect(rows.split(separator: "\n").count > 10 && !rows.contains("error"))
        let distill = ["--calibration", "data/train", "--method", "distill", "--steps", "2"]
        _ = try done(merge + distill + ["-o", "distilled"])
        let taught = try done(["label", "-q", "--bundle", "distilled", "data/val"]).output
        #expect(taught.split(separator: "\n").count == rows.split(separator: "\n").count)
        _ = try done(["quantize", "-q", "--bundle", "bundle", "--calibration", "data/train", "-o", "int8"])
        let rounded = try done(["label", "-q", "--bundle", "int8", "data/val"]).output
        #expect(rounded.split(separator: "\n").count == rows.split(separator: "\n").count)
        _ = try done(["evaluate", "-q", "--bundle", "bundle", "--data", "kind=data/val", "-o", "report"])
        _ = try done(merge + ["--as", "adapter", "--scale", "0.5", "-o", "sum"])

        let hasStreams = ["dinov2_registers", "vit_msn", "timm_augreg", "timm_deit3", "vit_mae", "timm_deit_distilled"]
        let streams = try runMergeVit(merge + images + ["--streams", "-o", "streams"], folder: scratch.url)
        if hasStreams.contains(name) {
            #expect(streams.exitCode == 0, "\(streams.errors)")
            _ = try done(["label", "-q", "--bundle", "streams", "data/val"])
        } else {
            #expect(streams.exitCode == 3 && streams.errors.contains("merge without streams"), "\(streams.errors)")
        }
        _ = try done(merge + ["-o", "plain"])
        let export = try runMergeVit(["export", "--bundle", "plain", "--task", "kind", "-o", "x"], folder: scratch.url)
        if ["dinov3", "vit_mae", "siglip_vision"].contains(name) {
            #expect(export.exitCode == 3 && export.errors.contains("no class that classifies images"))
        } else {
            #expect(export.exitCode == 0, "\(export.errors)")
            // What is exported is a checkpoint, and gives the same rows.
            let own = try done(["label", "-q", "--bundle", "x", "--scores", "logit", "data/val"]).output
            let whole = try done(
                ["label", "-q", "--bundle", "plain", "--tasks", "kind", "--scores", "logit", "data/val"]).output
            func scores(_ text: String) -> [String?] { cells(Array(text.utf8)).map { $0.dropFirst(3).first } }
            #expect(own.contains("not-flowers") && scores(own).dropFirst() == scores(whole).dropFirst())
        }
    }
}
