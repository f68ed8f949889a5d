import Compute
import Tensors

/// A block's attention or its MLP with the normalization before it; its result is added to the residual stream. Planned
/// once, with its weights, and shared by all threads. Sublayers may compute in different numbers: between them is
/// the stream alone, in f32.
protocol Sublayer: Sendable {
    /// Binds it to one thread's buffers.
    func steps(_ buffers: ForwardBuffers) throws -> [ForwardStep]
}

/// The kernels of a sublayer, shared by all blocks that compute the same.
protocol SublayerKernels: Sendable {
    /// The kernels of the linear layers, whose weights are packed.
    var linearKernels: [Kernel] { get }
    /// All other kernels.
    var otherKernels: [Kernel] { get }
    /// The scratch memory of loops between the kernels, in elements.
    var loopScratchCount: Int { get }
    /// The sublayer of a block.
    ///
    /// - Throws: `ModelError`, `FileError` or `ComputeError` when its weights cannot be had.
    func sublayer(_ weights: BlockWeights) throws -> any Sublayer
}

extension SublayerKernels {
    var loopScratchCount: Int { 0 }

    /// The largest scratch memory that any of the kernels or loops needs, in elements.
    var scratchCount: Int { ((linearKernels + otherKernels).map(\.scratchCount) + [loopScratchCount]).max() ?? 0 }
}

/// What a step of a forward pass does, to tell where the time goes.
package enum ForwardStage: String, Sendable, CaseIterable {
    /// Patches to tokens.
    case embedding
    /// The blocks' linear layers, with what is fused into them.
    case linear
    /// Scores, softmax, and mixing values by them.
    case attention
    /// Merging of alike tokens.
    case merging
    /// Layer normalization, with quantization.
    case normalization
    /// Rounding to eight bits and scaling of products; activations too where they are fused with it.
    case quantization
    /// Gathering features, and all heads.
    case heads
    /// Task streams, with their heads.
    case streams
}

/// A step of one thread's forward pass: a kernel or a loop bound to its buffers.
struct ForwardStep {
    let stage: ForwardStage
    /// The input of a linear layer that observers may see after the step.
    private(set) var layerInput: (site: LayerSite, buffer: NumberBuffer)?
    let run: () throws -> Void

    init(_ stage: ForwardStage, _ run: @escaping () throws -> Void) {
        self.stage = stage
        self.run = run
    }

    /// A step that runs one kernel.
    init(_ stage: ForwardStage, _ call: KernelCall) {
        self.init(stage) { try call.run() }
    }

    /// The same step, after which observers see a buffer.
    func showing(_ site: LayerSite, _ buffer: NumberBuffer) -> ForwardStep {
        var step = self
        step.layerInput = (site, buffer)
        return step
    }
}
