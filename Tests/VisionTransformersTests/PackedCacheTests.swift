import Compute
import Files
import Foundation
import Glibc
import Images
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// Packed weights that are kept change nothing but the time of the start.
@Suite struct PackedCacheTests {
    @Test(arguments: ForwardPrecisionTests.cases)
    func logitsHaveTheSameBits(_ name: String, _ precision: ComputePrecision) throws {
        let scene = try PackedScene(name)
        let expected = try scene.logits(scene.plan(precision, isCached: false))
        #expect(scene.files.isEmpty)
        let first = try scene.logits(scene.plan(precision))
        let next = try scene.plan(precision)
        #expect(try next.isMapped && first == expected && scene.logits(next) == expected)
        #expect(scene.files.count == 1 && scene.files[0].hasPrefix("\(precision)-"))
    }

    @Test func eachPrecisionAndSetOfTokensHasItsOwn() throws {
        let scene = try PackedScene()
        for precision in ForwardPrecisionTests.precisions { #expect(try !scene.isUsed(precision)) }
        for precision in ForwardPrecisionTests.precisions { #expect(try scene.isUsed(precision)) }
        #expect(scene.files.count == ForwardPrecisionTests.precisions.count)
        // With all tokens the last block's layers are others.
        let all = try scene.plan(outputs: .allTokens)
        #expect(
            try !all.isMapped && scene.logits(all) == scene.logits(scene.plan(isCached: false, outputs: .allTokens)))
    }

    /// As many patches in another grid have other positions.
    @Test func imagesOnTheirSideAreOthers() throws {
        let scene = try PackedScene("dinov2")
        let (wide, high) = (
            ImageSize(height: 32, width: 64), ImageSize(height: 64, width: 32)
        )
        #expect(try !scene.plan(image: wide).isMapped)
        let plan = try scene.plan(image: high)
        let expected = try scene.plan(isCached: false, image: high)
        #expect(!plan.isMapped && Array(plan.initialTokens.elements) == Array(expected.initialTokens.elements))
    }

    @Test(.enabled(if: ForwardPrecisionTests.precisions.contains(.int8)))
    func otherQuantizedWeightsAreOtherWeights() throws {
        let scene = try PackedScene()
        func quantized(_ factor: Float) throws -> QuantizedWeights {
            let checkpoint = try Checkpoint(folder: scene.scratch.path)
            try QuantizedBackbone(
                checkpoint, configuration: checkpoint.configuration, imageSize: .init(height: 32, width: 32),
                images: 1, threads: 1
            ) { _, patches in
                for index in patches.indices { patches[index] = scene.inputs[index] * factor }
            }.write(folder: scene.scratch.path)
            return try #require(try QuantizedWeights(folder: scene.scratch.path, checkpoint.configuration))
        }
        #expect(try !scene.plan(.int8).isMapped)
        let first = try quantized(1)
        #expect(try !scene.plan(.int8, quantized: first).isMapped)
        #expect(try scene.plan(.int8, quantized: first).isMapped)
        #expect(try !scene.plan(.int8, quantized: quantized(2)).isMapped)
        // The weights of other precisions are still those of the model.
        #expect(try !scene.isUsed(.f32))
        let next = try quantized(3)
        #expect(try !scene.plan(.int8, quantized: next).isMapped && scene.isUsed(.f32))
        #expect(try scene.plan(.int8, quantized: next).isMapped)
    }

    @Test func weightsThatChangedArePackedAgain() throws {
        let scene = try PackedScene()
        let before = try scene.logits(scene.plan())
        #expect(try scene.isUsed())
        let path = "\(scene.scratch.path)/model.safetensors"
        let file = try SafetensorsFile(path: path)
        let entry = try #require(file.entries.first { $0.name.hasSuffix("patch_embeddings.projection.bias") })
        var bytes = Array(file.file.bytes)
        bytes[entry.range.lowerBound + 3] ^= 0x80
        // In place, of the same size, and with the time that it had.
        let times = try FileManager.default.attributesOfItem(atPath: path)
        try scene.overwrite(path, bytes)
        let date = try #require(times[.modificationDate])
        try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: path)
        let plan = try scene.plan()
        let after = try scene.logits(plan)
        #expect(!plan.isMapped && after != before)
        #expect(try after == scene.logits(scene.plan(isCached: false)))
    }

    @Test func aChangedConfigurationIsAnotherModel() throws {
        let scene = try PackedScene()
        #expect(try !scene.isUsed())
        let path = "\(scene.scratch.path)/config.json"
        var configuration = try #require(try JSON(contentsOf: path).objectValue)
        configuration["layer_norm_eps"] = .double(0.5)
        try scene.scratch.write("config.json", JSON.object(configuration).serialized())
        #expect(try !scene.isUsed())
        #expect(try scene.isUsed())
    }

    /// What came along with a bundle is of other files, whatever it says.
    @Test func aCopyIsNotBelieved() throws {
        let (scene, copy) = (try PackedScene(), try PackedScene())
        #expect(try !scene.isUsed())
        try FileManager.default.copyItem(atPath: scene.folder, toPath: copy.folder)
        #expect(copy.files == scene.files)
        #expect(try !copy.isUsed())
        #expect(try copy.isUsed() && scene.isUsed())
    }

    @Test func weightsThatHaveJustChangedAreNotKept() throws {
        let scene = try PackedScene()
        // Of an hour: nothing here is so old.
        #expect(try !scene.plan(settlingTime: 3_600_000_000_000).isMapped)
        #expect(scene.files.isEmpty)
    }

    @Test func smallModelsHaveNoneUnlessAsked() throws {
        let scene = try PackedScene()
        let checkpoint = try Checkpoint(folder: scene.scratch.path)
        #expect(scene.cache(checkpoint, nil, .auto) == nil && scene.cache(checkpoint, nil, .never) == nil)
        #expect(scene.cache(checkpoint, nil, .always) != nil)
    }

    /// Files of a model that is no more go; those of other machines stay.
    @Test func whatIsOutOfDateGoes() throws {
        let scene = try PackedScene()
        #expect(try !scene.isUsed())
        let file = try SafetensorsFile(path: scene.file())
        let key = try #require(PackedFile.key(of: file))
        let buffer = FloatBuffer([1])
        let folder = PackedFolder(parent: scene.scratch.path)
        let (other, old) = (PackedFile.Key(model: key.model, plan: "other"), PackedFile.Key(model: "old", plan: ""))
        #expect(folder.write(PackedFile(PackedWeights(["a": buffer]), other), as: "f32-other.safetensors"))
        #expect(folder.write(PackedFile(PackedWeights(["a": buffer]), old), as: "bf16-old.safetensors"))
        try scene.scratch.write("\(PackedCache.folderName)/int8-torn.safetensors", "torn")
        try FileManager.default.removeItem(atPath: file.path)
        #expect(try !scene.isUsed())
        #expect(scene.files == [URL(fileURLWithPath: file.path).lastPathComponent, "f32-other.safetensors"])
    }
}

/// Digests of weights that are kept are those of the very files, or are not known.
@Suite struct CachedDigestsTests {
    func known(_ scene: PackedScene, settlingTime: Int = 0) throws -> CachedDigests {
        try #require(CachedDigests(Checkpoint(folder: scene.scratch.path), .always, settlingTime: settlingTime))
    }

    @Test func aDigestIsKnownUntilTheFileChanges() throws {
        let (scene, copy) = (try PackedScene(), try PackedScene())
        let path = "\(scene.scratch.path)/model.safetensors"
        let digest = String(repeating: "0a", count: 32)
        try known(scene, settlingTime: 3_600_000_000_000).write([path: digest])
        #expect(try known(scene).read().isEmpty && scene.files.isEmpty)
        try known(scene).write([path: digest])
        #expect(try known(scene).read() == [path: digest] && known(scene).count == 1)
        #expect(scene.files == [CachedDigests.name] && PackedCache.isFile(CachedDigests.name))
        try FileManager.default.copyItem(atPath: scene.folder, toPath: copy.folder)
        #expect(try known(copy).read().isEmpty)
        let opened = try known(scene)
        try scene.overwrite(path, Array(try Data(contentsOf: URL(fileURLWithPath: path))))
        #expect(try known(scene).read().isEmpty)
        // What was opened before is no more, and nothing is kept about it.
        opened.write([path: String(repeating: "0b", count: 32)])
        #expect(try known(scene).read().isEmpty && opened.read() == [path: digest])
    }

    @Test(arguments: [
        "", "{", "[]", "{}", "{\"format\": \"mergevit-sha256-1\", \"files\": {\"model.safetensors\": 1}}",
    ])
    func anythingElseIsNotBelieved(_ text: String) throws {
        let scene = try PackedScene()
        #expect(mkdir(scene.folder, 0o755) == 0)
        try scene.scratch.write("\(PackedCache.folderName)/\(CachedDigests.name)", text)
        #expect(try known(scene).read().isEmpty)
    }

    @Test func smallModelsHaveNoneUnlessAsked() throws {
        let scene = try PackedScene()
        let checkpoint = try Checkpoint(folder: scene.scratch.path)
        #expect(CachedDigests(checkpoint, .auto) == nil && CachedDigests(checkpoint, .never) == nil)
        #expect(scene.files.isEmpty)
    }
}
