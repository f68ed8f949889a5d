/// The two sublayers of a block, in their order.
package enum BlockPart: String, CaseIterable, Sendable {
    /// Attention with its normalization.
    case attention
    /// The MLP with its normalization.
    case mlp
}

/// A sublayer of a backbone: the attention or the MLP of a block.
package struct BlockSublayer: Hashable, Sendable, CustomStringConvertible {
    /// The number of the block.
    package let layer: Int
    /// Which of the block's sublayers it is.
    package let part: BlockPart

    /// A sublayer.
    package init(layer: Int, _ part: BlockPart) { (self.layer, self.part) = (layer, part) }

    /// The sublayer of a name that `description` gives; nil for another.
    init?(name: String) {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "layers", let layer = Int(parts[1]), layer >= 0,
            let part = BlockPart(rawValue: String(parts[2]))
        else { return nil }
        self.init(layer: layer, part)
    }

    /// All sublayers of the first blocks, in their order.
    package static func all(_ blocks: Int) -> [BlockSublayer] {
        (0..<blocks).flatMap { layer in BlockPart.allCases.map { BlockSublayer(layer: layer, $0) } }
    }

    /// What int8 leaves in floats where nothing was measured. The inputs of the first attention differ most from token
    /// to token, and its errors reach all that follows.
    package static let inFloatsUnlessMeasured: Set<BlockSublayer> = [BlockSublayer(layer: 0, .attention)]

    /// What int8 leaves in floats where `quantize` has not seen the backbone.
    static let inFloatsUnlessQuantized = inFloatsUnlessMeasured.union([BlockSublayer(layer: 0, .mlp)])

    /// As in files: `layers.0.attention`.
    package var description: String { "layers.\(layer).\(part.rawValue)" }
}

extension [BlockSublayer] {
    /// Some sublayers in the order of a forward pass.
    package init(ordered sublayers: Set<BlockSublayer>) {
        self = sublayers.sorted { ($0.layer, $0.part == .mlp ? 1 : 0) < ($1.layer, $1.part == .mlp ? 1 : 0) }
    }
}
