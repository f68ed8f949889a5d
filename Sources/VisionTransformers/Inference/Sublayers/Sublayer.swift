import Compute

/// A block's attention or its MLP, each with the normalization before it and added to the stream: planned, with its weights, and shared
/// by all threads.
protocol Sublayer: Sendable {
    /// Binds it to one thread's buffers.
    func steps(_ buffers: ForwardBuffers) throws -> [ForwardStep]
}

/// The kernels of a sublayer, and how its weights are brought into the layout that they want. Each sublayer may be computed in other
/// numbers: between them is the stream alone, in f32.
protocol SublayerKernels: Sendable {
    /// The linear layers' kernels.
    var linear: [Kernel] { get }
    /// The largest scratch memory that any of the kernels wants, in elements.
    var scratchCount: Int { get }
    /// Folds and packs the weights, under names that begin with the block's.
    func pack(_ loader: PlanLoader, layer: Int, _ rounded: RoundedWeights?) throws -> PackedWeights
    /// The sublayer that computes with these weights.
    func sublayer(_ packed: PackedWeights, layer: Int) throws -> any Sublayer
}

/// The tokens that a block computes.
struct BlockTokens: Sendable, Hashable {
    /// All tokens, which attention reads.
    let all: Int
    /// The first so many, which are read after the block: all else is of these.
    let read: Int
}
