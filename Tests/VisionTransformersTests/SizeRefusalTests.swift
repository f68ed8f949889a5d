import Files
import Foundation
import Images
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// Sizes in files that nothing good can come of are refused with a reason, before memory is taken for them.
@Suite struct SizeRefusalTests {
    private let scratch: TemporaryFolder

    init() throws { scratch = try TemporaryFolder() }

    /// A copy of a case's folder with some settings of a JSON file changed.
    func changed(_ name: String, _ file: String, _ settings: [String: String]) throws -> String {
        let folder = "\(scratch.path)/\(UUID().uuidString)"
        try FileManager.default.copyItem(atPath: caseFolder(name), toPath: folder)
        let path = "\(folder)/\(file)"
        var object = try #require(try JSON(contentsOf: path).objectValue)
        for (key, value) in settings { object[key] = try JSON(parsing: Array(value.utf8)) }
        try JSON.object(object).serialized().write(toFile: path, atomically: true, encoding: .utf8)
        return folder
    }

    func reason(_ body: () throws -> Void) -> String? { #expect(throws: ModelError.self) { try body() }?.reason }

    func model(_ folder: String, _ size: ImageSize) throws -> MultitaskModel {
        let checkpoint = try Checkpoint(folder: folder)
        return try MultitaskModel(
            checkpoint, configuration: checkpoint.configuration, heads: [], imageSize: size, threads: 1)
    }

    @Test func imagesOfTooManyPatchesAreRefused() throws {
        let side = 8 * 128
        let found = reason { _ = try model(caseFolder("dinov2"), .init(height: side, width: side + 8)) }
        #expect(found?.contains("128 x 129 patches") == true)
    }

    @Test func moreLayersThanAnyModelHasAreRefused() throws {
        let folder = try changed("vit", "config.json", ["num_hidden_layers": "1048576"])
        #expect(reason { _ = try Checkpoint(folder: folder) }?.contains("num_hidden_layers") == true)
    }

    @Test func positionsThatAreNoSquareAreNotResampled() throws {
        // 56 x 56 pixels and 7 x 7 positions in the case; 32 x 48 pixels have 4 x 6.
        let folder = try changed("dinov2", "config.json", ["image_size": "[32, 48]"])
        let file = try SafetensorsFile(path: caseFolder("dinov2") + "/model.safetensors")
        let tensors = try file.entries.map { entry in
            let tensor = try file.tensor(entry.name)
            guard entry.name.hasSuffix("position_embeddings") else { return (entry.name, tensor) }
            let width = tensor.shape[2]
            return (entry.name, Tensor(shape: [1, 25, width], values: Array(tensor.values[0..<25 * width])))
        }
        try writeSafetensors(tensors, to: folder + "/model.safetensors")
        let refusal = reason { _ = try model(folder, .init(height: 32, width: 48)) }
        #expect(refusal?.contains("only from a square grid") == true)
    }

    @Test func aHeadOfAnotherWidthIsToldBothThatFit() throws {
        let folder = try changed("dinov2", "config.json", [:])
        try #"{"format_version": 1, "tasks": [{"name": "t", "classes": ["x", "y"]}]}"#
            .write(toFile: folder + "/bundle.json", atomically: true, encoding: .utf8)
        try writeSafetensors(
            [("t.weight", Tensor(shape: [2, 40])), ("t.bias", Tensor(shape: [2]))], to: folder + "/heads.safetensors")
        #expect(reason { _ = try ModelBundle(folder: folder) }?.contains("(2, 48) or (2, 96)") == true)
    }
}
