import Compute
import Tensors

/// What a step of a forward pass does, to tell where the time goes.
package enum ForwardStage: String, Sendable, CaseIterable {
    /// Patches to tokens.
    case embedding
    /// The blocks' linear layers, with what is fused into them.
    case linear
    /// Scores, softmax, and reading by them.
    case attention
    /// Layer normalization, with rounding.
    case normalization
    /// Rounding to eight bits, scaling of products; activations too where they are fused with it.
    case quantization
    /// Gathering features, and all heads.
    case heads
}

/// A step of one thread's forward pass: a kernel or a loop bound to its buffers.
struct ForwardStep {
    let stage: ForwardStage
    /// What observers are shown after the step.
    var shown: (place: LayerInput.Place, buffer: FloatBuffer)?
    let run: () throws -> Void

    init(_ stage: ForwardStage, _ run: @escaping () throws -> Void) {
        self.stage = stage
        self.run = run
    }

    /// The same step, after which observers see a buffer, unless it is rounded.
    func showing(_ place: LayerInput.Place, _ buffer: NumberBuffer) -> ForwardStep {
        guard case .f32(let values) = buffer else { return self }
        var step = self
        step.shown = (place, values)
        return step
    }
}
