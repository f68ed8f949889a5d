import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// Bundles with a stream of each task.
@Suite struct StreamBundleTests {
    /// A task that is asked for alone gets the bits that it has beside others, and the others cost nothing.
    @Test(arguments: ["vit", "dinov2_swiglu"]) func streamsThatNobodyAsksForAreLeftOut(_ name: String) throws {
        let scene = try StreamBundle(name)
        let bundle = try scene.opened()
        for precision in ForwardPrecisionTests.precisions {
            func model(_ names: [String]?) throws -> GroupedModel {
                try bundle.model(threads: 1, for: names, precision: precision)
            }
            let all = try model(nil)
            let expected = try scene.logits(all)
            var operations: [Double] = []
            for (task, columns) in [("a", 0..<7), ("b", 7..<9)] {
                let alone = try model([task])
                #expect(alone.heads.map(\.task) == [task] && alone.classCount == columns.count)
                let found = try scene.logits(alone)
                for image in 0..<3 {
                    let start = image * columns.count
                    #expect(
                        Array(found[start..<start + columns.count])
                            == Array(expected[image * 9 + columns.lowerBound..<image * 9 + columns.upperBound]),
                        "\(precision), \(task), image \(image)")
                }
                operations.append(alone.operationsPerImage)
            }
            #expect(operations.allSatisfy { $0 < all.operationsPerImage })
            // Each stream's operations are those that it adds to the shared pass.
            let shared = operations.reduce(0, +) - all.operationsPerImage
            #expect(shared > 0 && operations.allSatisfy { $0 > shared })
            for names in [["b", "a"], ["a", "c"], []] {
                let model = try model(names)
                #expect(model.heads.map(\.task) == ["a", "b"])
                #expect(try scene.logits(model) == expected)
            }
        }
    }
}
