/// The parts of a block that int8 may leave in floats, in the order of a forward pass.
package enum BlockPart: String, CaseIterable, Sendable {
    /// The linear layers of attention, with its normalization.
    case attention
    /// What attention computes between them: its scores, and values mixed by them.
    case scores = "attention_scores"
    /// The MLP with its normalization.
    case mlp
}

/// A part of a block of a backbone that int8 may leave in floats.
package struct BlockSublayer: Hashable, Sendable, CustomStringConvertible {
    /// The number of the block.
    package let layer: Int
    /// Which part of the block it is.
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

    /// The scores of the first blocks.
    static func scores(_ blocks: Int) -> Set<BlockSublayer> {
        Set((0..<blocks).map { BlockSublayer(layer: $0, .scores) })
    }

    /// What int8 leaves in floats of a number of blocks where nothing was measured: all scores, and the first
    /// attention. Its inputs differ most from token to token, and its errors reach all that follows.
    package static func inFloatsUnlessMeasured(_ blocks: Int) -> Set<BlockSublayer> {
        scores(blocks).union([BlockSublayer(layer: 0, .attention)])
    }

    /// What int8 leaves in floats where `quantize` has not seen the backbone.
    static func inFloatsUnlessQuantized(_ blocks: Int) -> Set<BlockSublayer> {
        inFloatsUnlessMeasured(blocks).union([BlockSublayer(layer: 0, .mlp)])
    }

    /// As in files: `layers.0.attention`.
    package var description: String { "layers.\(layer).\(part.rawValue)" }
}

extension [BlockSublayer] {
    /// Some sublayers in the order of a forward pass.
    package init(ordered sublayers: Set<BlockSublayer>) {
        self = BlockSublayer.all((sublayers.map(\.layer).max() ?? -1) + 1).filter(sublayers.contains)
    }
}
