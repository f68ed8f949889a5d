import Compute
import Images
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// A trainable backbone with numbers of no meaning in all that is trained.
struct TrainingDraft {
    let backbone: TrainableBackbone
    let inputs: [Float]
    let images: Int
    /// What the loss multiplies the features by: (images, features).
    let weights: [Float]

    /// All modules of all blocks, or those that are named.
    static func modules(_ c: BackboneConfiguration, _ form: TrainedModule.Form) -> [TrainedModule] {
        c.parameterShapes.compactMap { name, shape in
            guard ParameterNames.layer(of: name) != nil, shape.count == 2, name.hasSuffix(".weight") else { return nil }
            return TrainedModule(String(name.dropLast(".weight".count)), form)
        }
    }

    init(
        _ name: String, _ form: TrainedModule.Form, only names: [String]? = nil, parts: Int? = nil,
        dropout: Double = 0, precision: OperandType = .f32, images: Int = 2, lanes: Int = 8, threads: Int = 1,
        zeros: Bool = false
    ) throws {
        let checkpoint = try Checkpoint(folder: caseFolder(name))
        let c = checkpoint.configuration
        let modules = Self.modules(c, form).filter { names?.contains($0.name) ?? true }
        backbone = try TrainableBackbone(
            checkpoint, configuration: c, imageSize: .init(height: 32, width: 32), modules: modules,
            featureParts: parts ?? c.featureParts, dropout: dropout, precision: precision, lanes: lanes,
            threads: threads)
        let io = try SafetensorsFile(path: caseFolder(name) + "/io.safetensors")
        let given = ForwardTests.patches(try io.tensor("pixel_values"), c)
        var noise = SplitMix64(state: 1)
        let count = backbone.inputCount
        // More images than there are in the case are mixtures of them.
        inputs = (0..<images).flatMap { image in
            let share = Float(noise.nextUniform())
            return (0..<count).map { share * given[$0] + (1 - share) * given[count + $0] * (image % 2 == 0 ? 1 : -1) }
        }
        self.images = images
        weights = (0..<images * backbone.featureCount).map { _ in Float(noise.nextNormal()) }
        for tensor in backbone.tensors where !zeros {
            var noise = SplitMix64(seed: 2, name: tensor.name)
            for index in 0..<tensor.values.count { tensor.values.base[index] = Float(0.1 * noise.nextNormal()) }
        }
        try backbone.refresh()
    }

    /// Σ weights · features; leaves its gradient in the tensors.
    @discardableResult func loss(dropout: UInt64? = nil) throws -> Double {
        let count = backbone.featureCount
        let parts = FloatBuffer([Float](repeating: 0, count: images * count))
        try backbone.gradients(inputs, images: images, dropout: dropout) { _, image, features, gradient in
            for index in 0..<count {
                let weight = weights[image * count + index]
                parts.base[image * count + index] = weight * features[index]
                gradient[index] = weight
            }
        }
        return parts.elements.reduce(0) { $0 + Double($1) }
    }

    var gradients: [[Float]] { backbone.tensors.map { Array($0.gradient.elements) } }
}

@Suite struct BlockBackwardTests {
    static let forms: [TrainedModule.Form] = [.lowRank(rank: 3, scale: 1.5), .dense]

    /// The slope of the loss along a direction of one tensor, by differences.
    func slope(_ draft: TrainingDraft, _ tensor: TrainedTensor, _ direction: [Float], dropout: UInt64?) throws -> Double
    {
        let values = Array(tensor.values.elements)
        let step: Float = 0x1p-7
        func loss(_ factor: Float) throws -> Double {
            for index in values.indices { tensor.values.base[index] = values[index] + factor * direction[index] }
            try draft.backbone.refresh()
            return try draft.loss(dropout: dropout)
        }
        let difference = try loss(step) - loss(-step)
        _ = try loss(0)
        return difference / Double(2 * step)
    }

    @Test(arguments: ForwardTests.models, forms)
    func agreesWithDifferences(_ name: String, _ form: TrainedModule.Form) throws {
        for (parts, dropout) in [(nil, 0.0), (1, 0.3)] {
            let draft = try TrainingDraft(name, form, parts: parts, dropout: dropout)
            let key: UInt64? = dropout > 0 ? 7 : nil
            try draft.loss(dropout: key)
            var noise = SplitMix64(state: 3)
            for (tensor, gradient) in zip(draft.backbone.tensors, draft.gradients) {
                let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
                #expect(norm > 0, "\(tensor.name)")
                let steepest = gradient.map { $0 / Float(norm) }
                var random = gradient.map { _ in Float(noise.nextNormal()) }
                let length = random.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
                random = random.map { $0 / Float(length) }
                for direction in [steepest, random] {
                    let expected = zip(gradient, direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
                    let found = try slope(draft, tensor, direction, dropout: key)
                    #expect(
                        abs(found - expected) < 2e-3 * norm + 2e-3,
                        "\(tensor.name): \(expected) by the backward pass, \(found) by differences, norm \(norm)")
                }
            }
        }
    }

    @Test(arguments: ForwardTests.models, forms)
    func sameBitsOnAnyNumberOfThreads(_ name: String, _ form: TrainedModule.Form) throws {
        let drafts = try (1...3).map {
            try TrainingDraft(name, form, dropout: 0.2, images: 7, lanes: 3, threads: $0)
        }
        let losses = try drafts.map { try $0.loss(dropout: 5) }
        #expect(losses.allSatisfy { $0 == losses[0] })
        #expect(drafts.allSatisfy { $0.gradients == drafts[0].gradients })
        try drafts[1].loss(dropout: 5)
        #expect(drafts[1].gradients == drafts[0].gradients)
        try drafts[1].loss(dropout: 6)
        #expect(form == .dense || drafts[1].gradients != drafts[0].gradients)
    }

    @Test(arguments: ForwardTests.models, forms)
    func forwardIsThatOfTheMergedBackbone(_ name: String, _ form: TrainedModule.Form) throws {
        for parts in [1, nil] {
            let draft = try TrainingDraft(name, form, parts: parts)
            let checkpoint = try Checkpoint(folder: caseFolder(name))
            let model = try MultitaskModel(
                ChangedSource(base: checkpoint, tensors: draft.backbone.tensors, form: form),
                configuration: checkpoint.configuration, heads: [], imageSize: .init(height: 32, width: 32), threads: 1,
                outputs: .features)
            var expected = [Float](repeating: 0, count: draft.images * model.featureCount)
            try model.run(draft.inputs, images: draft.images, logits: nil, features: &expected)
            let count = draft.backbone.featureCount
            let found = FloatBuffer(count: draft.images * count)
            try draft.backbone.run(draft.inputs, images: draft.images) { image, features in
                (found.base + image * count).update(from: features, count: count)
            }
            for image in 0..<draft.images {
                for index in 0..<count {
                    #expect(
                        abs(found.base[image * count + index] - expected[image * model.featureCount + index]) < 1e-5)
                }
            }
        }
    }

    /// What is trained above does not depend on whether something is trained below, to the last bit.
    @Test(arguments: ["vit", "dinov2_swiglu"], forms)
    func gradientOfOneModuleIsThatAmongAll(_ name: String, _ form: TrainedModule.Form) throws {
        let all = try TrainingDraft(name, form, zeros: form == .dense)
        try all.loss()
        let tensors = all.backbone.tensors
        for module in TrainingDraft.modules(all.backbone.configuration, form).map(\.name) {
            if form != .dense {
                for tensor in tensors where !tensor.name.hasPrefix("\(module).") {
                    tensor.values.base.update(repeating: 0, count: tensor.values.count)
                }
                for (own, other) in zip(
                    try TrainingDraft(name, form, only: [module]).backbone.tensors,
                    tensors.filter { $0.name.hasPrefix("\(module).") })
                { other.values.base.update(from: own.values.base, count: own.values.count) }
                try all.backbone.refresh()
                try all.loss()
            }
            let one = try TrainingDraft(name, form, only: [module], zeros: form == .dense)
            try one.loss()
            let among = zip(tensors, all.gradients).filter { $0.0.name.hasPrefix("\(module).") }.map(\.1)
            #expect(one.gradients == among, "\(module)")
        }
    }

    @Test func refusesWhatDoesNotFit() throws {
        let checkpoint = try Checkpoint(folder: caseFolder("vit"))
        func refusal(
            _ modules: [TrainedModule], parts: Int = 1, dropout: Double = 0, side: Int = 32
        ) -> String {
            message {
                _ = try TrainableBackbone(
                    checkpoint, configuration: checkpoint.configuration, imageSize: .init(height: side, width: side),
                    modules: modules, featureParts: parts, dropout: dropout, threads: 1)
            }
        }
        let query = TrainedModule("layers.0.attention.q_proj", .lowRank(rank: 2, scale: 1))
        #expect(refusal([.init("layers.9.attention.q_proj", .dense)]).contains("not a linear layer in a block"))
        #expect(refusal([.init(ParameterNames.patchProjection, .dense)]).contains("not a linear layer in a block"))
        #expect(refusal([.init("layers.0.norm1", .dense)]).contains("not a linear layer in a block"))
        #expect(refusal([query, query]).contains("twice"))
        #expect(refusal([.init("layers.0.mlp.fc1", .lowRank(rank: 0, scale: 1))]).contains("rank"))
        #expect(refusal([.init("layers.0.mlp.fc1", .lowRank(rank: 1, scale: .nan))]).contains("scale"))
        #expect(refusal([query], parts: 3).contains("1 to 2 parts"))
        #expect(refusal([query], dropout: 1).contains("less than 1"))
        #expect(refusal([query], side: 48).contains("position embeddings"))
    }
}

/// A checkpoint with what was trained merged into it.
private struct ChangedSource: ParameterSource {
    let base: Checkpoint
    let tensors: [TrainedTensor]
    let form: TrainedModule.Form

    func parameter(_ name: String) throws -> Tensor {
        var result = try base.parameter(name)
        let module = name.hasSuffix(".weight") ? String(name.dropLast(".weight".count)) : name
        func values(_ ending: String) -> TrainedTensor? { tensors.first { $0.name == "\(module).\(ending)" } }
        if let delta = values("delta") {
            for index in result.values.indices { result.values[index] += delta.values.base[index] }
        }
        if case .lowRank(let rank, let scale) = form, let a = values("lora_A.weight"), let b = values("lora_B.weight") {
            let inputs = result.shape[1]
            for index in result.values.indices {
                let (row, column) = (index / inputs, index % inputs)
                var sum = 0.0
                for inner in 0..<rank {
                    sum += Double(b.values.base[row * rank + inner]) * Double(a.values.base[inner * inputs + column])
                }
                result.values[index] += Float(scale * sum)
            }
        }
        return result
    }

    func release(_ name: String) {}
}
