package import Images

/// How many of an image's patch tokens each block merges into others, between its attention and its MLP: token merging,
/// Bolya et al., ICLR 2023 (arXiv 2210.09461).
///
/// A block with N patch tokens merges at most N / 2. Prefix tokens and task streams are never merged. In the last block
/// tokens are merged only where heads read patch tokens.
package struct TokenMerging: Sendable, Hashable, CustomStringConvertible {
    /// Of each block.
    package let counts: [Int]

    /// Numbers of tokens, one per block.
    package init(_ counts: [Int]) { self.counts = counts }

    /// A schedule for a model, as far as there are tokens to merge.
    ///
    /// - Parameters:
    ///   - size: the size of the images, as preprocessing gives them.
    ///   - count: how many tokens a block should merge.
    package init(_ configuration: BackboneConfiguration, _ size: ImageSize, count: (_ layer: Int) -> Int) {
        let grid = configuration.grid(for: size)
        var remaining = grid.height * grid.width
        counts = (0..<configuration.layers).map { layer in
            let merged = max(min(count(layer), remaining / 2), 0)
            remaining -= merged
            return merged
        }
    }

    /// Whether it merges any tokens.
    package var mergesAny: Bool { counts.contains { $0 != 0 } }

    /// The numbers, separated by commas.
    package var description: String { counts.map(String.init).joined(separator: ",") }

    /// Checks that a backbone can compute it for images of a size.
    ///
    /// - Throws: `ModelError` when the backbone's attention depends on the tokens' positions, or it has fewer tokens.
    package func check(_ configuration: BackboneConfiguration, _ size: ImageSize) throws(ModelError) {
        guard mergesAny else { return }
        let anatomy = configuration.anatomy
        let reason: String? =
            anatomy.positions.isRotary
            ? "its attention rotates queries and keys by the position of each token"
            : anatomy.hasScoreBias ? "its attention adds a bias for each pair of positions" : nil
        if let reason {
            throw ModelError(
                "token merging", "not possible for \(configuration.family.name): \(reason), and merged tokens have none"
            )
        }
        guard counts.count == configuration.layers else {
            throw ModelError(
                "token merging", "expected \(configuration.layers) numbers, one per block, found \(counts.count)")
        }
        let grid = configuration.grid(for: size)
        var remaining = grid.height * grid.width
        for (layer, count) in counts.enumerated() {
            guard (0...remaining / 2).contains(count) else {
                throw ModelError(
                    "token merging",
                    "block \(layer) has \(remaining) patch tokens: expected to merge 0 to \(remaining / 2), "
                        + "found \(count)")
            }
            remaining -= count
        }
    }
}
