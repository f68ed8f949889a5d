import Compute
import Files
import Foundation
import Glibc
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// Packed weights of task streams, which are kept part by part: the base, and each stream.
@Suite struct StreamCacheTests {
    @Test(arguments: ["vit", "dinov2_swiglu"]) func logitsHaveTheSameBits(_ name: String) throws {
        for precision in ForwardPrecisionTests.precisions {
            let scene = try StreamBundle(name)
            let expected = try scene.logits(precision, isCached: false)
            #expect(scene.packedFiles.isEmpty)
            #expect(try scene.plan(precision).packedParts == [nil, "a", "b"])
            #expect(scene.packedFiles.count == 3)
            #expect(try scene.plan(precision).packedParts.isEmpty)
            #expect(try scene.logits(precision) == expected)
            // With the backbone's. Streams of int8 are in bf16.
            #expect(scene.packedFiles.count == 4)
            #expect(scene.packedFiles.filter { $0.hasPrefix("\(precision.operandType)-") }.count >= 3)
        }
    }

    @Test func eachStreamIsKeptByItself() throws {
        let scene = try StreamBundle()
        #expect(try scene.plan(.f32, ["b"]).packedParts == [nil, "b"])
        #expect(try scene.plan(.f32, ["b"]).packedParts.isEmpty)
        #expect(try scene.plan().packedParts == ["a"])
        for tasks in [["a"], ["b"], ["a", "b"]] { #expect(try scene.plan(.f32, tasks).packedParts.isEmpty) }
    }

    @Test func precisionsShareStreamsInTheSameNumbers() throws {
        for (index, precision) in ForwardPrecisionTests.precisions.enumerated() {
            let scene = try StreamBundle()
            for earlier in ForwardPrecisionTests.precisions[..<index] { _ = try scene.plan(earlier) }
            let isShared = ForwardPrecisionTests.precisions[..<index].contains {
                $0.operandType == precision.operandType
            }
            #expect(try scene.plan(precision).packedParts.isEmpty == isShared)
        }
    }

    /// A file of streams or of their base that has changed, in place, of the same size and with the time that it had.
    @Test(arguments: [StreamFile.name, StreamFile.baseName, "model.safetensors"])
    func weightsThatChangedArePackedAgain(_ name: String) throws {
        let scene = try StreamBundle()
        _ = try scene.plan()
        let before = try scene.logits()
        #expect(try scene.plan().packedParts.isEmpty)
        let path = scene.scratch.path(name)
        let file = try SafetensorsFile(path: path)
        let entry = try #require(file.entries.first { $0.shape.count == 2 })
        var bytes = Array(file.file.bytes)
        bytes[entry.range.lowerBound + 3] ^= 0x80
        let times = try FileManager.default.attributesOfItem(atPath: path)
        try scene.scratch.write(name, bytes)
        let date = try #require(times[.modificationDate])
        try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: path)
        #expect(try scene.plan().packedParts == [nil, "a", "b"])
        let after = try scene.logits()
        #expect(try after != before && after == scene.logits(isCached: false))
    }

    @Test func aDamagedPartIsPackedAgainAndNoOther() throws {
        let scene = try StreamBundle()
        _ = try scene.plan()
        let expected = try scene.logits()
        let names = scene.packedFiles.filter { $0.contains("-stream") }
        #expect(names.count == 3)
        var repacked: Set<String?> = []
        for name in names {
            let file = "\(PackedCache.folderName)/\(name)"
            let whole = try scene.scratch.read(file)
            var flipped = whole
            flipped[whole.count - 100] ^= 4
            for damaged in [flipped, Array(whole[..<(whole.count / 2)]), []] {
                try scene.scratch.write(file, damaged)
                let parts = try scene.plan().packedParts
                #expect(parts.count == 1)
                repacked.formUnion(parts)
                #expect(try scene.scratch.read(file) == whole && scene.logits() == expected)
            }
        }
        #expect(repacked == [nil, "a", "b"])
    }

    /// Whole files with the right keys whose buffers are not those that the kernels want.
    @Test func buffersOfOtherSizesAreRefused() throws {
        let scene = try StreamBundle("vit_gelu_tanh", ranks: [1, 0])
        _ = try scene.plan()
        let pool = try WorkerPool(workers: 1)
        let folder = PackedFolder(parent: scene.scratch.path)
        for name in scene.packedFiles {
            let file = try SafetensorsFile(path: "\(folder.path)/\(name)")
            let key = try #require(PackedFile.key(of: file))
            let kept = try #require(PackedFile.read(file.path, key, pool) { _ in true })
            for (changed, buffer) in kept.buffers where !changed.hasPrefix("layers.0.") {
                var weights = kept
                weights.add(changed, FloatBuffer([Float](repeating: 0, count: buffer.count + 1)))
                for wrong in [weights, PackedWeights(kept.buffers.filter { $0.key != changed })] {
                    #expect(folder.write(PackedFile(wrong, key), as: name))
                    #expect(try scene.plan().packedParts.count == 1, "\(name): \(changed)")
                }
            }
        }
    }

    /// What came along with a bundle is of other files.
    @Test func aCopyIsNotBelieved() throws {
        let (scene, copy) = (try StreamBundle(), try StreamBundle())
        _ = try scene.plan()
        try FileManager.default.copyItem(
            atPath: scene.scratch.path(PackedCache.folderName), toPath: copy.scratch.path(PackedCache.folderName))
        #expect(try copy.plan().packedParts == [nil, "a", "b"])
        #expect(try copy.plan().packedParts.isEmpty)
    }
}
