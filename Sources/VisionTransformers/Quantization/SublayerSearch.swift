import Files

/// Chooses the sublayers that int8 leaves in floats, by what rounding each of them does to the logits.
///
/// The error of a sublayer is measured with it alone in eight bits. Errors of different sublayers are nearly
/// independent, so their squares add up. A sublayer is left in floats if its share of the sum is large for its share of
/// the time, or if it takes none. Where int8 then keeps too few labels, more are left, those with the largest error for
/// their time first: as few as keep enough, if half of all sublayers suffice. (The number of labels that these keep was
/// then chosen by, and may be too good by a label or two.)
package struct SublayerSearch {
    /// What was found.
    package struct Found {
        /// What is left in floats because of its error, in the order of a forward pass.
        package let harmful: [BlockSublayer]
        /// All that is left in floats: also what takes no time.
        package let floats: Set<BlockSublayer>
        /// The logits with these.
        package let logits: ModelLogits
        /// How many labels they keep.
        package let agreement: LabelAgreement
    }

    /// A sublayer is left in floats if its share of the error is more than this multiple of its share of the time.
    private static let largestRatio = 4.0

    /// A sublayer, and what it does to the logits in eight bits.
    private struct Measured {
        let sublayer: BlockSublayer
        /// The squared error of the logits as a share of their variance.
        let error: Double
        /// How long it takes.
        let work: Double

        /// The error for its time.
        var errorPerWork: Double { error / work }
    }

    private let sublayers: [BlockSublayer]
    private let exact: ModelLogits
    private let owners: [String?]

    /// A search.
    ///
    /// - Parameters:
    ///   - sublayers: those that have been rounded.
    ///   - exact: the logits in f32 of the images that labels are compared on.
    ///   - owners: the task of each of these images; nil for any.
    package init(_ sublayers: [BlockSublayer], exact: ModelLogits, owners: [String?]) {
        (self.sublayers, self.exact, self.owners) = (sublayers, exact, owners)
    }

    /// Searches.
    ///
    /// - Parameters:
    ///   - keep: the mean share of labels.
    ///   - model: plans the model with some sublayers in floats.
    ///   - measured: computes images to measure errors on.
    ///   - compared: computes the images that labels are compared on.
    /// - Throws: what these throw; `CancellationRequested`.
    package func run(
        keep: Double, model: (_ floats: Set<BlockSublayer>) throws -> GroupedModel,
        measured: (GroupedModel) throws -> ModelLogits, compared: (GroupedModel) throws -> ModelLogits
    ) throws -> Found {
        let parts = try measure(model, measured)
        let sorted = parts.filter { $0.work > 0 }.sorted { $0.errorPerWork > $1.errorPerWork }
        let idle = Set(parts.filter { $0.work == 0 }.map(\.sublayer))
        let (error, work) = (sorted.reduce(0) { $0 + $1.error }, sorted.reduce(0) { $0 + $1.work })
        func found(_ count: Int) throws -> Found {
            let harmful = Set(sorted[..<count].map(\.sublayer))
            let floats = idle.union(harmful)
            let logits = try compared(model(floats))
            return Found(
                harmful: [BlockSublayer](ordered: harmful), floats: floats, logits: logits,
                agreement: logits.agreement(with: exact, on: 0..<exact.images, owners: owners))
        }
        let fewest = sorted.count { $0.error * work > Self.largestRatio * $0.work * error }
        var best = try found(fewest)
        guard best.agreement.mean < keep else { return best }
        // With `low` in floats too few labels are kept, and with `high`, if that was tried, enough.
        var (low, high) = (fewest, sorted.count / 2 + 1)
        while high - low > 1 {
            let count = (low + high) / 2
            let result = try found(count)
            if result.agreement.mean >= keep { (best, high) = (result, count) } else { low = count }
        }
        return best
    }

    /// The error of each sublayer by itself.
    private func measure(
        _ model: (Set<BlockSublayer>) throws -> GroupedModel, _ logits: (GroupedModel) throws -> ModelLogits
    ) throws -> [Measured] {
        let unroundedModel = try model(Set(sublayers))
        let unrounded = try logits(unroundedModel)
        return try sublayers.enumerated().map { position, sublayer in
            try LongWork.part("measuring sublayers", position, of: sublayers.count) {
                let work = unroundedModel.work(of: sublayer)
                guard work > 0 else { return Measured(sublayer: sublayer, error: 0, work: 0) }
                let rounded = try logits(model(Set(sublayers).subtracting([sublayer])))
                return Measured(sublayer: sublayer, error: rounded.squaredError(from: unrounded), work: work)
            }
        }
    }
}
