import Compute
import Tensors

/// What a fit knows of an image: the tokens that the last block reads, each standardized (less its mean, over its
/// deviation), as the first of them, if there are prefix tokens, and the mean of the patch tokens.
///
/// Every model computes these tokens, also one with task streams, and they do not depend on the heads.
struct TokenSummary: Sendable {
    /// The number of elements: D, or 2 D with prefix tokens.
    let count: Int
    private let width, prefix, patches: Int
    private let ones: FloatBuffer

    init(_ configuration: BackboneConfiguration, patches: Int) {
        (width, prefix, self.patches) = (configuration.hiddenSize, configuration.prefix.count, patches)
        count = configuration.summaryCount
        ones = FloatBuffer([Float](repeating: 1, count: width))
    }

    /// Summarizes tokens, (tokens, D).
    ///
    /// - Parameter sizes: how often each token counts in the mean; once unless specified.
    func write(_ tokens: FloatBuffer, sizes: FloatBuffer? = nil, into summary: UnsafeMutablePointer<Float>) {
        summary.update(repeating: 0, count: count)
        if prefix > 0 { add(0..<1, of: tokens, sizes: nil, to: summary) }
        add(prefix..<prefix + patches, of: tokens, sizes: sizes, to: summary + (count - width))
    }

    /// Adds the mean of some standardized tokens.
    private func add(
        _ rows: Range<Int>, of tokens: FloatBuffer, sizes: FloatBuffer?, to sum: UnsafeMutablePointer<Float>
    ) {
        var shift: Float = 0
        let total = sizes.map { sizes in rows.reduce(0) { $0 + sizes.base[$1] } } ?? Float(rows.count)
        for row in rows {
            let token = tokens.base + row * width
            let mean = RowKernels.dot(token, ones.base, count: width) / Float(width)
            let square = RowKernels.dot(token, token, count: width) / Float(width)
            let factor =
                1 / (max(square - mean * mean, 0) + Self.epsilon).squareRoot() / total * (sizes?.base[row] ?? 1)
            RowKernels.add(token, times: factor, to: sum, count: width)
            shift += factor * mean
        }
        RowKernels.add(ones.base, times: -shift, to: sum, count: width)
    }

    /// Keeps tokens of one value finite.
    private static let epsilon: Float = 1e-6
}

extension BackboneConfiguration {
    /// The number of elements of an image's summary (see `TokenSummary`).
    package var summaryCount: Int { prefix.count > 0 ? 2 * hiddenSize : hiddenSize }
}
