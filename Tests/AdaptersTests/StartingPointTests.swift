import Compute
import Foundation
import Tensors
import Testing

@testable import Adapters
@testable import VisionTransformers

/// Adapters that PEFT began with a part of the base's weights.
@Suite struct StartingPointTests {
    let base: Checkpoint
    init() throws { base = try Checkpoint(folder: casePath("base")) }

    /// A matrix of numbers that look random.
    private func random(_ rows: Int, _ columns: Int, seed: UInt64 = 1) -> Matrix {
        var generator = SplitMix64(seed: seed, name: "weights")
        return Matrix(
            rows: rows, columns: columns,
            values: (0..<rows * columns).map { _ in Double(generator.next() >> 11) * 0x1p-52 - 1 })
    }

    /// PEFT's weights, seen through the image of a vector.
    @Test(arguments: ["pissa", "olora", "pissa_dora"]) func weightsAreThoseOfPEFT(_ name: String) throws {
        let adapter = try Adapter(task: name, path: casePath(name), base: base)
        #expect(adapter.ranks == [2, 3] && adapter.ambiguous.isEmpty)
        #expect(adapter.traits.last == (name == "olora" ? "OLoRA" : "PiSSA"))
        let merged = try MergedBackbone(adapter, aloneOver: base)
        let probes = try SafetensorsFile(path: casePath("start_\(name).safetensors"))
        #expect(adapter.modules.count == 3)
        for module in adapter.modules {
            let weight = Matrix(weight: try merged.parameter("\(module).weight"))
            let x = try probes.tensor("\(module).x")
            let y = weight * Matrix(rows: x.count, columns: 1, values: x.values.map(Double.init))
            #expect(largestDifference(y.values, try probes.tensor("\(module).y").values) < 2e-5, "\(module)")
        }
        guard name != "pissa_dora" else { return }
        // Known by its factors, of twice the rank.
        let delta = try #require(
            adapter.delta("layers.0.mlp.fc2.weight", of: base.parameter("layers.0.mlp.fc2.weight")))
        guard case .lowRank(_, let a, _) = delta.storage else {
            Issue.record("the delta is dense")
            return
        }
        #expect(a.rows == 6)
    }

    @Test(arguments: [(20, 12), (12, 20), (9, 9)], [1, 4, 9, 40])
    func theLeadingPartIsTheBestApproximation(_ shape: (Int, Int), _ rank: Int) throws {
        let weight = random(shape.0, shape.1)
        let part = try StartingPoint.pissa.part(of: weight, rank: rank, scale: 3)
        let svd = try weight.singularValueDecomposition()
        let kept = min(rank, svd.values.count)
        let expected = svd.u.firstColumns(kept) * .diagonal(Array(svd.values.prefix(kept))) * svd.vt.firstRows(kept)
        #expect((part.b * part.a - expected).norm < 1e-12 * weight.norm && part.a.rows == kept && !part.isAmbiguous)
    }

    @Test(arguments: [(20, 12), (12, 20), (9, 9)], [1, 4, 9, 40])
    func theFirstColumnsAreTakenWhole(_ shape: (Int, Int), _ rank: Int) throws {
        let weight = random(shape.0, shape.1)
        let part = try StartingPoint.olora.part(of: weight, rank: rank, scale: 2)
        let taken = part.b * part.a
        let kept = min(rank, shape.0, shape.1)
        // Q R of the first columns is those columns, so what is taken of them is s times all of them.
        #expect((taken - 2 * weight).firstColumns(kept).norm < 1e-12 * weight.norm && part.a.rows == kept)
        // Of the others it is a projection: taking it twice changes nothing.
        let again = try StartingPoint.olora.part(of: 0.5 * taken, rank: kept, scale: 2)
        #expect((again.b * again.a - taken).norm < 1e-9 * weight.norm)
    }

    @Test func whatRoundingDecidesIsSpokenOf() throws {
        let tie = Matrix.diagonal([3, 2, 2, 1])
        #expect(try StartingPoint.pissa.part(of: tie, rank: 2, scale: 1).isAmbiguous)
        for rank in [1, 3, 4] { #expect(try !StartingPoint.pissa.part(of: tie, rank: rank, scale: 1).isAmbiguous) }
        #expect(try StartingPoint.olora.part(of: .diagonal([1, 0, 2]), rank: 2, scale: 1).isAmbiguous)
    }

    @Test func namesAreReadAsPEFTReadsThem() {
        #expect(StartingPoint("pissa") == .pissa && StartingPoint("OLoRA") == .olora)
        #expect(StartingPoint("PiSSA") == nil && StartingPoint("pissa_niter_4") == nil)
    }
}

/// Heads as transformers' classes have them.
@Suite struct TransformersClassifierTests {
    private func configuration(_ family: BackboneFamily) throws -> BackboneConfiguration {
        var configuration = try Checkpoint(folder: casePath("base")).configuration
        (configuration.family, configuration.anatomy) = (family, family.anatomy)
        return configuration
    }

    private func head(_ columns: Int) throws -> Head {
        try Head(
            task: "t", classes: ["a", "b"],
            weight: Tensor(shape: [2, columns], values: (0..<2 * columns).map { Float($0) * 0.37 - 3 }),
            bias: Tensor(shape: [2], values: [0.1, -0.7]), activation: .softmax, path: "t")
    }

    /// What is written is read as the same head.
    @Test(arguments: [
        (BackboneFamily.vit, 1, "ViTForImageClassification"), (.deit, 1, "DeiTForImageClassification"),
        (.deit, 2, "DeiTForImageClassificationWithTeacher"), (.dinov2, 2, "Dinov2ForImageClassification"),
    ])
    func aHeadComesBackAsItWas(_ family: BackboneFamily, _ parts: Int, _ architecture: String) throws {
        let configuration = try configuration(family)
        let head = try head(parts * configuration.hiddenSize)
        let classifier = try #require(TransformersClassifier(head, configuration: configuration))
        #expect(classifier.architecture == architecture)
        let parameters = Dictionary(uniqueKeysWithValues: classifier.parameters.map { ($0.name, $0.tensor) })
        let read = try #require(try Head.linear(parameters, configuration: configuration, path: "t"))
        #expect(read.weight == head.weight && read.bias == head.bias)
    }

    @Test func whatNoClassReadsHasNone() throws {
        for (family, parts) in [(BackboneFamily.vit, 2), (.deit, 3)] {
            let configuration = try configuration(family)
            let head = try head(parts * configuration.hiddenSize)
            #expect(TransformersClassifier(head, configuration: configuration) == nil)
        }
    }

    /// A head over DINOv2's CLS token alone reads nothing of the mean.
    @Test func aNarrowHeadGetsZeros() throws {
        let configuration = try configuration(.dinov2)
        let narrow = try head(configuration.hiddenSize)
        let classifier = try #require(TransformersClassifier(narrow, configuration: configuration))
        let weight = classifier.parameters[0].tensor
        #expect(weight.shape == [2, 2 * configuration.hiddenSize])
        for row in 0..<2 {
            let values = weight.values[row * weight.shape[1]..<(row + 1) * weight.shape[1]]
            let old = narrow.weight.values[row * configuration.hiddenSize..<(row + 1) * configuration.hiddenSize]
            #expect(Array(values) == Array(old) + [Float](repeating: 0, count: configuration.hiddenSize))
        }
    }
}
