import Compute
import Tensors
import Testing

@testable import VisionTransformers

/// The cosine of the angle between two gradients.
func cosine(_ a: [[Float]], _ b: [[Float]]) -> Double {
    func dot(_ a: [[Float]], _ b: [[Float]]) -> Double {
        zip(a.joined(), b.joined()).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
}

/// Gradients by bfloat16 products are those of f32 but for rounding.
@Suite(.enabled(if: OperandType.bf16.isSupported, "the processor has no instructions for bf16"))
struct BFloat16BackwardTests {
    @Test(arguments: ForwardTests.models, BlockBackwardTests.forms)
    func gradientsPointWhereThoseOfF32Do(_ name: String, _ form: TrainedModule.Form) throws {
        for (parts, dropout) in [(nil, 0.0), (1, 0.3)] {
            let key: UInt64? = dropout > 0 ? 7 : nil
            let (exact, rounded) = (
                try TrainingDraft(name, form, parts: parts, dropout: dropout),
                try TrainingDraft(name, form, parts: parts, dropout: dropout, precision: .bf16)
            )
            try exact.loss(dropout: key)
            try rounded.loss(dropout: key)
            #expect(exact.gradients != rounded.gradients)
            #expect(cosine(exact.gradients, rounded.gradients) > 0.999)
            for (tensor, (one, other)) in zip(exact.backbone.tensors, zip(exact.gradients, rounded.gradients)) {
                #expect(cosine([one], [other]) > 0.99, "\(tensor.name)")
            }
        }
    }

    @Test(arguments: ForwardTests.models, BlockBackwardTests.forms)
    func sameBitsOnAnyNumberOfThreads(_ name: String, _ form: TrainedModule.Form) throws {
        let drafts = try (1...3).map {
            try TrainingDraft(name, form, dropout: 0.2, precision: .bf16, images: 7, lanes: 3, threads: $0)
        }
        let losses = try drafts.map { try $0.loss(dropout: 5) }
        #expect(losses.allSatisfy { $0 == losses[0] })
        #expect(drafts.allSatisfy { $0.gradients == drafts[0].gradients })
        try drafts[1].loss(dropout: 5)
        #expect(drafts[1].gradients == drafts[0].gradients)
    }

    /// What is trained above does not depend on whether something is trained below, to the last bit.
    @Test(arguments: ["vit", "dinov2_swiglu"])
    func gradientOfOneModuleIsThatAmongAll(_ name: String) throws {
        let all = try TrainingDraft(name, .dense, precision: .bf16, zeros: true)
        try all.loss()
        for module in TrainingDraft.modules(all.backbone.configuration, .dense).map(\.name) {
            let one = try TrainingDraft(name, .dense, only: [module], precision: .bf16, zeros: true)
            try one.loss()
            let among = zip(all.backbone.tensors, all.gradients).filter { $0.0.name == "\(module).delta" }.map(\.1)
            #expect(one.gradients == among, "\(module)")
        }
    }
}
