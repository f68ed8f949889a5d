import Images
import VisionTransformers

/// How many patch tokens of each image are merged, as a user says it.
package enum TokenMergingOption: Sendable, Hashable {
    /// What `quantize --keep` found for the bundle.
    case found
    /// None.
    case none
    /// As many in each block, as far as there are tokens to merge.
    case constant(Int)
    /// A number for each block.
    case counts([Int])

    /// The schedule for a backbone; nil for none.
    ///
    /// - Parameter found: what `quantize` found, if anything.
    /// - Throws: `ModelError` when the backbone cannot compute it for images of the size.
    func schedule(
        _ configuration: BackboneConfiguration, _ preprocessing: Preprocessing,
        found: @autoclosure () throws -> TokenMerging? = nil
    ) throws -> TokenMerging? {
        let size = configuration.inputSize(preprocessing)
        let schedule: TokenMerging? =
            switch self {
            case .found: try found()
            case .none: nil
            case .constant(let count): TokenMerging(configuration, size) { _ in count }
            case .counts(let counts): TokenMerging(counts)
            }
        guard let schedule, schedule.mergesAny else { return nil }
        try schedule.check(configuration, size)
        return schedule
    }
}
