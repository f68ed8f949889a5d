import Compute
import Foundation
import Glibc
import Images
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// A checkpoint of the test's cases in a folder of its own, planned with and without packed weights beside it.
final class PackedScene: @unchecked Sendable {
    let scratch: TemporaryFolder
    let inputs: [Float]

    init(_ name: String = "vit") throws {
        scratch = try TemporaryFolder()
        for file in ["config.json", "preprocessor_config.json", "model.safetensors"]
        where FileManager.default.fileExists(atPath: "\(caseFolder(name))/\(file)") {
            try FileManager.default.copyItem(
                atPath: "\(caseFolder(name))/\(file)", toPath: "\(scratch.path)/\(file)")
        }
        let io = try SafetensorsFile(path: caseFolder(name) + "/io.safetensors")
        inputs = ForwardTests.patches(
            try io.tensor("pixel_values"), try Checkpoint(folder: scratch.path).configuration)
    }

    /// The folder of packed weights.
    var folder: String { "\(scratch.path)/\(PackedCache.folderName)" }

    /// The names in it.
    var files: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted() }

    /// The only file in it.
    func file() throws -> String {
        let found = files
        try #require(found.count == 1, "\(found)")
        return "\(folder)/\(found[0])"
    }

    func bytes() throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: file()))) }

    /// Writes over a file, in place.
    func overwrite(_ path: String, _ bytes: [UInt8]) throws {
        let descriptor = open(path, O_WRONLY | O_TRUNC)
        try #require(descriptor >= 0 && write(descriptor, bytes, bytes.count) == bytes.count)
        close(descriptor)
    }

    func cache(
        _ checkpoint: Checkpoint, _ quantized: QuantizedWeights? = nil, _ use: PackedCache.Use = .always,
        settlingTime: Int = 0
    ) -> PackedCache? {
        PackedCache(checkpoint, quantized, use, settlingTime: settlingTime)
    }

    /// A plan of the checkpoint; what it packed is written when it goes.
    func plan(
        _ precision: ComputePrecision = .f32, isCached: Bool = true, outputs: ModelOutputs = [],
        quantized: QuantizedWeights? = nil, settlingTime: Int = 0,
        image: ImageSize = .init(height: 32, width: 32)
    ) throws -> ForwardPlan {
        let checkpoint = try Checkpoint(folder: scratch.path)
        let head = try #require(try checkpoint.head(task: "label"))
        let settings = InferenceSettings(imageSize: image, outputs: outputs, precision: precision)
        let weights = BackboneWeights(
            checkpoint, quantized: quantized,
            cache: isCached ? cache(checkpoint, quantized, settlingTime: settlingTime) : nil)
        return try ForwardPlan(
            ForwardShape(checkpoint.configuration, heads: [head], settings), heads: [head], weights, KernelEngine(),
            WorkerPool(workers: 2))
    }

    /// The first image's logits.
    func logits(_ plan: ForwardPlan) throws -> [Float] {
        var logits = [Float](repeating: 0, count: plan.shape.classes)
        try ForwardPass(plan).run(inputs, logits: &logits)
        return logits
    }

    /// Whether the packed weights of an earlier plan are used; if not, new ones are written.
    func isUsed(_ precision: ComputePrecision = .f32) throws -> Bool { try plan(precision).isMapped }
}
